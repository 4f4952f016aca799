"""Removal of whole nodes, least score first; what a node leaves behind is a constant in the next bias."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from pruning.intervals.adjoint import Enclosure, enclose
from pruning.intervals.merging import merge, saved_by_merging
from pruning.intervals.significance import means, remove
from pruning.intervals.split import split
from pruning.removal.masks import select
from pruning.stage import Budget, Cut, Evidence, size
from surrogate.functions.network import Network

# 1/64 of the nodes a round, then new scores: one node a round costs a sweep each, and wide networks have hundreds.
ROUND = 64

# Scores of all nodes of a network in raw units, inputs first, with its enclosure. Shape: -> width, per layer 0..L.
NodeScore = Callable[[Network, Evidence, Enclosure], tuple[Tensor, ...]]


def prune_nodes(
    network: Network, budget: Budget, evidence: Evidence, *, score: NodeScore, merging: bool = False
) -> Cut:
    """Remove nodes of least score in rounds, with new scores every round, until the budget is met; one a layer stays.

    With ``merging`` and a budget of parameters, a hidden layer becomes affine and merges with the next as soon as that
    has a smaller bound than the round of nodes that is due.
    """
    bound, protect, method = 0.0, evidence.spec.protect_inputs, evidence.spec.enclosure
    boxes = evidence.box
    if evidence.spec.splits > 1:
        boxes = split(network, boxes, evidence.spec.splits, method=method)
    while (excess := size(network, budget.unit, protect_inputs=protect) - budget.count) > 0:
        enclosure = enclose(network, boxes, method=method)
        nodes = size(network, "nodes", protect_inputs=protect)
        # One node a hidden layer stays, and one input.
        spare = nodes - (len(network.weights) - (1 if protect else 0))
        count = min(spare, max(1, nodes // ROUND), excess if budget.unit == "nodes" else spare)
        steps = []
        if count > 0:
            keep = _keep(network, score(network, evidence, enclosure), nodes - count, protect_inputs=protect)
            steps.append(remove(network, enclosure, keep, constants_of(network, evidence)))
        if merging and budget.unit == "parameters":
            steps += _merges(network, enclosure)
        network, step = min(steps, key=lambda candidate: math.inf if math.isnan(candidate[1]) else candidate[1])
        bound += step
    return Cut(network=network, bound=bound)


def _merges(network: Network, enclosure: Enclosure) -> Iterator[tuple[Network, float]]:
    """The network without one of its hidden layers, for every layer that is worth it; the last one stays."""
    for layer in range(1, len(network.weights)):
        if len(network.weights) > 2 and saved_by_merging(network, layer) > 0:
            yield merge(network, enclosure, layer)


def constants_of(network: Network, evidence: Evidence) -> tuple[Tensor, ...] | None:
    """What removed nodes are replaced by; None for the middles of their intervals. Shape: -> width, per layer 0..L."""
    if evidence.spec.fold == "middle":
        return None
    return means(network, evidence.dataset.x * evidence.standardisation.x_scale + evidence.standardisation.x_mean)


def _keep(network: Network, scores: Sequence[Tensor], count: int, *, protect_inputs: bool) -> tuple[Tensor, ...]:
    """Which nodes stay, ``count`` of them in all. Shape: -> width, per layer 0..L."""
    read = network.weights[0].any(dim=0)
    alive = [read, *(torch.ones_like(layer, dtype=torch.bool) for layer in scores[1:])]
    first = 1 if protect_inputs else 0
    return (*alive[:first], *select(scores[first:], alive[first:], count))
