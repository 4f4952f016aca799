"""The optimisers of a specification, one after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import torch
from torch import Tensor

from pricing.types import Progress
from surrogate.learning import adam, lbfgs, levenberg_marquardt
from surrogate.learning.losses import Objective
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, Optimiser


def minimise(
    objective: Objective,
    theta: Tensor,
    optimisers: Sequence[Optimiser],
    *,
    generator: torch.Generator,
    progress: Progress,
) -> tuple[Tensor, list[float]]:
    """Coordinates after the last optimiser, and the losses of all of them. Shape: free -> free."""
    losses = list[float]()
    for stage, optimiser in enumerate(optimisers):
        done = stage / len(optimisers)

        def share(fraction: float, done: float = done) -> None:
            progress(done + fraction / len(optimisers))

        share(0.0)
        theta, history = _minimise(objective, theta, optimiser, generator=generator, progress=share)
        losses += history
    return theta, losses


def _minimise(
    objective: Objective, theta: Tensor, optimiser: Optimiser, *, generator: torch.Generator, progress: Progress
) -> tuple[Tensor, list[float]]:
    match optimiser:
        case Adam():
            return adam.minimise(objective, theta, optimiser, generator=generator, progress=progress)
        case LBFGS():
            return lbfgs.minimise(objective, theta, optimiser, generator=generator, progress=progress)
        case LevenbergMarquardt():
            return levenberg_marquardt.minimise(objective, theta, optimiser, generator=generator, progress=progress)
        case _:
            assert_never(optimiser)
