"""The normal law as differentiable functions that keep their digits in both tails.

Expectations of max(X - K, 0) are sums of positive terms, and their derivatives are formulas: neither a difference of
distribution functions nor one of densities, which cancel where little is random or little is left, is ever taken.

    psi(-y) = E[(z - y)^+] = n(y) R(y),   R(y) = 1 - y M(y),   M(y) = N(-y) / n(y)

References: Mills (1926); Jaeckel (2015), Let's be rational, for what cancels in Black's formula.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Standard deviations below this, relative to the level, are rounding noise: the limit of zero is returned.
DEGENERATE = 1e-12
# From here on R is a continued fraction of so many terms: 1 - y M has lost y^2 units of rounding.
FRACTION_FROM, FRACTION_TERMS = 5.0, 30
# Below this deviation the difference of two M is an integral of R, by so many Gauss-Legendre nodes.
NARROW, NODES = 0.05, 4
# Below this y Black's formula loses nothing as it stands, and M would overflow.
PLAIN_BELOW = -1.0
# Ratios this near to 1 have their logarithm from the difference, which is exact.
NEAR = 0.5


def broadcast(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All of one shape. Shape: any."""
    result: tuple[Tensor, ...] = torch.broadcast_tensors(*tensors)  # type: ignore[no-untyped-call]
    return result


def density(x: Tensor) -> Tensor:
    """n(x) = exp(-x^2 / 2) / sqrt(2 pi). Shape: any -> the same."""
    return torch.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def distribution(x: Tensor) -> Tensor:
    """N(x), by the tail that is thin; torch's own is 0 from -8.3 on. Shape: any -> the same."""
    return 0.5 * torch.erfc(x * -math.sqrt(0.5))


def quantile(u: Tensor) -> Tensor:
    """The x with N(x) = u. Shape: any -> the same."""
    result: Tensor = torch.special.ndtri(u)
    return result


def mills(y: Tensor) -> Tensor:
    """M(y) = N(-y) / n(y). Shape: any -> the same."""
    result: Tensor = torch.special.erfcx(y * math.sqrt(0.5)) * math.sqrt(0.5 * math.pi)
    return result


def rest(y: Tensor) -> Tensor:
    """R(y) = 1 - y M(y), a positive number. Shape: any -> the same."""
    far = y.clamp(min=FRACTION_FROM)
    tail = far
    for k in range(FRACTION_TERMS, 1, -1):
        tail = far + k / tail
    return torch.where(y > FRACTION_FROM, 1.0 / (tail * far + 1.0), 1.0 - y * mills(y.clamp(max=FRACTION_FROM)))


def log_ratio(level: Tensor, other: Tensor) -> Tensor:
    """ln(a / b) of positive numbers, to rounding also near 0. Shape: any, broadcast."""
    gap = (level - other) / other
    near = gap.abs() < NEAR
    return torch.where(near, torch.log1p(gap.where(near, 0.0)), torch.log(level) - torch.log(other))


def gaussian(mean: Tensor, strike: Tensor, variance: Tensor, *, sign: float, gap: Tensor | None = None) -> Tensor:
    """E[max(sign (X - K), 0)] of a normal X = s psi(sign (m - K) / s), psi(x) = x N(x) + n(x); intrinsic as s -> 0.

    Args:
        gap: m - K where it is known better than as a difference.

    Shape: any, broadcast. References: Bachelier (1900).
    """
    gap = mean - strike if gap is None else gap
    random = _moves(mean, strike, variance)
    parts = broadcast(mean, strike, torch.where(random, variance, 1.0), gap.detach())
    formula: Tensor = Gaussian.apply(*parts, sign)  # type: ignore[no-untyped-call]
    return torch.where(random, formula, (sign * gap).clamp(min=0.0))


def gaussian_digital(
    mean: Tensor, strike: Tensor, variance: Tensor, *, sign: float, gap: Tensor | None = None
) -> Tensor:
    """P(sign (X - K) > 0) of a normal X. Shape: any, broadcast."""
    gain = sign * (mean - strike if gap is None else gap)
    random = _moves(mean, strike, variance)
    s = torch.where(random, variance, 1.0).sqrt()
    return torch.where(random, distribution(gain / s), (gain > 0.0).to(gain.dtype))


def _moves(mean: Tensor, strike: Tensor, variance: Tensor) -> Tensor:
    """Where a normal's deviation is more than rounding of its mean or strike. Shape: any, broadcast."""
    return variance.sqrt() > DEGENERATE * torch.maximum(mean.abs(), strike.abs())


def lognormal(
    forward: Tensor, strike: Tensor, variance: Tensor, *, sign: float, moneyness: Tensor | None = None
) -> Tensor:
    """E[max(sign (X - K), 0)], X lognormal of mean F >= 0 and variance v of its logarithm; intrinsic where certain.

    Args:
        moneyness: ln(F / K) where it is known better than from the two; anything where one of them is not positive.

    Shape: any, broadcast. References: Black (1976).
    """
    random, (F, K, v, x) = _lognormal(forward, strike, variance, moneyness)
    formula: Tensor = Black.apply(F, K, v, x.detach(), sign)  # type: ignore[no-untyped-call]
    return torch.where(random, formula, (sign * (forward - strike)).clamp(min=0.0))


def lognormal_digital(
    forward: Tensor, strike: Tensor, variance: Tensor, *, sign: float, moneyness: Tensor | None = None
) -> Tensor:
    """P(sign (X - K) > 0), X and moneyness as in `lognormal`. Shape: any, broadcast."""
    random, (_, _, v, x) = _lognormal(forward, strike, variance, moneyness)
    s = v.sqrt()
    return torch.where(random, distribution(sign * (x / s - 0.5 * s)), (sign * (forward - strike) > 0.0).to(x.dtype))


def _lognormal(
    forward: Tensor, strike: Tensor, variance: Tensor, moneyness: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Where X is random, and F, K, v, ln(F / K) of one shape that are 1, 1, 1 and 0 elsewhere."""
    random = (forward > 0.0) & (strike > 0.0) & (variance > DEGENERATE**2)
    F, K, v = (torch.where(random, part, 1.0) for part in (forward, strike, variance))
    x = log_ratio(F, K) if moneyness is None else torch.where(random, moneyness, 0.0)
    return random, broadcast(F, K, v, x)


class Gaussian(torch.autograd.Function):
    """E[max(sign (X - K), 0)] of a random normal; dV/dm = sign N(x), dV/dv = n(x) / (2 s), x = sign (m - K) / s."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, strike: Tensor, variance: Tensor, gap: Tensor, sign: float) -> Tensor:
        """Shape: any, of one shape; the gap m - K is a number without derivatives."""
        ctx.save_for_backward(mean, strike, variance, gap)
        ctx.sign = sign
        s = variance.sqrt()
        y = gap.abs() / s
        return (sign * gap).clamp(min=0.0) + s * density(y) * rest(y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Shape: any."""
        (gradient,) = gradients
        mean, strike, variance, gap = ctx.saved_tensors
        s = variance.sqrt()
        x = ctx.sign * (gap + motion(mean) - motion(strike)) / s
        held = gradient * ctx.sign * distribution(x)
        return held, -held, gradient * density(x) / (2.0 * s), None, None


class Black(torch.autograd.Function):
    """Black's formula; dV/dF = sign N(sign d), dV/dK = -sign N(sign (d - s)), dV/dv = F n(d) / (2 s).

    Here d = ln(F / K) / s + s / 2.
    """

    @staticmethod
    def forward(ctx: Any, forward: Tensor, strike: Tensor, variance: Tensor, moneyness: Tensor, sign: float) -> Tensor:
        """Shape: any, of one shape; moneyness is a number without derivatives."""
        ctx.save_for_backward(forward, strike, variance, moneyness)
        ctx.sign = sign
        s, a = variance.sqrt(), moneyness.abs()
        near, far = a / s - 0.5 * s, a / s + 0.5 * s
        scaled = _at_strike(strike, variance, moneyness)
        held = near.clamp(min=PLAIN_BELOW)
        between = mills(held) - mills(far)
        if bool((s < NARROW).any()):
            nodes, weights = (array.tolist() for array in np.polynomial.legendre.leggauss(NODES))
            terms = [w * rest(a / s + 0.5 * s * node) for node, w in zip(nodes, weights, strict=True)]
            between = torch.where(s < NARROW, 0.5 * s * torch.stack(terms).sum(dim=0), between)
        low, high = torch.minimum(forward, strike), torch.maximum(forward, strike)
        plain = low * distribution(-near) - high * distribution(-far)
        outside = torch.where(near < PLAIN_BELOW, plain, scaled * between)
        inside = torch.where(a < 1.0, strike * torch.expm1(moneyness), forward - strike)
        result: Tensor = (ctx.sign * inside).clamp(min=0.0) + outside
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Shape: any."""
        (gradient,) = gradients
        forward, strike, variance, moneyness = ctx.saved_tensors
        s, x = variance.sqrt(), moneyness + motion(forward.log()) - motion(strike.log())
        held, owed = (gradient * ctx.sign * distribution(ctx.sign * (x / s + shift)) for shift in (0.5 * s, -0.5 * s))
        return held, -owed, gradient * _at_strike(strike, variance, x) / (2.0 * s), None, None


def _at_strike(strike: Tensor, variance: Tensor, moneyness: Tensor) -> Tensor:
    """F n(d) = K n(d - s). Shape: any -> the same."""
    half = moneyness * moneyness / variance + 0.25 * variance - moneyness
    result: Tensor = strike * torch.exp(-0.5 * half) / math.sqrt(2.0 * math.pi)
    return result


def motion(x: Tensor) -> Tensor:
    """0, with the derivative of x. Shape: any -> the same."""
    return x - x.detach()
