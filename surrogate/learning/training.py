"""One training driver: normalise, hand the objective to each optimiser in turn, fold the standardisation back."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pricing.types import Progress
from surrogate.dataset import Dataset, normalise
from surrogate.errors import TrainingDiverged
from surrogate.functions.network import Network, initialise
from surrogate.learning.differential_pca import Axes, find_axes, lift, project
from surrogate.learning.losses import Objective, free_coordinates, loss_weights
from surrogate.learning.optimisers import minimise, unwatched
from surrogate.learning.ridge import RidgeChoice, choose_ridge, continued
from surrogate.learning.watching import Onlooker, Watch, gauge, onlooker
from surrogate.spec import NetworkSpec, Optimiser, TrainingSpec
from surrogate.standardisation import Standardisation, fit_standardisation, to_normalised, to_raw

# Share of the work that choosing the ridge takes; it only makes the progress move evenly.
CHOICE_SHARE = 0.8


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A trained network in raw units, the losses on the way, and what was found out for it.

    Args:
        axes: what the network sees, where it does not see all.
        choice: how the ridge was chosen, where it was.
    """

    network: Network
    losses: tuple[float, ...]
    axes: Axes | None = None
    choice: RidgeChoice | None = None


def silent(done: float) -> None:
    """Report nothing."""


def train(
    network: Network,
    dataset: Dataset,
    spec: TrainingSpec,
    *,
    generator: torch.Generator,
    masks: Sequence[Tensor] | None = None,
    delta_units: Tensor | None = None,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Minimise the Sobolev loss from the given network.

    Args:
        network: raw units; its parameters are the (first) start.
        dataset: raw units.
        masks: one per weight matrix, True = kept; a pruned weight stays exactly 0. Shape: out in, per layer.
        delta_units: size of one unit of error in each delta, raw units; by default the delta's root mean square.
            Shape: feature.
        watch: who follows the terms of the loss. The ridge, where it is to be chosen, is chosen unwatched.

    Raises:
        TrainingDiverged: the result or its loss is not finite.
        SurrogateError: labels that the loss needs are missing.
    """
    standardisation = fit_standardisation(dataset.x, dataset.y)
    objective = objective_of(network, dataset, spec, standardisation, masks=masks, delta_units=delta_units)
    report, choice = progress or silent, None
    theta, optimisers = objective.start(), spec.optimisers
    if spec.ridge == "auto":
        choice = choose_ridge(
            objective, theta, optimisers, generator=generator, progress=lambda done: report(CHOICE_SHARE * done)
        )
        objective, theta, optimisers = replace(objective, ridge=choice.ridge), choice.theta, continued(optimisers)
    look = unwatched if watch is None else _watched(objective, spec, standardisation, watch, delta_units)
    begun = 0.0 if choice is None else CHOICE_SHARE
    theta, losses = minimise(
        objective,
        theta,
        optimisers,
        generator=generator,
        progress=lambda done: report(begun + (1.0 - begun) * done),
        onlooker=look,
    )
    _require_finite(theta, losses)
    return Trained(network=to_raw(objective.at(theta), standardisation), losses=tuple(losses), choice=choice)


def _watched(
    objective: Objective,
    spec: TrainingSpec,
    standardisation: Standardisation,
    watch: Watch,
    delta_units: Tensor | None,
) -> Callable[[Optimiser, int], Onlooker]:
    """Who looks on at each optimiser. Shape: delta_units as of `train`."""
    units = _normalised_units(delta_units, standardisation)
    measure = gauge(objective, spec.loss, standardisation, held_out=watch.held_out, delta_units=units)
    held_out = 0 if measure.held_out is None else len(measure.held_out)
    watch.log.begin(measure.shares, measured=len(measure.learnt), held_out=held_out)
    return lambda optimiser, place: onlooker(measure, watch.log, optimiser, place)


def _normalised_units(delta_units: Tensor | None, standardisation: Standardisation) -> Tensor | None:
    """Units of the deltas of normalised samples. Shape: feature -> feature."""
    return None if delta_units is None else delta_units * standardisation.x_scale / standardisation.y_scale


def objective_of(
    network: Network,
    dataset: Dataset,
    spec: TrainingSpec,
    standardisation: Standardisation,
    *,
    masks: Sequence[Tensor] | None = None,
    delta_units: Tensor | None = None,
) -> Objective:
    """What `train` minimises, in normalised units; a ridge that is to be chosen is 0. Shape: as of `train`."""
    normalised = normalise(dataset, standardisation)
    units = _normalised_units(delta_units, standardisation)
    return Objective(
        network=to_normalised(network, standardisation),
        dataset=normalised,
        weights=loss_weights(normalised, spec.loss, delta_units=units),
        free=free_coordinates(network, masks),
        ridge=spec.ridge if isinstance(spec.ridge, float) else 0.0,
    )


def _require_finite(theta: Tensor, losses: Sequence[float]) -> None:
    if not (torch.isfinite(theta).all() and math.isfinite(losses[-1])):
        raise TrainingDiverged(
            f"training ended in a non-finite loss or parameters (last losses {losses[-3:]}); "
            "lower the learning rate, raise the ridge or look at the labels"
        )


def fit(
    dataset: Dataset,
    network: NetworkSpec,
    spec: TrainingSpec,
    *,
    generator: torch.Generator,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Train a randomly initialised network of the given shape, on the axes of the labels if it is to see only those."""
    axes = find_axes(dataset, network) if network.inputs == "differential_pca" else None
    if axes is None:
        drawn = _draw(dataset, network, generator)
        return train(drawn, dataset, spec, generator=generator, progress=progress, watch=watch)
    seen = project(dataset, axes)
    start, units = _draw(seen, network, generator), torch.ones(len(axes), dtype=seen.x.dtype)
    along = None if watch is None else along_axes(watch, axes)
    trained = train(start, seen, spec, generator=generator, delta_units=units, progress=progress, watch=along)
    return replace(trained, network=lift(trained.network, axes), axes=axes)


def along_axes(watch: Watch, axes: Axes) -> Watch:
    """The same watch where the network sees only the axes."""
    return watch if watch.held_out is None else replace(watch, held_out=project(watch.held_out, axes))


def draw(dataset: Dataset, network: NetworkSpec, *, generator: torch.Generator) -> Network:
    """The random network that `fit` starts from, raw units; as many outputs as the labels have values or classes."""
    if network.inputs == "differential_pca":
        axes = find_axes(dataset, network)
        return lift(_draw(project(dataset, axes), network, generator), axes)
    return _draw(dataset, network, generator)


def _draw(dataset: Dataset, network: NetworkSpec, generator: torch.Generator) -> Network:
    """`draw` on all the features that the dataset has."""
    y = dataset.y
    outputs = int(y.max()) + 1 if dataset.has_classes else (1 if y.ndim == 1 else y.shape[1])
    widths = (dataset.x.shape[1], *network.hidden, outputs)
    fresh = initialise(widths, network.activation, generator=generator, dtype=dataset.x.dtype)
    return to_raw(fresh, fit_standardisation(dataset.x, dataset.y))
