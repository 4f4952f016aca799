"""How SET and RigL spread weights over layers and exchange them while they train.

References: SET, Mocanu et al. 2018; RigL and Erdos-Renyi densities of layers, Evci et al. 2020.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from pruning.removal.masks import top

# Standard deviation of the weights that SET grows, normalised units (the authors' sparse implementation).
GROWN = 0.1
# SET's output layer stays dense while it takes at most this share of all weights: beyond it the layers before starve.
DENSE_OUTPUT = 0.5


def erdos_renyi(shapes: Sequence[tuple[int, int]], count: int, *, dense_output: bool = False) -> list[int]:
    """Weights per layer, density eps (in + out) / (in out), ``count`` in all and at least one each.

    A layer that would hold more than it can is dense, and eps is solved again for the others.

    Args:
        shapes: (out, in) per layer.
        dense_output: the last layer is dense to begin with (SET), unless it would take more than half.
    """
    room = [out * fan_in for out, fan_in in shapes]
    dense = {len(shapes) - 1} if dense_output and room[-1] <= DENSE_OUTPUT * count else set[int]()
    while True:
        open_layers = [i for i in range(len(shapes)) if i not in dense]
        spare = count - sum(room[i] for i in dense)
        eps = spare / max(1, sum(sum(shapes[i]) for i in open_layers))
        full = {i for i in open_layers if eps * sum(shapes[i]) >= room[i]}
        if not full:
            break
        dense |= full
    wanted = [float(room[i]) if i in dense else eps * sum(shape) for i, shape in enumerate(shapes)]
    return _rounded(wanted, room, count)


def _rounded(wanted: Sequence[float], room: Sequence[int], count: int) -> list[int]:
    """Whole numbers from 1 to ``room`` next to those wanted, with the exact sum."""
    counts = [min(most, max(1, int(share))) for share, most in zip(wanted, room, strict=True)]
    while (missing := count - sum(counts)) != 0:
        step = 1 if missing > 0 else -1
        movable = [i for i, count in enumerate(counts) if 1 <= count + step <= room[i]]
        if not movable:
            break
        counts[max(movable, key=lambda i: step * (wanted[i] - counts[i]))] += step
    return counts


def cosine(fraction: float, step: int, end: float) -> float:
    """RigL's share of weights to exchange, fraction / 2 (1 + cos(pi t / T_end))."""
    return 0.5 * fraction * (1.0 + math.cos(math.pi * step / end))


def exchange_at_random(
    weight: Tensor, kept: Tensor, *, gradient: Tensor, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """SET: the smallest positive and the largest negative weights go, as many random ones come. Shape: any -> same.

    New weights are N(0, 1/100); a place that was just left may be taken again.
    """
    del gradient
    positive, negative = kept & (weight >= 0), kept & (weight < 0)
    stays = torch.zeros_like(kept)
    for side in (positive, negative):
        count = int(side.sum())
        stays |= top(weight.abs().where(side, -torch.inf), count - int(fraction * count))
    places = torch.rand(weight.shape, generator=generator, dtype=weight.dtype)
    grown = top(places.where(~stays, -torch.inf), int(kept.sum() - stays.sum()))
    fresh = GROWN * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    return (weight * stays).where(~grown, fresh), stays | grown


def exchange_by_gradient(
    weight: Tensor, kept: Tensor, *, gradient: Tensor, fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """RigL: the smallest |w| go, the largest |dL/dw| of all others come, at 0. Shape: any -> same.

    A weight that goes and comes back keeps its value.
    """
    del generator
    count = int(kept.sum())
    stays = top(weight.abs().where(kept, -torch.inf), count - int(fraction * count))
    grown = top(gradient.abs().where(~stays, -torch.inf), count - int(stays.sum()))
    now = stays | grown
    return weight * (now & kept), now
