"""The law of a variance after a step: a positive variable of given spread as one smooth function of a standard normal.

Y = ((b + Z)^+)^2, with the shape b set by the relative spread r = sd Y / E Y:

    E Y = (1 + b^2) P + b n          P = N(b), n = n(b)
    var Y = (4 b^2 + 2) P + (1 + b^2)^2 P (1 - P) + (b^3 + 5 b) n - 2 (1 + b^2) b P n - b^2 n^2

r falls from infinity to 0 as b runs through the reals. With w = (E Y)^(-1/2),

    Y / E Y = ((b w + w Z)^+)^2,     d(b w)/db = P w^3,     dw/db = -g w^3,     g = b P + n
    dr/db = 2 w^2 (w^2 H / r - g r),     H = b P (2 + (1 + b^2) (1 - P)) + n (b^2 + 2 - (1 + 2 b^2) P - b n)

For large b it is the quadratic branch of Andersen's scheme; for small b it has an atom at 0, as his other branch has,
but there is no switch: Y is continuously differentiable in Z and in r, so that pathwise derivatives of a mean are the
derivatives of the mean to second order.

References: Andersen (2008), Simple and efficient simulation of the Heston model, whose two branches this joins.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pricing.elementary import cumulative, density

# The shapes that are solved for. Beyond the first, the chance of a positive value is below 4e-5 and the moments cancel;
# beyond the second, b^2 in float64 leaves eight digits of the spread.
LOWEST, HIGHEST = -4.0, 2e4
# Cubics between knots at even distances in r / (BEND + r), which is cheaper than ln r: b w and w are right to 1e-11 up
# to r = 10, to 2e-9 at the end.
KNOTS, BEND = 1 << 12, 4.0
# Newton's method finds b at the points, from linear interpolation between as many others: three steps leave rounding.
NEWTON_STEPS = 3


def moments(b: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of Y at a shape b. Shape: any -> the same, twice."""
    P, Q, n, square = cumulative(b), cumulative(-b), density(b), b * b
    mean = (1.0 + square) * P + b * n
    variance = (4.0 * square + 2.0) * P + (1.0 + square) ** 2 * P * Q
    variance = variance + b * n * (square + 5.0 - 2.0 * (1.0 + square) * P - b * n)
    return mean, variance


def log_spread(b: Tensor) -> tuple[Tensor, Tensor]:
    """ln(sd Y / E Y) and its derivative by b. Shape: any -> the same, twice."""
    P, n, (mean, variance) = cumulative(b), density(b), moments(b)
    mean_slope = 2.0 * (b * P + n)
    variance_slope = 4.0 * ((b * b + 3.0) * b * P + (b * b + 2.0) * n) - 2.0 * mean * mean_slope
    return 0.5 * torch.log(variance) - torch.log(mean), 0.5 * variance_slope / variance - mean_slope / mean


def knots() -> tuple[float, float, Tensor]:
    """Place of the first knot, knots per unit, and the cubics of b w and of w. Shape: 2 power knot."""
    start = torch.sinh(torch.linspace(math.asinh(HIGHEST), math.asinh(LOWEST), KNOTS, dtype=torch.float64))
    known = log_spread(start)[0]
    first, last = (torch.exp(end) / (BEND + torch.exp(end)) for end in (known[0], known[-1]))
    places = torch.linspace(first.item(), last.item(), KNOTS, dtype=torch.float64)
    r = BEND * places / (1.0 - places)
    b = torch.from_numpy(np.asarray(np.interp(torch.log(r).numpy(), known.numpy(), start.numpy())))
    for _ in range(NEWTON_STEPS):
        value, slope = log_spread(b)
        b = b - (value - torch.log(r)) / slope
    w, spacing = moments(b)[0].rsqrt(), places[1] - places[0]
    by_knot = spacing * (BEND + r).square() / BEND
    pairs = zip((b * w, w), slopes(r, b * w, w), strict=True)
    coefficients = torch.stack([cubics(values, by_r * by_knot) for values, by_r in pairs])
    return places[0].item(), 1.0 / spacing.item(), coefficients


def slopes(r: Tensor, offset: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of b w, the offset, and of w by r. Shape: any -> the same, twice."""
    b = offset / w
    square, P, n = b * b, cumulative(b), density(b)
    g = b * P + n
    H = b * P * (2.0 + (1.0 + square) * (1.0 - P)) + n * (square + 2.0 - (1.0 + 2.0 * square) * P - b * n)
    by_r = 0.5 * w / (w * w * H / r - g * r)
    return P * by_r, -g * by_r


def cubics(values: Tensor, slopes: Tensor) -> Tensor:
    """Coefficients of u^0 to u^3, u in [0, 1) from each knot to the next; a constant at the last. Shape: -> 4 knot."""
    rise, bend = torch.diff(values), torch.diff(slopes)
    second, third = 3.0 * (rise - slopes[:-1]) - bend, 2.0 * (slopes[:-1] - rise) + bend
    return torch.stack([values, *(torch.nn.functional.pad(c, (0, 1)) for c in (slopes[:-1], second, third))])


FIRST, PER_UNIT, CUBICS = knots()
# The relative spreads of the two ends.
SMALLEST, LARGEST = (math.exp(log_spread(torch.tensor(b, dtype=torch.float64))[0].item()) for b in (HIGHEST, LOWEST))


def horner(cubic: Tensor, left: Tensor, u: Tensor) -> Tensor:
    """The cubics at u past the knots on the left, few tensors at a time. Shape: cubic power knot; left flat; u any."""
    value = cubic[3].index_select(0, left).view_as(u)
    for power in (2, 1, 0):
        value = cubic[power].index_select(0, left).view_as(u).addcmul_(u, value)
    return value


class Shape(torch.autograd.Function):
    """The scaled shape b w, and w, as functions of r; their derivatives are functions of b, so of every order."""

    @staticmethod
    def forward(ctx: Any, r: Tensor) -> tuple[Tensor, Tensor]:
        """The cubics. Shape: any -> the same, twice."""
        u = (r / (BEND + r)).sub_(FIRST).mul_(PER_UNIT)
        left = u.flatten().long()
        u.frac_()
        offset, w = (horner(cubic, left, u) for cubic in CUBICS)
        ctx.save_for_backward(r, offset, w)
        return offset, w

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Shape: as forward."""
        by_offset, by_w = gradients
        offset_slope, weight_slope = slopes(*ctx.saved_tensors)
        return by_offset * offset_slope + by_w * weight_slope


def shape(r: Tensor) -> tuple[Tensor, Tensor]:
    """The scaled shape b w, and w, of a relative spread in [SMALLEST, LARGEST]. Shape: any -> the same, twice."""
    offset_and_w: tuple[Tensor, Tensor] = Shape.apply(r)  # type: ignore[no-untyped-call]
    return offset_and_w


def standardised(r: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """The variable zeta at a standard normal, of mean 0 and variance 1, and 1 + r zeta >= 0, exactly 0 where Y is.

    Args:
        r: relative spread sd Y / E Y, >= 0. Beyond LARGEST, where nearly all mass is at zero, r zeta keeps that one.
        z: standard normals.

    Shape: any, broadcast.
    """
    held = r.clamp(min=SMALLEST)
    excess = torch.addcmul(*shape(held.clamp(max=LARGEST)), z).clamp(min=0.0).square() - 1.0
    return excess / held, 1.0 + excess * (r / held)
