"""Value, first and second directional derivatives of a network over sub-boxes of a chart, with their slopes.

Along a direction z of the inputs, T = da/ds and K = d2a/ds2 of the pre-activations obey (univariate Taylor mode)

    T_1 = W_1 z,  T_{l+1} = W_{l+1} (phi' T_l)            K_1 = 0,  K_{l+1} = W_{l+1} (phi'' T_l^2 + phi' K_l)

and beside each its gradient by the coordinates t of the chart is enclosed by the same rules. With it every quantity g
of every layer is held by its natural extension and by its mean value form about the middle c of the sub-box,

    g(t) in g(c) + [dg/dt] (t - c),

whose excess falls with the square of the width.

References: Moore, Kearfott & Cloud, Introduction to Interval Analysis (2009), 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from pruning.certificates.chart import SLACK, LinearForm
from pruning.intervals.interval import Interval, activation_range, add, affine, multiply, square
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network

# What one sub-box costs is counted in products of the matrices of one sweep. The arithmetic between them costs as much
# for every number as so many products: a fit to widths of 3 to 256 and two to six layers.
ELEMENTWISE = 100
# Products that a search may take: two to five seconds on one core.
WORK = 1 << 30


@dataclass(frozen=True, kw_only=True)
class Jet:
    """Value, T and K, as far as the order goes, and their slopes where they are known.

    Shape: orders[i] (box, 1 or direction, width), slopes[i] (box, coordinate, 1 or direction, width).
    """

    orders: tuple[Interval, ...]
    slopes: tuple[Interval, ...]


def start(form: LinearForm, tangents: Interval, t: Interval, *, order: int, sloped: bool = True) -> Jet:
    """The jet of the first pre-activations, with slopes if asked for.

    Shape: tangents (direction, width), t (box, coordinate) ->.
    """
    boxes, coordinates = t.lower.shape
    slope = form.slope.T[None, :, None, :].expand(boxes, -1, -1, -1)
    orders, slopes = [form.over(t).unsqueeze(1)], [Interval(slope, slope)]
    if order:
        shape = (boxes, *tangents.lower.shape)
        zero, flat = slope.new_zeros(shape), slope.new_zeros(boxes, coordinates, *shape[1:])
        along = Interval(tangents.lower.expand(shape), tangents.upper.expand(shape))
        orders += [along, *[Interval(zero, zero)] * (order - 1)]
        slopes += [Interval(flat, flat)] * order
    return Jet(orders=tuple(orders), slopes=tuple(slopes) if sloped else ())


def ranges(name: ActivationName, jet: Jet) -> list[Interval]:
    """phi and the derivatives that `through` asks for, on the jet's pre-activations. Shape: -> (box, 1, width)."""
    count = len(jet.orders) + bool(jet.slopes)
    return [activation_range(name, order, jet.orders[0]) for order in range(count)]


def through(phi: Sequence[Interval], jet: Jet) -> Jet:
    """The jet of phi(a). Shape: phi[i] (box, 1, width) -> a jet of the same width."""
    orders = [phi[0]]
    if len(jet.orders) > 1:
        orders.append(multiply(phi[1], jet.orders[1]))
    if len(jet.orders) > 2:
        orders.append(add(multiply(phi[2], square(jet.orders[1])), multiply(phi[1], jet.orders[2])))
    return Jet(orders=tuple(orders), slopes=_slopes_through(phi, jet) if jet.slopes else ())


def _slopes_through(phi: Sequence[Interval], jet: Jet) -> tuple[Interval, ...]:
    """phi' a_t, then phi'' T a_t + phi' T_t, then (phi''' T^2 + phi'' K) a_t + 2 phi'' T T_t + phi' K_t."""
    up, orders = [each.unsqueeze(1) for each in phi], [each.unsqueeze(1) for each in jet.orders]
    slope = jet.slopes[0]
    slopes = [multiply(up[1], slope)]
    if len(orders) > 1:
        bent = multiply(up[2], orders[1])
        slopes.append(add(multiply(bent, slope), multiply(up[1], jet.slopes[1])))
    if len(orders) > 2:
        twice = multiply(bent, jet.slopes[1])
        steep = multiply(add(multiply(up[3], square(orders[1])), multiply(up[2], orders[2])), slope)
        slopes.append(add(add(steep, multiply(up[1], jet.slopes[2])), add(twice, twice)))
    return tuple(slopes)


def onward(weight: Tensor, bias: Tensor, jet: Jet) -> Jet:
    """The jet of W h + b. Shape: weight out in, bias (out,) -> a jet of width out."""
    return Jet(
        orders=tuple(affine(weight, each, bias if i == 0 else None) for i, each in enumerate(jet.orders)),
        slopes=tuple(affine(weight, slope) for slope in jet.slopes),
    )


def tightened(jet: Jet, centre: Jet, radius: Tensor) -> Jet:
    """All orders cut with their mean value forms. Shape: radius (box, coordinate)."""
    orders = tuple(
        natural.meet(at.widen(reach(slope, radius)))
        for natural, at, slope in zip(jet.orders, centre.orders, jet.slopes, strict=True)
    )
    return Jet(orders=orders, slopes=jet.slopes)


def reach(slope: Interval, radius: Tensor) -> Tensor:
    """How far a slope carries within a sub-box: sum_k |dg/dt_k| r_k. Shape: box coordinate ..., box coordinate ->."""
    return torch.einsum("bk...,bk->b...", slope.magnitude, radius) * (1.0 + SLACK)


def sweep(network: Network, form: LinearForm, tangents: Interval, t: Interval, *, order: int) -> tuple[Jet, Jet]:
    """The jets of the outputs over sub-boxes and, without slopes, at their middles; ``form`` is the first layer's.

    Shape: t (box, coordinate) -> orders (box, 1 or direction, output).
    """
    jet = start(form, tangents, t, order=order)
    centre = start(form, tangents, middle(t), order=order, sloped=False)
    for layer, (weight, bias) in enumerate(zip(network.weights[1:], network.biases[1:], strict=True), start=1):
        name = network.activation_of(layer)
        jet, centre = (onward(weight, bias, through(ranges(name, at), at)) for at in (jet, centre))
        jet = tightened(jet, centre, t.radius)
    return jet, centre


def affordable(widths: Sequence[int], slopes: int) -> int:
    """Sub-boxes for `WORK`: each takes slopes x sum_{l >= 1} w_l (w_{l+1} + `ELEMENTWISE`); 0 if one is too much.

    Args:
        slopes: numbers that are carried beside every node, coordinates times directions.
    """
    each = sum(width * (after + ELEMENTWISE) for width, after in pairwise((*widths[1:], 0)))
    return WORK // (slopes * each)


def middle(t: Interval) -> Interval:
    """The middles of sub-boxes, as sub-boxes. Shape: box coordinate -> box coordinate."""
    return Interval(t.middle, t.middle)
