"""Interval arithmetic in float64, rounded outward.

Every operation returns an interval that holds the exact result for all real operands in the given ones. torch rounds to
nearest, so each result is widened by a bound on its rounding error: gamma_n = n u / (1 - n u) times the sum of absolute
terms for a product with a matrix (Higham 2002, 3.1), a few units in the last place for an activation. The second is an
assumption on the platform's exp, sigmoid and tanh, not a theorem.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pricing.domain import Box
from surrogate.functions.activations import ACTIVATIONS, ActivationName

EPSILON = torch.finfo(torch.float64).eps
# Guards a product that underflows, whose relative error has no bound.
TINY = torch.finfo(torch.float64).tiny
# EPSILONs of max(1, |phi|) granted to an activation: a handful of operations, each good to about one. The worst is the
# slope of SiLU near a = 37, the last place where s is not 1: it multiplies the rounding of 1 - s by a.
ACTIVATION_ULPS = 64
# Stationary points (z, value there) of phi and its first three derivatives: the only places besides end points where a
# range has its ends.
STATIONARY: Mapping[ActivationName, tuple[tuple[tuple[float, float], ...], ...]] = {
    "silu": (
        ((-1.2784645427610738, -0.2784645427610738),),
        ((-2.3993572805154677, -0.0998393201288669), (2.3993572805154677, 1.0998393201288670)),
        ((-3.4358409935351107, -0.0369143731998932), (0.0, 0.5), (3.4358409935351107, -0.0369143731998932)),
        (
            (-4.4292351005572280, -0.0138622976554703),
            (-1.0319582417807491, 0.3081815157964791),
            (1.0319582417807491, -0.3081815157964791),
            (4.4292351005572280, 0.0138622976554703),
        ),
    ),
    "softplus": (
        (),
        (),
        ((0.0, 0.25),),
        ((-1.3169578969248167, 0.0962250448649376), (1.3169578969248167, -0.0962250448649376)),
    ),
    "tanh": (
        (),
        ((0.0, 1.0),),
        ((-0.6584789484624083, 0.7698003589195010), (0.6584789484624083, -0.7698003589195010)),
        ((-1.1462158347805888, 0.6666666666666667), (0.0, -2.0), (1.1462158347805888, 0.6666666666666667)),
    ),
    "relu": ((), (), (), ()),
    "identity": ((), (), (), ()),
}


@dataclass(frozen=True)
class Interval:
    """All tensors between two bounds, the bounds included. Shape: both bounds the same."""

    lower: Tensor
    upper: Tensor

    @property
    def width(self) -> Tensor:
        """upper - lower. Shape: any -> same."""
        return self.upper - self.lower

    @property
    def middle(self) -> Tensor:
        """A point inside, half way up to rounding. Shape: any -> same."""
        return torch.minimum(self.lower + 0.5 * self.width, self.upper)

    @property
    def radius(self) -> Tensor:
        """Largest distance from `middle`, rounded up. Shape: any -> same."""
        distance = torch.maximum(self.middle - self.lower, self.upper - self.middle)
        return torch.nextafter(distance, distance.new_full((), torch.inf))

    @property
    def magnitude(self) -> Tensor:
        """Largest absolute value. Shape: any -> same."""
        return torch.maximum(self.lower.abs(), self.upper.abs())

    def widen(self, by: Tensor) -> Interval:
        """Both bounds moved outward. Shape: any, what broadcasts to it -> same."""
        return Interval(self.lower - by, self.upper + by)

    def with_value(self, value: Tensor) -> Interval:
        """Stretched as far as a value; NaN stretches nothing. Shape: any, what broadcasts to it -> same."""
        return Interval(torch.fmin(self.lower, value), torch.fmax(self.upper, value))

    def meet(self, other: Interval) -> Interval:
        """What both hold. They enclose the same numbers, so it is never empty. Shape: any, same -> same."""
        return Interval(torch.maximum(self.lower, other.lower), torch.minimum(self.upper, other.upper))

    def unsqueeze(self, dim: int) -> Interval:
        """With one more dimension of length 1. Shape: any -> with a 1 at ``dim``."""
        return Interval(self.lower.unsqueeze(dim), self.upper.unsqueeze(dim))

    def hull(self) -> Interval:
        """The smallest interval that holds those of all boxes of a batch. Shape: ... width -> width."""
        width = self.lower.shape[-1]
        return Interval(self.lower.reshape(-1, width).amin(dim=0), self.upper.reshape(-1, width).amax(dim=0))


def interval_of(box: Box) -> Interval:
    """A Box as an interval. Shape: -> (feature,)."""
    return Interval(torch.from_numpy(box.lower.copy()), torch.from_numpy(box.upper.copy()))


def rounding(weight: Tensor, magnitude: Tensor, bias: Tensor | None = None) -> Tensor:
    """Bound on the rounding error of x W^T + b for |x| <= magnitude. Shape: out in, ... in -> ... out."""
    absolute = magnitude @ weight.abs().T
    if bias is not None:
        absolute = absolute + bias.abs()
    # Two halves of n products, their sum and the bias round n + 2 times by half an EPSILON. Four times that covers this
    # line's own rounding, and leaves room in an enclosure for the bias that `compact.fold` rounds once.
    return 2 * (weight.shape[1] + 2) * EPSILON * absolute + TINY


def affine(weight: Tensor, x: Interval, bias: Tensor | None = None) -> Interval:
    """x W^T + b, the positive part of W on one bound and its negative part on the other. Shape: ... in -> ... out."""
    positive, negative = weight.clamp(min=0.0).T, weight.clamp(max=0.0).T
    lower = x.lower @ positive + x.upper @ negative
    upper = x.upper @ positive + x.lower @ negative
    if bias is not None:
        lower, upper = lower + bias, upper + bias
    return Interval(lower, upper).widen(rounding(weight, x.magnitude, bias))


def multiply(a: Interval, b: Interval) -> Interval:
    """Elementwise product: the least and the largest of the four products of the bounds.

    Shape: what broadcasts -> any.
    """
    ll, lu, ul, uu = a.lower * b.lower, a.lower * b.upper, a.upper * b.lower, a.upper * b.upper
    product = Interval(
        torch.minimum(torch.minimum(ll, lu), torch.minimum(ul, uu)),
        torch.maximum(torch.maximum(ll, lu), torch.maximum(ul, uu)),
    )
    return product.widen(EPSILON * product.magnitude + TINY)


def add(a: Interval, b: Interval) -> Interval:
    """Elementwise sum. Shape: what broadcasts -> any."""
    total = Interval(a.lower + b.lower, a.upper + b.upper)
    return total.widen(EPSILON * total.magnitude)


def subtract(a: Interval, b: Interval) -> Interval:
    """Elementwise difference. Shape: what broadcasts -> any."""
    return add(a, Interval(-b.upper, -b.lower))


def square(a: Interval) -> Interval:
    """Elementwise square: the product of an interval with itself forgets that it is never negative.

    Shape: any -> same.
    """
    least = a.lower.clamp(min=0.0) - a.upper.clamp(max=0.0)
    squares = Interval(least * least, a.magnitude * a.magnitude)
    wide = squares.widen(EPSILON * squares.magnitude + TINY)
    return Interval(wide.lower.clamp(min=0.0), wide.upper)


def activation_range(name: ActivationName, order: int, z: Interval) -> Interval:
    """Exact range of the derivative of an order 0 to 3 of phi on z, rounded outward; relu's where it exists.

    Shape: any -> same.
    """
    phi = ACTIVATIONS[name]
    return range_between(name, order, z, phi(z.lower)[order], phi(z.upper)[order])


def range_between(name: ActivationName, order: int, z: Interval, at_lower: Tensor, at_upper: Tensor) -> Interval:
    """`activation_range` for whoever has the values at both ends already. Shape: any, each -> same."""
    lower, upper = torch.minimum(at_lower, at_upper), torch.maximum(at_lower, at_upper)
    for place, value in STATIONARY[name][order]:
        inside = (z.lower <= place) & (place <= z.upper)
        lower = lower.where(~inside, lower.clamp(max=value))
        upper = upper.where(~inside, upper.clamp(min=value))
    return Interval(lower, upper).widen(
        ACTIVATION_ULPS * EPSILON * torch.maximum(lower.abs(), upper.abs()).clamp(min=1.0)
    )
