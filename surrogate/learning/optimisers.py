"""The optimisers of a specification, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

import torch
from torch import Tensor

from pricing.types import Progress
from surrogate.learning import adam, lbfgs, levenberg_marquardt
from surrogate.learning.losses import Objective
from surrogate.learning.watching import Onlooker, look_away
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, Optimiser


def unwatched(_optimiser: Optimiser, _place: int) -> Onlooker:
    """Nobody looks on."""
    return look_away


def minimise(
    objective: Objective,
    theta: Tensor,
    optimisers: Sequence[Optimiser],
    *,
    generator: torch.Generator,
    progress: Progress,
    onlooker: Callable[[Optimiser, int], Onlooker] = unwatched,
) -> tuple[Tensor, list[float]]:
    """Coordinates after the last optimiser, and the losses of all of them. Shape: free -> free.

    Args:
        onlooker: who looks on at the optimiser in this place.
    """
    losses = list[float]()
    for stage, optimiser in enumerate(optimisers):
        done = stage / len(optimisers)

        def share(fraction: float, done: float = done) -> None:
            progress(done + fraction / len(optimisers))

        share(0.0)
        look = onlooker(optimiser, stage)
        theta, history = _minimise(objective, theta, optimiser, generator=generator, progress=share, look=look)
        losses += history
    return theta, losses


def _minimise(
    objective: Objective,
    theta: Tensor,
    optimiser: Optimiser,
    *,
    generator: torch.Generator,
    progress: Progress,
    look: Onlooker,
) -> tuple[Tensor, list[float]]:
    match optimiser:
        case Adam():
            return adam.minimise(objective, theta, optimiser, generator=generator, progress=progress, look=look)
        case LBFGS():
            return lbfgs.minimise(objective, theta, optimiser, generator=generator, progress=progress, look=look)
        case LevenbergMarquardt():
            return levenberg_marquardt.minimise(
                objective, theta, optimiser, generator=generator, progress=progress, look=look
            )
        case _:
            assert_never(optimiser)
