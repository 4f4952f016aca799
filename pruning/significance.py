"""Interval adjoint significance: how much a node can move the output over a box, and a proven bound on leaving it out.

    S_j = width [h_j]  max |[dy/dh_j]|

A node replaced by the middle of its interval moves the output by at most S_j / 2. For a set R replaced in one go

    |y'(x) - y(x)| <= 1/2 sum over R of S_j     for every x in the box, all S_j of the network before.

Proof: replace the nodes one at a time, inputs first. What is replaced stays inside its interval, so every value stays
in its enclosure (the rounding of the next bias included, see `interval.rounding`); what is downstream is still alive,
so the derivative by the next node is one that [dy/dh_j] encloses; the mean value theorem gives S_j / 2 for that step.
Rounds add up by the triangle inequality. With any other constant inside the interval, S_j / 2 becomes its distance to
the farther end times max |[dy/dh_j]|.

The bound is on the two functions in exact arithmetic; evaluating either of them rounds in addition.

References: Afghan & Naumann, "Interval adjoint significance analysis for neural networks" (ICCS 2020); Kichler, Afghan
& Naumann, "Towards Sobolev pruning" (PASC 2024). The proof of the bound is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pruning.adjoint import Enclosure
from pruning.compact import fold
from surrogate.network import Network, forward

# Covers the rounding of a sum of a million non-negative terms.
SUMMATION = 1e-9


def significance(enclosure: Enclosure) -> tuple[Tensor, ...]:
    """S of every node, inputs first; several outputs add up. Shape: -> width, per layer 0..L."""
    return tuple(
        node.width * adjoint.magnitude.sum(dim=0)
        for node, adjoint in zip(enclosure.nodes, enclosure.adjoints, strict=True)
    )


def remove(
    network: Network, enclosure: Enclosure, keep: Sequence[Tensor], constants: Sequence[Tensor] | None = None
) -> tuple[Network, float]:
    """Replace the nodes that are not kept by constants; the new network and the bound on |y' - y| over the box.

    Args:
        keep: layers 0..L, True = kept. Shape: (width,) each.
        constants: values inside the nodes' intervals; by default the middles. Shape: (width,) each.
    """
    bound = torch.zeros((), dtype=network.dtype)
    smaller = network
    for layer, (kept, node, adjoint) in enumerate(zip(keep, enclosure.nodes, enclosure.adjoints, strict=True)):
        if kept.all():
            continue
        constant = node.middle if constants is None else torch.clamp(constants[layer], node.lower, node.upper)
        reach = torch.maximum(node.upper - constant, constant - node.lower) * adjoint.magnitude.sum(dim=0)
        # The next bias is rounded; its error reaches the output through the derivative by the pre-activations.
        carried = enclosure.slack[layer] * enclosure.preadjoints[layer].magnitude.sum(dim=0)
        bound = bound + reach[~kept].sum() + carried.sum()
        smaller = fold(smaller, layer, kept, constant)
    return smaller, float(bound) * (1.0 + SUMMATION)


def means(network: Network, x: Tensor) -> tuple[Tensor, ...]:
    """Mean of every node over samples in raw units: constants that cost less on average, more in the worst case."""
    return (x.mean(dim=0), *(phi[0].mean(dim=0) for phi in forward(network, x)[1]))
