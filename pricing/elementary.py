"""Elementary functions whose limits and derivatives stay finite where the usual formula is 0 / 0."""

from __future__ import annotations

import math

import torch
from torch import Tensor

# Below this |x| four terms of the series of (e^x - 1) / x are exact in float64.
SERIES = 1e-3
# From here on a tail of the normal is its density times erfcx, so that a weight goes into the exponent.
THIN = 1.0


def root(x: Tensor) -> Tensor:
    """Square root of x >= 0; its derivative is 0 at 0, where nothing is left to move. Shape: any -> the same."""
    positive = x > 0.0
    return torch.where(positive, torch.where(positive, x, torch.ones_like(x)).sqrt(), torch.zeros_like(x))


def exprel(x: Tensor) -> Tensor:
    """(e^x - 1) / x, 1 at 0. Shape: any -> the same."""
    small = x.abs() < SERIES
    safe = torch.where(small, torch.ones_like(x), x)
    series = 1.0 + x * (0.5 + x * (1.0 / 6.0 + x * (1.0 / 24.0 + x / 120.0)))
    return torch.where(small, series, torch.expm1(safe) / safe)


def ratio(numerator: Tensor, denominator: Tensor, *, limit: float) -> Tensor:
    """The quotient, and ``limit`` with no derivative where the denominator is 0. Shape: any -> broadcast."""
    zero = denominator == 0.0
    quotient = numerator / torch.where(zero, torch.ones_like(denominator), denominator)
    return torch.where(zero, quotient.new_tensor(limit), quotient)


def density(x: Tensor) -> Tensor:
    """n(x), the standard normal density. Shape: any -> the same."""
    return torch.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def cumulative(x: Tensor) -> Tensor:
    """N(x), the standard normal distribution function; a third of the time of torch's own. Shape: any -> the same."""
    return 0.5 * torch.erfc(x * -math.sqrt(0.5))


def tail(y: Tensor, weight: Tensor) -> Tensor:
    """e^weight N(-y), a probability whatever its factors are: the weight may overflow where the mass underflows.

    Shape: any, broadcast.
    """
    thin = y > THIN
    far = torch.where(thin, y, THIN)
    scaled = torch.exp(weight - 0.5 * far * far) * (0.5 * torch.special.erfcx(far * math.sqrt(0.5)))
    plain = torch.exp(torch.where(thin, 0.0, weight)) * cumulative(-torch.where(thin, THIN, y))
    return torch.where(thin, scaled, plain)


def mass(low: Tensor, high: Tensor, weight: Tensor | None = None) -> Tensor:
    """e^weight (N(high) - N(low)) for low <= high, from the side on which the tail is thin. Shape: any, broadcast."""
    mirrored = low + high > 0.0
    near, far = torch.where(mirrored, low, -high), torch.where(mirrored, high, -low)
    if weight is None:
        return cumulative(-near) - cumulative(-far)
    return tail(near, weight) - tail(far, weight)


def gaussian_ramp(rest: Tensor, slope: Tensor) -> Tensor:
    """E[(rest + slope t)^+] = |slope| (u N(u) + n(u)), u = rest / |slope|; rest^+ for slope 0. Shape: batch path."""
    size = slope.abs()
    moves = size > 0.0
    safe = torch.where(moves, size, torch.ones_like(size))
    u = rest / safe
    return torch.where(moves, safe * (u * cumulative(u) + density(u)), torch.relu(rest))


def gaussian_step(rest: Tensor, slope: Tensor) -> Tensor:
    """P(rest + slope t > 0) = N(u), u = rest / |slope|; 1 or 0 for slope 0. Shape: batch path."""
    size = slope.abs()
    moves = size > 0.0
    u = rest / torch.where(moves, size, torch.ones_like(size))
    return torch.where(moves, cumulative(u), (rest > 0.0).to(rest.dtype))
