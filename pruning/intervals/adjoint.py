"""A network's values and derivatives enclosed over a box of inputs: one forward and one reverse interval sweep.

    forward   [a_l] = W_l [h_{l-1}] + b_l,  [h_l] = phi([a_l])
    reverse   [q_L] = W,  [q_{l-1}] = ([q_l] o phi'([a_l])) W_l

References: Afghan & Naumann, "Interval adjoint significance analysis for neural networks" (ICCS 2020).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.intervals.affine_forms import EnclosureMethod, exact, span
from pruning.intervals.interval import Interval, activation_range, rounding
from surrogate.functions.network import Network

# Entries of the largest affine form that is held: 256 MiB of float64. A batch of more boxes is enclosed in parts, by
# intervals too, which take less.
MAXIMUM_ENTRIES = 2**25


@dataclass(frozen=True, kw_only=True)
class Enclosure:
    """Intervals for every input of the box, or of every box of a batch.

    Shape, after the dimensions of the batch: nodes[l] h_l (width,), l = 0 the inputs; preactivations[l] a_{l+1} of a
    hidden layer (width,); adjoints[l] dy/dh_l (output, width); preadjoints[l] dy/da_{l+1} (output, width), the last of
    them the identity; slack[l] (width,) what rounding may add to a_{l+1}.
    """

    method: EnclosureMethod
    nodes: tuple[Interval, ...]
    preactivations: tuple[Interval, ...]
    adjoints: tuple[Interval, ...]
    preadjoints: tuple[Interval, ...]
    slack: tuple[Tensor, ...]

    def over(self, boxes: slice) -> Enclosure:
        """Some boxes of a batch of one dimension."""
        return _map(lambda bounds: bounds[0][boxes], [self])


def enclose(
    network: Network, box: Interval, *, method: EnclosureMethod = "interval", constants: Sequence[Tensor] | None = None
) -> Enclosure:
    """Natural interval extension of the network and of its gradient (float64 networks only).

    Args:
        method: "affine" narrows every interval by an affine form (`pruning.intervals.affine_forms`), at the price of L
            times the work.
        constants: values that nodes may have in place of their own, NaN for none; layers 0..L, (width,) each.

    Shape: box (..., input); the leading dimensions are a batch of boxes.
    """
    batches = [_enclose(network, boxes, method, constants) for boxes in in_batches(network, box, network.widths[-1])]
    return batches[0] if len(batches) == 1 else _map(lambda bounds: torch.cat(list(bounds)), batches)


def in_batches(network: Network, box: Interval, rows: int) -> list[Interval]:
    """The boxes of a batch of one dimension, as many at a time as have affine forms of so many rows that fit.

    Shape: box input -> fewer boxes input, each.
    """
    if box.lower.ndim != 2:
        return [box]
    size = boxes_at_once(network, rows)
    return [Interval(box.lower[i : i + size], box.upper[i : i + size]) for i in range(0, len(box.lower), size)]


def boxes_at_once(network: Network, rows: int) -> int:
    """Boxes whose affine forms, of so many rows each, fit into `MAXIMUM_ENTRIES`."""
    return max(1, MAXIMUM_ENTRIES // (rows * sum(network.widths[:-1]) * max(network.widths)))


def _enclose(network: Network, box: Interval, method: EnclosureMethod, constants: Sequence[Tensor] | None) -> Enclosure:
    """All boxes at once."""
    spare = [None] * len(network.weights) if constants is None else constants
    values = [span(box if spare[0] is None else box.with_value(spare[0]), method)]
    preactivations = []
    for layer, (weight, bias) in enumerate(zip(network.weights[:-1], network.biases[:-1], strict=True), start=1):
        a = values[-1].linear(weight, bias)
        preactivations.append(a.interval)
        values.append(a.activate(network.activation_of(layer), spare[layer]))
    nodes = tuple(value.interval for value in values)
    batch = box.lower.shape[:-1]
    preadjoints = [exact(torch.eye(network.widths[-1], dtype=network.dtype), batch, method)]
    adjoints = [exact(network.weights[-1], batch, method)]
    for layer in range(len(preactivations), 0, -1):
        slope = activation_range(network.activation_of(layer), 1, preactivations[layer - 1])
        preadjoints.append(adjoints[-1].times(slope.unsqueeze(-2)))
        adjoints.append(preadjoints[-1].linear(network.weights[layer - 1].T))
    return Enclosure(
        method=method,
        nodes=nodes,
        preactivations=tuple(preactivations),
        adjoints=tuple(sweep.interval for sweep in adjoints[::-1]),
        preadjoints=tuple(sweep.interval for sweep in preadjoints[::-1]),
        slack=tuple(
            rounding(weight, node.magnitude, bias)
            for weight, node, bias in zip(network.weights, nodes, network.biases, strict=True)
        ),
    )


def _map(function: Callable[[Sequence[Tensor]], Tensor], enclosures: Sequence[Enclosure]) -> Enclosure:
    """A function of the same bound of all enclosures, for every bound."""

    def intervals(name: str) -> Iterator[Interval]:
        for same in zip(*(getattr(each, name) for each in enclosures), strict=True):
            yield Interval(function([each.lower for each in same]), function([each.upper for each in same]))

    return Enclosure(
        method=enclosures[0].method,
        nodes=tuple(intervals("nodes")),
        preactivations=tuple(intervals("preactivations")),
        adjoints=tuple(intervals("adjoints")),
        preadjoints=tuple(intervals("preadjoints")),
        slack=tuple(function(list(same)) for same in zip(*(each.slack for each in enclosures), strict=True)),
    )
