"""What lies between two networks of one shape, enclosed layer by layer instead of subtracted at the end.

With D = W' - W, e = b' - b, and p', p the ranges of phi and its derivatives on the two pre-activations a', a:

    d a_{l+1} = W' dh + D h + e,    dh = phi'(xi) da,    xi around a and a'

and for T = da/dx along a direction and for slopes by the coordinates of the chart (marked _t)

    d(phi' T)    = p1' dT + d(phi') T
    d(phi' a_t)  = p1' da_t + d(phi') a_t
    d(phi' T)_t  = p1' dT_t + d(phi') T_t + p2' (T' da_t + dT a_t) + d(phi'') T a_t

with d(phi') = phi''(xi) da and so on. Every term has a factor that is a difference, so that the widths of the
enclosures go with the size of what was pruned. They are cut with the plain differences and with mean value forms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from pruning.certificates.chart import LinearForm
from pruning.certificates.jets import Jet, middle, onward, ranges, start, sweep, through, tightened
from pruning.intervals.interval import EPSILON, Interval, activation_range, add, affine, multiply, subtract
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two networks from their first pre-activations on, and the difference of these if the shapes are the same.

    forms, tangents: of the first layers of the two and, if known, of their difference.
    Shape: tangents[i] (direction, width).
    """

    networks: tuple[Network, Network]
    forms: tuple[LinearForm, ...]
    tangents: tuple[Interval, ...]

    def over(self, t: Interval, *, order: int) -> Jet:
        """The second network less the first. Shape: (box, coordinate) -> a jet of the outputs."""
        if len(self.forms) == 2:
            (jet, centre), (other, other_centre) = (
                sweep(network, form, tangents, t, order=order)
                for network, form, tangents in zip(self.networks, self.forms, self.tangents, strict=True)
            )
            return tightened(less(other, jet), less(other_centre, centre), t.radius)
        return _layer_by_layer(self, t, order=order)


@dataclass(frozen=True, kw_only=True)
class _Layer:
    """The jets of one layer: of the first network, of the second, of the second less the first."""

    first: Jet
    second: Jet
    change: Jet

    def cut(self, centre: _Layer, radius: Tensor) -> _Layer:
        """All three cut with their mean value forms. Shape: radius input."""
        first, second = tightened(self.first, centre.first, radius), tightened(self.second, centre.second, radius)
        return _Layer(first=first, second=second, change=tightened(self.change, centre.change, radius))


def _layer_by_layer(pair: Pair, t: Interval, *, order: int) -> Jet:
    layer = _first(pair, t, order=order, sloped=True)
    centre = _first(pair, middle(t), order=order, sloped=False)
    for number in range(1, len(pair.networks[0].weights)):
        layer, centre = (_next(pair.networks, number, at) for at in (layer, centre))
        layer = layer.cut(centre, t.radius)
    return layer.change


def _first(pair: Pair, t: Interval, *, order: int, sloped: bool) -> _Layer:
    first, second, change = (
        start(form, tangents, t, order=order, sloped=sloped)
        for form, tangents in zip(pair.forms, pair.tangents, strict=True)
    )
    return _Layer(first=first, second=second, change=change)


def _next(networks: tuple[Network, Network], number: int, layer: _Layer) -> _Layer:
    """The next pre-activations: through the activation and the weights ``number``."""
    name = networks[0].activation_of(number)
    (weight, other_weight), (bias, other_bias) = (
        [getattr(network, kind)[number] for network in networks] for kind in ("weights", "biases")
    )
    phi, other_phi = ranges(name, layer.first), ranges(name, layer.second)
    h, other_h = through(phi, layer.first), through(other_phi, layer.second)
    moved = _moved(name, layer, phi, other_phi)
    dh = _changed(other_phi, moved, layer)
    first, second = onward(weight, bias, h), onward(other_weight, other_bias, other_h)
    change = _onward(dh, h, other_weight, other_weight - weight, other_bias - bias)
    plain = less(second, first)
    return _Layer(
        first=first,
        second=second,
        change=Jet(
            orders=tuple(a.meet(b) for a, b in zip(change.orders, plain.orders, strict=True)),
            slopes=tuple(a.meet(b) for a, b in zip(change.slopes, plain.slopes, strict=True)),
        ),
    )


def _moved(
    name: ActivationName, layer: _Layer, phi: Sequence[Interval], other_phi: Sequence[Interval]
) -> list[Interval]:
    """phi^(i)(a') - phi^(i)(a) for every order i, by the mean value theorem where phi^(i) is continuous."""
    a, other, change = (jet.orders[0] for jet in (layer.first, layer.second, layer.change))
    between = a.with_value(other.lower).with_value(other.upper)
    moved = [subtract(after, before) for after, before in zip(other_phi, phi, strict=True)]
    smooth = 1 if name == "relu" else len(moved)
    return [
        plain.meet(multiply(activation_range(name, order + 1, between), change)) if order < smooth else plain
        for order, plain in enumerate(moved)
    ]


def _changed(phi: Sequence[Interval], moved: Sequence[Interval], layer: _Layer) -> Jet:
    """The difference of the jets of phi(a') and phi(a); ``phi`` are the ranges on a'."""
    orders = [moved[0]]
    if len(layer.change.orders) > 1:
        orders.append(add(multiply(phi[1], layer.change.orders[1]), multiply(moved[1], layer.first.orders[1])))
    return Jet(orders=tuple(orders), slopes=_slopes_changed(phi, moved, layer) if layer.change.slopes else ())


def _slopes_changed(phi: Sequence[Interval], moved: Sequence[Interval], layer: _Layer) -> tuple[Interval, ...]:
    up, shift = [each.unsqueeze(1) for each in phi], [each.unsqueeze(1) for each in moved]
    slope, turn = layer.first.slopes[0], layer.change.slopes[0]
    slopes = [add(multiply(up[1], turn), multiply(shift[1], slope))]
    if len(layer.change.orders) > 1:
        tangent, other, change = (jet.orders[1].unsqueeze(1) for jet in (layer.first, layer.second, layer.change))
        steady = add(multiply(up[1], layer.change.slopes[1]), multiply(shift[1], layer.first.slopes[1]))
        steep = add(multiply(up[2], change), multiply(shift[2], tangent))
        slopes.append(add(steady, add(multiply(multiply(up[2], other), turn), multiply(steep, slope))))
    return tuple(slopes)


def _onward(change: Jet, h: Jet, weight: Tensor, gap: Tensor, shift: Tensor) -> Jet:
    """W' dh + D h + e, where ``gap`` and ``shift`` are D and e rounded."""

    def step(dh: Interval, at: Interval, bias: Tensor | None) -> Interval:
        slack = EPSILON * (at.magnitude @ gap.abs().T) + (0.0 if bias is None else EPSILON * bias.abs())
        return add(affine(weight, dh), affine(gap, at, bias)).widen(slack)

    return Jet(
        orders=tuple(
            step(dh, at, shift if i == 0 else None)
            for i, (dh, at) in enumerate(zip(change.orders, h.orders, strict=True))
        ),
        slopes=tuple(step(dh, at, None) for dh, at in zip(change.slopes, h.slopes, strict=True)),
    )


def less(a: Jet, b: Jet) -> Jet:
    """The difference of two jets."""
    return Jet(
        orders=tuple(subtract(x, y) for x, y in zip(a.orders, b.orders, strict=True)),
        slopes=tuple(subtract(x, y) for x, y in zip(a.slopes, b.slopes, strict=True)),
    )
