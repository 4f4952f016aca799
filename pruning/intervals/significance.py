"""Interval adjoint significance: how much a node can move the output over a box, and a proven bound on leaving it out.

    S_j = width [h_j]  max |[dy/dh_j]|

A node replaced by the middle of its interval moves the output by at most S_j / 2. For a set R replaced in one go

    |y'(x) - y(x)| <= 1/2 sum over R of S_j     for every x in the box, all S_j of the network before.

Proof: replace the nodes one at a time, inputs first. What is replaced stays inside its interval, so every value stays
in its enclosure (the rounding of the next bias included, see `interval.rounding`); what is downstream is still alive,
so the derivative by the next node is one that [dy/dh_j] encloses; the mean value theorem gives S_j / 2 for that step.
Rounds add up by the triangle inequality. With any other constant inside the interval, S_j / 2 becomes its distance to
the farther end times max |[dy/dh_j]|.

Over sub-boxes (`pruning.intervals.split`) S_j is the largest of 2 max |c_j - [h_j]| max |[dy/dh_j]|, c_j the middle of
the hull of all [h_j]: never more than over the whole box. A constant need not be in [h_j] of every sub-box, nor on the
lines that an affine form follows; the bound then comes from a second enclosure, in which what is removed may be its
constant.

The bound is on the two functions in exact arithmetic; evaluating either of them rounds in addition.

References: Afghan & Naumann, "Interval adjoint significance analysis for neural networks" (ICCS 2020); Kichler, Afghan
& Naumann, "Towards Sobolev pruning" (PASC 2024). The proof of the bound is ours.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pruning.compact import fold
from pruning.intervals.adjoint import Enclosure, enclose
from pruning.intervals.interval import Interval
from surrogate.functions.network import Network, forward

# Covers the rounding of a sum of a million non-negative terms.
SUMMATION = 1e-9


def significance(enclosure: Enclosure) -> tuple[Tensor, ...]:
    """S of every node, inputs first; several outputs add up. Shape: -> width, per layer 0..L."""
    return tuple(
        (2.0 * reach(node, node.hull().middle) * adjoint.magnitude.sum(dim=-2))
        .reshape(-1, node.lower.shape[-1])
        .amax(0)
        for node, adjoint in zip(enclosure.nodes, enclosure.adjoints, strict=True)
    )


def reach(node: Interval, constant: Tensor) -> Tensor:
    """Largest distance from a constant. Shape: ... width; width -> ... width."""
    return torch.maximum(node.upper - constant, constant - node.lower)


def remove(
    network: Network, enclosure: Enclosure, keep: Sequence[Tensor], constants: Sequence[Tensor] | None = None
) -> tuple[Network, float]:
    """Replace the nodes that are not kept by constants; the new network and the bound on |y' - y| over the box.

    Args:
        keep: layers 0..L, True = kept. Shape: (width,) each.
        constants: values inside the nodes' intervals; by default the middles. Shape: (width,) each.
    """
    hulls = [node.hull() for node in enclosure.nodes]
    values = [
        node.middle if constants is None else torch.clamp(constants[layer], node.lower, node.upper)
        for layer, node in enumerate(hulls)
    ]
    loosened = loosen(network, enclosure, keep, values)
    bound = torch.zeros((), dtype=network.dtype)
    smaller = network
    for layer, kept in enumerate(keep):
        if kept.all():
            continue
        distance = reach(loosened.nodes[layer], values[layer]) * loosened.adjoints[layer].magnitude.sum(dim=-2)
        # The next bias is rounded; its error reaches the output through the derivative by the pre-activations.
        carried = loosened.slack[layer] * loosened.preadjoints[layer].magnitude.sum(dim=-2)
        bound = bound + distance[..., ~kept].sum(dim=-1) + carried.sum(dim=-1)
        smaller = fold(smaller, layer, kept, values[layer])
    return smaller, float(bound.max()) * (1.0 + SUMMATION)


def loosen(network: Network, enclosure: Enclosure, keep: Sequence[Tensor], values: Sequence[Tensor]) -> Enclosure:
    """An enclosure that holds with any of the nodes that are not kept replaced by values inside their hulls.

    Shape: keep, values (width,), layers 0..L.
    """
    boxes = enclosure.nodes[0]
    if all(kept.all() for kept in keep) or (enclosure.method == "interval" and boxes.lower.ndim == 1):
        return enclosure
    constants = [value.where(~kept, torch.nan) for value, kept in zip(values, keep, strict=True)]
    return enclose(network, boxes, method=enclosure.method, constants=constants)


def means(network: Network, x: Tensor) -> tuple[Tensor, ...]:
    """Mean of every node over samples in raw units: constants that cost less on average, more in the worst case.

    Shape: batch input -> (width,), layers 0..L.
    """
    return (x.mean(dim=0), *(phi[0].mean(dim=0) for phi in forward(network, x)[1]))
