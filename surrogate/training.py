"""One training driver: normalise, hand the objective to each optimiser in turn, fold the scaling back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from pricing.types import Progress
from surrogate import adam, lbfgs, levenberg_marquardt
from surrogate.dataset import Dataset, normalise
from surrogate.errors import TrainingDiverged
from surrogate.losses import Objective, free_coordinates, loss_weights
from surrogate.network import Network, initialise
from surrogate.scaling import fit_scaling, to_normalised, to_raw
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, Optimiser, TrainingSpec


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network in raw units and the losses on the way."""

    network: Network
    losses: tuple[float, ...]


def silent(done: float) -> None:
    """Report nothing."""


def train(
    network: Network,
    dataset: Dataset,
    spec: TrainingSpec,
    *,
    generator: torch.Generator,
    masks: Sequence[Tensor] | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Minimise the Sobolev loss from the given network.

    Args:
        network: raw units; its parameters are the (first) start.
        dataset: raw units.
        masks: one per weight matrix, True = kept; a pruned weight stays exactly 0.

    Raises:
        TrainingDiverged: the result or its loss is not finite.
        SurrogateError: labels that the loss needs are missing.
    """
    scaling = fit_scaling(dataset.x, dataset.y)
    normalised = normalise(dataset, scaling)
    objective = Objective(
        network=to_normalised(network, scaling),
        dataset=normalised,
        weights=loss_weights(normalised, spec.loss),
        free=free_coordinates(network, masks),
    )
    theta, losses = objective.start(), []
    report = progress or silent
    for stage, optimiser in enumerate(spec.optimisers):
        done = stage / len(spec.optimisers)

        def share(part: float, done: float = done) -> None:
            report(done + part / len(spec.optimisers))

        share(0.0)
        theta, history = _minimise(objective, theta, optimiser, generator=generator, progress=share)
        losses += history
    if not (torch.isfinite(theta).all() and math.isfinite(losses[-1])):
        raise TrainingDiverged(
            f"training ended in a non-finite loss or parameters (last losses {losses[-3:]}); "
            "lower the learning rate, raise the ridge or look at the labels"
        )
    return Trained(network=to_raw(objective.at(theta), scaling), losses=tuple(losses))


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


def fit(
    dataset: Dataset,
    network: NetworkSpec,
    spec: TrainingSpec,
    *,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> Trained:
    """Train a randomly initialised network of the given shape."""
    start = draw(dataset, network, generator=generator)
    return train(start, dataset, spec, generator=generator, progress=progress)


def draw(dataset: Dataset, network: NetworkSpec, *, generator: torch.Generator) -> Network:
    """The random network that `fit` starts from, raw units; as many outputs as the labels have values or classes."""
    y = dataset.y
    outputs = int(y.max()) + 1 if dataset.has_classes else (1 if y.ndim == 1 else y.shape[1])
    widths = (dataset.x.shape[1], *network.hidden, outputs)
    fresh = initialise(widths, network.activation, generator=generator, dtype=dataset.x.dtype)
    return to_raw(fresh, fit_scaling(dataset.x, dataset.y))
