"""Masks and exact-k selection. A weight that is 0 is pruned, so the masks of a network are read off its weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from pruning.errors import PruningError
from surrogate.functions.network import Network


def masks_of(network: Network) -> tuple[Tensor, ...]:
    """One mask per weight matrix, True = kept. Shape: -> out in, per layer."""
    return tuple(weight != 0 for weight in network.weights)


def apply(network: Network, masks: Sequence[Tensor]) -> Network:
    """The network with the weights that are not kept set to 0; the others keep their bits.

    Shape: out in, per layer ->.
    """
    return replace(
        network, weights=tuple(w.where(mask, w.new_zeros(())) for w, mask in zip(network.weights, masks, strict=True))
    )


def top(scores: Tensor, count: int) -> Tensor:
    """Mask of the ``count`` largest scores; of equal ones the first, so ties keep the count. Shape: any -> same."""
    flat = scores.flatten()
    count = min(count, len(flat))
    if count <= 0:
        return torch.zeros_like(scores, dtype=torch.bool)
    last = torch.kthvalue(flat, len(flat) - count + 1).values
    mask = flat > last
    mask[(flat == last).nonzero()[: count - int(mask.sum()), 0]] = True
    return mask.view_as(scores)


def select(scores: Sequence[Tensor], alive: Sequence[Tensor], count: int) -> tuple[Tensor, ...]:
    """Masks of the ``count`` best of the living over all groups (layers), at least one in each group.

    Nested: with the same scores, a smaller count selects a subset.

    Shape: any, any, per group -> same, per group.

    Raises:
        PruningError: a score is NaN or infinite.
    """
    if not all(torch.isfinite(score).all() for score in scores):
        raise PruningError("a pruning score is not finite; the network or its data has diverged")
    ranked = []
    for score, lives in zip(scores, alive, strict=True):
        score = score.where(lives, -torch.inf).flatten()
        if lives.any():
            score[score.argmax()] = torch.inf
        ranked.append(score)
    count = min(count, int(sum(lives.sum() for lives in alive)))
    chosen = torch.split(top(torch.cat(ranked), count), [score.numel() for score in ranked])
    return tuple(mask.view_as(score) for mask, score in zip(chosen, scores, strict=True))
