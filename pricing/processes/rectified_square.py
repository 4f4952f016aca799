"""The law of a variance after a step: a positive variable of given spread as one smooth function of a standard normal.

Y = ((b + Z)^+)^2, standardised: zeta = (Y - E Y) / sd Y, with the shape b set by the relative spread r = sd Y / E Y.

    E Y = (1 + b^2) P + b n          P = N(b), n = n(b)
    var Y = (4 b^2 + 2) P + (1 + b^2)^2 P (1 - P) + (b^3 + 5 b) n - 2 (1 + b^2) b P n - b^2 n^2

r falls from infinity to 0 as b runs through the reals. For large b it is the quadratic branch of Andersen's scheme; for
small b it has an atom at 0, as his other branch has, but there is no switch: Y is continuously differentiable in Z and
in r, so that pathwise derivatives of a mean are the derivatives of the mean to second order.

References: Andersen (2008), Simple and efficient simulation of the Heston model, whose two branches this joins.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pricing.elementary import density

# The shapes that are solved for. Beyond the first, the chance of a positive value is below 4e-5 and the moments cancel;
# beyond the second, b^2 in float64 leaves eight digits of the spread.
LOWEST, HIGHEST = -4.0, 2e4
# Cubic interpolation of b in ln r between that many points is right to 1e-12 of b.
KNOTS = 1 << 12
# Newton's method finds b at the points, from linear interpolation between as many others: three steps leave rounding.
NEWTON_STEPS = 3


def moments(b: Tensor) -> tuple[Tensor, Tensor]:
    """E Y and var Y. Shape: any -> the same, twice."""
    P, Q, n, square = torch.special.ndtr(b), torch.special.ndtr(-b), density(b), b * b
    mean = (1.0 + square) * P + b * n
    variance = (4.0 * square + 2.0) * P + (1.0 + square) ** 2 * P * Q
    variance = variance + b * n * (square + 5.0 - 2.0 * (1.0 + square) * P - b * n)
    return mean, variance


def log_spread(b: Tensor) -> tuple[Tensor, Tensor]:
    """ln(sd Y / E Y) and its derivative by b. Shape: any -> the same, twice."""
    P, n, (mean, variance) = torch.special.ndtr(b), density(b), moments(b)
    mean_slope = 2.0 * (b * P + n)
    variance_slope = 4.0 * ((b * b + 3.0) * b * P + (b * b + 2.0) * n) - 2.0 * mean * mean_slope
    return 0.5 * torch.log(variance) - torch.log(mean), 0.5 * variance_slope / variance - mean_slope / mean


def knots() -> tuple[Tensor, Tensor]:
    """Evenly spaced ln r over the whole range, and the cubic in between each two. Shape: -> knot; knot-1 4."""
    start = torch.sinh(torch.linspace(math.asinh(HIGHEST), math.asinh(LOWEST), KNOTS, dtype=torch.float64))
    known = log_spread(start)[0].numpy()
    points = np.linspace(known[0], known[-1], KNOTS)
    log_r, b = torch.from_numpy(points), torch.from_numpy(np.asarray(np.interp(points, known, start.numpy())))
    for _ in range(NEWTON_STEPS):
        value, slope = log_spread(b)
        b = b - (value - log_r) / slope
    slope = (log_r[1] - log_r[0]) / log_spread(b)[1]
    rise = b[1:] - b[:-1]
    second, third = 3.0 * rise - 2.0 * slope[:-1] - slope[1:], slope[:-1] + slope[1:] - 2.0 * rise
    return log_r, torch.stack([b[:-1], slope[:-1], second, third], dim=-1)


LOG_SPREADS, CUBICS = knots()
# The relative spreads of the two ends.
SMALLEST, LARGEST = math.exp(LOG_SPREADS[0].item()), math.exp(LOG_SPREADS[-1].item())


class Shape(torch.autograd.Function):
    """B as a function of ln r; its derivative 1 / (d ln r / db) is again a function of b, so it has every order."""

    @staticmethod
    def forward(ctx: Any, log_r: Tensor) -> Tensor:
        """The cubic. Shape: any -> the same."""
        place = (log_r - LOG_SPREADS[0]) / (LOG_SPREADS[1] - LOG_SPREADS[0])
        left = place.floor().clamp(0, KNOTS - 2)
        u, c = place - left, CUBICS[left.long()]
        b: Tensor = c[..., 0] + u * (c[..., 1] + u * (c[..., 2] + u * c[..., 3]))
        ctx.save_for_backward(b)
        return b

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Shape: as forward."""
        (b,) = ctx.saved_tensors
        return gradients[0] / log_spread(b)[1]


def shape(r: Tensor) -> Tensor:
    """B of a relative spread in [SMALLEST, LARGEST]. Shape: any -> the same."""
    b: Tensor = Shape.apply(torch.log(r))  # type: ignore[no-untyped-call]
    return b


def standardised(r: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """Zeta at a standard normal, of mean 0 and variance 1, and whether Y > 0 there.

    Args:
        r: relative spread sd Y / E Y, >= 0.
        z: standard normals.

    Shape: any, broadcast.
    """
    held = r.clamp(SMALLEST, LARGEST)
    b = shape(held)
    mean = (1.0 + b * b) * torch.special.ndtr(b) + b * density(b)
    reach = (b + z).clamp(min=0.0)
    return (reach * reach - mean) / (held * mean), reach > 0.0
