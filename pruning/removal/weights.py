"""Removal of single weights, by score; the network keeps its shape."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from pruning.removal.masks import apply, masks_of, select
from pruning.stage import Budget, Cut, Evidence
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, forward
from surrogate.standardisation import to_normalised

# Scores of all weights of a network in normalised units. Shape: -> out in, per layer.
WeightScore = Callable[[Network, Evidence], tuple[Tensor, ...]]


def prune_weights(network: Network, budget: Budget, evidence: Evidence, *, score: WeightScore) -> Cut:
    """Keep the weights with the largest scores; those that no sample feels go first, one a layer stays."""
    normalised = to_normalised(network, evidence.standardisation)
    last = torch.finfo(network.dtype).min
    live = felt(normalised, evidence.dataset)
    scores = [layer.where(effect, last) for layer, effect in zip(score(normalised, evidence), live, strict=True)]
    return Cut(network=apply(network, select(scores, masks_of(network), budget.count)))


def felt(network: Network, dataset: Dataset) -> tuple[Tensor, ...]:
    """Masks of the weights through which a path from inputs to outputs leads, open for some sample.

    Absolute values in the reverse sweep: what cancels in one sample is felt all the same. Shape: -> out in, per layer.
    """
    y, hidden = forward(network, dataset.x)
    below = [dataset.x, *(phi[0] for phi in hidden)]
    slopes = [phi[1] for phi in hidden]
    reach, masks = torch.ones_like(y), list[Tensor]()
    for layer in range(len(network.weights) - 1, -1, -1):
        masks.append(reach.T @ below[layer].abs() > 0)
        if layer:
            reach = (reach @ network.weights[layer].abs()) * slopes[layer - 1].abs()
    return tuple(masks[::-1])
