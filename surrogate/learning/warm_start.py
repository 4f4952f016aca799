"""Training from the weights of a network that has learnt something similar.

A network is a function of raw inputs, so one of a similar problem is a start as it is. Where its Box [l, l + w] moved
to [l', l' + w'] the same shape stands elsewhere, f(l + (x - l') w / w'), and where the level of values changed,
a + b f does. Of the starts with and without the move, with and without the a and b of least squares on the values,
training begins at the one of the smallest loss, without random starts beside it, and an optimiser of second order ends
when it has settled: a small change of the problem takes a few iterations where random starts take hundreds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import torch
from torch import Tensor

from pricing.domain import Box
from pricing.types import Progress
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, value
from surrogate.learning.differential_pca import find_axes, lift, project, restrict
from surrogate.learning.ridge import continued
from surrogate.learning.training import Trained, along_axes, objective_of, silent, train
from surrogate.learning.watching import Watch
from surrogate.spec import LevenbergMarquardt, NetworkSpec, Optimiser, TrainingSpec
from surrogate.standardisation import fit_standardisation

# Iterations of second order in a round, and the share of its loss that a round must gain to be followed by another.
ROUND, LEAST_GAIN = 20, 0.1


def fit_again(
    network: Network,
    dataset: Dataset,
    shape: NetworkSpec,
    spec: TrainingSpec,
    *,
    before: Box,
    after: Box,
    generator: torch.Generator,
    progress: Progress | None = None,
    watch: Watch | None = None,
) -> Trained:
    """Train from a network, on the axes of the labels if it is to see only those. What was pruned away stays away.

    Args:
        network: raw units.
        dataset: raw units.
        before: the Box of the inputs that the network has learnt on.
        after: the Box that it is to learn on, as many coordinates.
    """
    network = without_inner_biases(network)
    start = best_start([network, moved(network, before, after)], dataset, spec)
    masks = [weight != 0.0 for weight in network.weights]
    pruned = not all(bool(mask.all()) for mask in masks)
    if shape.inputs == "features" or pruned:
        kept = masks if pruned else None
        return train_until_settled(
            start, dataset, spec, generator=generator, masks=kept, progress=progress, watch=watch
        )
    axes = find_axes(dataset, shape)
    seen, units = project(dataset, axes), torch.ones(len(axes), dtype=dataset.x.dtype)
    first = restrict(start, axes)
    along = None if watch is None else along_axes(watch, axes)
    trained = train_until_settled(
        first, seen, spec, generator=generator, delta_units=units, progress=progress, watch=along
    )
    return replace(trained, network=lift(trained.network, axes), axes=axes)


def train_until_settled(
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
    """As `train` does, by one optimiser after the other, each in rounds until one gains less than `LEAST_GAIN`.

    Shape: as of `train`.
    """
    report, losses, choice = progress or silent, list[float](), None
    for place, optimiser in enumerate(spec.optimisers):
        parts = rounds(optimiser)
        for number, part in enumerate(parts):
            once = msgspec.structs.replace(spec, optimisers=(part,))
            trained = train(
                network, dataset, once, generator=generator, masks=masks, delta_units=delta_units, watch=watch
            )
            network, losses, choice = trained.network, losses + list(trained.losses), choice or trained.choice
            if choice is not None:
                spec = msgspec.structs.replace(spec, ridge=choice.ridge)
            report((place + (number + 1) / len(parts)) / len(spec.optimisers))
            if trained.losses[-1] > (1.0 - LEAST_GAIN) * trained.losses[0]:
                break
    return Trained(network=without_inner_biases(network), losses=tuple(losses), choice=choice)


def rounds(optimiser: Optimiser) -> list[Optimiser]:
    """One run of the optimiser, of second order cut into rounds of `ROUND` iterations."""
    (alone,) = continued([optimiser])
    if not isinstance(alone, LevenbergMarquardt):
        return [alone]
    count = math.ceil((alone.short + alone.long) / ROUND)
    return [msgspec.structs.replace(alone, short=ROUND - 1, long=1)] * count


def without_inner_biases(network: Network) -> Network:
    """The same function, the biases of layers without an activation added into those after them."""
    biases = list(network.biases)
    for layer in sorted(network.linear):
        biases[layer] = biases[layer] + network.weights[layer] @ biases[layer - 1]
        biases[layer - 1] = torch.zeros_like(biases[layer - 1])
    return replace(network, biases=tuple(biases))


def moved(network: Network, before: Box, after: Box) -> Network:
    """f(l + (x - l') w / w'): the shape that the network has on one Box, on another."""
    low, width = (torch.from_numpy(numbers) for numbers in (before.lower, before.upper - before.lower))
    new_low, new_width = (torch.from_numpy(numbers) for numbers in (after.lower, after.upper - after.lower))
    ratio = width / new_width
    weight, bias = network.weights[0], network.biases[0]
    return replace(
        network,
        weights=(weight * ratio, *network.weights[1:]),
        biases=(bias + weight @ (low - new_low * ratio), *network.biases[1:]),
    )


def best_start(starts: list[Network], dataset: Dataset, spec: TrainingSpec) -> Network:
    """The start of the smallest loss, its values fitted to the labels by a + b f. Shape: dataset x (batch, input)."""
    standardisation = fit_standardisation(dataset.x, dataset.y)

    def loss(network: Network) -> float:
        objective = objective_of(network, dataset, spec, standardisation)
        return float(objective.loss(objective.start()))

    levelled = [level(network, dataset) for network in starts]
    return min([*starts, *levelled], key=loss)


def level(network: Network, dataset: Dataset) -> Network:
    """a + b f with a and b by least squares on the values. Shape: dataset x (batch, input)."""
    with torch.no_grad():
        y = value(network, dataset.x)
    weight = torch.ones_like(y) if dataset.weight is None else dataset.weight
    share = weight / weight.sum()
    mean, wanted = (share * y).sum(), (share * dataset.y).sum()
    spread = (share * (y - mean).square()).sum()
    b = (share * (y - mean) * (dataset.y - wanted)).sum() / spread if spread > 0.0 else spread
    a = wanted - b * mean
    return replace(
        network,
        weights=(*network.weights[:-1], b * network.weights[-1]),
        biases=(*network.biases[:-1], b * network.biases[-1] + a),
    )
