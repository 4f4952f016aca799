"""Derivatives of every layer along inputs, enclosed over a box: tangents forward, and what they do to the adjoints.

With q = dy/dh enclosed (`pruning.intervals.adjoint`), along inputs u and v and layer by layer

    da_l^u    = W_l t_{l-1}^u                                       t_l^u  = phi'(a_l) o da_l^u
    s_l^uv    = phi''(a_l) o da_l^u o da_l^v + phi'(a_l) o W_l s_{l-1}^uv
    p_{l-1}^u = (p_l^u o phi'(a_l) + q_l o phi''(a_l) o da_l^u) W_l

are the tangents dh/du, the second tangents d2h/(du dv) and p = d2y/(dh du); z = d3y/(dh du dv) follows by the product
rule. A direction is carried through the network as one tangent, and a pair of equal directions is one square, which is
never negative. ReLU, which bends at its kinks, has tangents everywhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pruning.intervals.adjoint import Enclosure
from pruning.intervals.affine_forms import exact, span
from pruning.intervals.interval import Interval, activation_range, add, affine, multiply, square
from surrogate.functions.network import Network


@dataclass(frozen=True, kw_only=True)
class FirstOrder:
    """First derivatives along directions. Layers 0..L for nodes, 1..L for pre-activations.

    Shape: nodes, preactivations (..., direction, width); adjoints d2y/(dh du) (..., direction, output, width).
    """

    nodes: tuple[Interval, ...]
    preactivations: tuple[Interval, ...]
    adjoints: tuple[Interval, ...]


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


def first_order(
    network: Network, enclosure: Enclosure, directions: Tensor, constants: Sequence[Tensor] | None = None
) -> FirstOrder:
    """Tangents along directions, and the derivatives of the adjoints. Shape: direction input ->."""
    nodes, preactivations = tangents(network, enclosure, directions, constants)
    zero = directions.new_zeros(len(directions), network.widths[-1], network.widths[-2])
    along = exact(zero, nodes[0].lower.shape[:-2], enclosure.method)
    adjoints = [along.interval]
    slopes, bends = _ranges(network, enclosure, 1), _ranges(network, enclosure, 2)
    for layer in range(len(slopes) - 1, -1, -1):
        turned = multiply(enclosure.adjoints[layer + 1], bends[layer].unsqueeze(-2)).unsqueeze(-3)
        plus = multiply(turned, preactivations[layer].unsqueeze(-2))
        along = along.times(slopes[layer].unsqueeze(-2).unsqueeze(-2), plus).linear(network.weights[layer].T)
        adjoints.append(along.interval)
    return FirstOrder(nodes=nodes, preactivations=preactivations, adjoints=tuple(adjoints[::-1]))


def second_order(
    network: Network,
    enclosure: Enclosure,
    rates: FirstOrder,
    pairs: tuple[Tensor, Tensor],
    constants: Sequence[Tensor] | None,
) -> tuple[list[Interval], list[Interval]]:
    """Second tangents of the nodes, and d3y/(dh du dv), for pairs of directions.

    Shape: pairs of indices (pair,) -> ... pair width; ... pair output width, per layer 0..L.
    """
    first, second = pairs
    slopes, bends, twists = (_ranges(network, enclosure, order) for order in (1, 2, 3))
    batch, outputs = enclosure.nodes[0].lower.shape[:-1], network.widths[-1]
    zero = network.weights[0].new_zeros(*batch, len(first), network.widths[0])
    nodes, bent, squares = [Interval(zero, zero)], [], []
    for layer, slope in enumerate(slopes):
        bent.append(affine(network.weights[layer], nodes[-1]))
        squares.append(products(rates.preactivations[layer], first, second))
        node = multiply(squares[-1], bends[layer].unsqueeze(-2))
        nodes.append(_to_zero(add(node, multiply(bent[-1], slope.unsqueeze(-2))), layer + 1, constants))
    none = network.weights[0].new_zeros(*batch, len(first), outputs, network.widths[-2])
    adjoints = [Interval(none, none)]
    for layer in range(len(slopes) - 1, -1, -1):
        bend, a = bends[layer].unsqueeze(-2), rates.preactivations[layer].unsqueeze(-2)
        curved = add(multiply(twists[layer].unsqueeze(-2), squares[layer]), multiply(bend, bent[layer])).unsqueeze(-2)
        here = multiply(adjoints[-1], slopes[layer].unsqueeze(-2).unsqueeze(-2))
        here = add(here, multiply(enclosure.adjoints[layer + 1].unsqueeze(-3), curved))
        p = rates.adjoints[layer + 1]
        for one, other in ((first, second), (second, first)):
            pair = multiply(_pick(p, one, -3), _pick(a, other, -3))
            here = add(here, multiply(pair, bend.unsqueeze(-2)))
        adjoints.append(affine(network.weights[layer].T, here))
    return nodes, adjoints[::-1]


def products(tangent: Interval, first: Tensor, second: Tensor) -> Interval:
    """Tangents of pairs of directions, multiplied. Shape: ... direction width; pair; pair -> ... pair width."""
    left = Interval(tangent.lower[..., first, :], tangent.upper[..., first, :])
    right = Interval(tangent.lower[..., second, :], tangent.upper[..., second, :])
    mixed, same = multiply(left, right), (first == second)[:, None]
    squares = square(left)
    return Interval(squares.lower.where(same, mixed.lower), squares.upper.where(same, mixed.upper))


def _ranges(network: Network, enclosure: Enclosure, order: int) -> list[Interval]:
    """A derivative of the activation, per hidden layer. Shape: ... width."""
    return [
        activation_range(network.activation_of(layer), order, a)
        for layer, a in enumerate(enclosure.preactivations, start=1)
    ]


def _to_zero(tangent: Interval, layer: int, constants: Sequence[Tensor] | None) -> Interval:
    """Tangents of nodes that may be constants stretched to 0."""
    return tangent if constants is None else tangent.with_value(0.0 * constants[layer])


def _pick(interval: Interval, index: Tensor, dim: int) -> Interval:
    """Entries of a dimension."""
    return Interval(interval.lower.index_select(dim, index), interval.upper.index_select(dim, index))
