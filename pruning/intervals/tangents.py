"""First derivatives of every layer enclosed over a box: tangents along directions, and products of pairs of them.

    [da_1] = W_1 u,   [dh_l] = phi'([a_l]) o [da_l],   [da_{l+1}] = W_{l+1} [dh_l]

A direction is carried through the network as one tangent, and a pair of equal directions is one square, which is never
negative. ReLU, which bends at its kinks, has tangents everywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from pruning.intervals.adjoint import Enclosure
from pruning.intervals.affine_forms import exact, span
from pruning.intervals.interval import Interval, activation_range, multiply, square
from surrogate.functions.network import Network


def tangents(
    network: Network, enclosure: Enclosure, directions: Tensor, constants: Sequence[Tensor] | None = None
) -> tuple[tuple[Interval, ...], tuple[Interval, ...]]:
    """dh_l and da_{l+1} along directions; dh of a node with a constant (not NaN) may be 0 as well.

    Shape: directions (direction, input), constants (width,) a layer -> ... direction width, per layer 0..L and 0..L-1.
    """
    zeros = [None] * len(network.weights) if constants is None else [0.0 * constant for constant in constants]
    batch = enclosure.nodes[0].lower.shape[:-1]
    along = exact(directions, batch, enclosure.method)
    if zeros[0] is not None:
        along = span(along.interval.with_value(zeros[0]), enclosure.method)
    nodes, preactivations = [along.interval], []
    for layer, (weight, a) in enumerate(zip(network.weights[:-1], enclosure.preactivations, strict=True), start=1):
        along = along.linear(weight)
        preactivations.append(along.interval)
        slope = activation_range(network.activation_of(layer), 1, a).unsqueeze(-2)
        along = along.times(slope, constants=zeros[layer])
        nodes.append(along.interval)
    return tuple(nodes), tuple(preactivations)


def products(tangent: Interval, first: Tensor, second: Tensor) -> Interval:
    """Tangents of pairs of directions, multiplied. Shape: ... direction width; pair; pair -> ... pair width."""
    left = Interval(tangent.lower[..., first, :], tangent.upper[..., first, :])
    right = Interval(tangent.lower[..., second, :], tangent.upper[..., second, :])
    mixed, same = multiply(left, right), (first == second)[:, None]
    squares = square(left)
    return Interval(squares.lower.where(same, mixed.lower), squares.upper.where(same, mixed.upper))
