"""The normal law as differentiable functions: density, partial moment, Black's formula, the bivariate distribution."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

# Standard deviations below this, relative to the level, are rounding noise: the limit of zero is returned.
DEGENERATE = 1e-12
# Gauss-Legendre nodes of the arc integral of the bivariate normal: rounding for |rho| <= 0.999 at |x|, |y| <= 6.
ARC_NODES = 96
# |rho| beyond this is perfect correlation: the arc's integrand is a spike there, its integral below rounding.
PERFECT = 1.0 - 1e-12


def density(x: Tensor) -> Tensor:
    """n(x) = exp(-x^2 / 2) / sqrt(2 pi). Shape: any -> the same."""
    return torch.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)


def distribution(x: Tensor) -> Tensor:
    """N(x). Shape: any -> the same."""
    result: Tensor = torch.special.ndtr(x)
    return result


def quantile(u: Tensor) -> Tensor:
    """The x with N(x) = u. Shape: any -> the same."""
    result: Tensor = torch.special.ndtri(u)
    return result


def gaussian(mean: Tensor, strike: Tensor, variance: Tensor, *, sign: float) -> Tensor:
    """E[max(sign (X - K), 0)] of a normal X = s psi(sign (m - K) / s), psi(x) = x N(x) + n(x); intrinsic as s -> 0.

    Shape: any, broadcast. References: Bachelier (1900).
    """
    gain = sign * (mean - strike)
    random = variance > (DEGENERATE * mean.abs().clamp(min=1.0)) ** 2
    s = torch.where(random, variance, 1.0).sqrt()
    x = gain / s
    return torch.where(random, gain * distribution(x) + s * density(x), gain.clamp(min=0.0))


def gaussian_digital(mean: Tensor, strike: Tensor, variance: Tensor, *, sign: float) -> Tensor:
    """P(sign (X - K) > 0) of a normal X. Shape: any, broadcast."""
    gain = sign * (mean - strike)
    random = variance > (DEGENERATE * mean.abs().clamp(min=1.0)) ** 2
    return torch.where(
        random, distribution(gain / torch.where(random, variance, 1.0).sqrt()), (gain > 0.0).to(gain.dtype)
    )


def lognormal(forward: Tensor, strike: Tensor, variance: Tensor, *, sign: float) -> Tensor:
    """E[max(sign (X - K), 0)], X lognormal of mean F >= 0 and variance v of its logarithm; intrinsic where certain.

    Shape: any, broadcast. References: Black (1976).
    """
    random = (forward > 0.0) & (strike > 0.0) & (variance > DEGENERATE**2)
    s = torch.where(random, variance, 1.0).sqrt()
    d = torch.where(random, forward, 1.0).log() / s - torch.where(random, strike, 1.0).log() / s
    formula = sign * (forward * distribution(sign * (d + 0.5 * s)) - strike * distribution(sign * (d - 0.5 * s)))
    return torch.where(random, formula, (sign * (forward - strike)).clamp(min=0.0))


def lognormal_digital(forward: Tensor, strike: Tensor, variance: Tensor, *, sign: float) -> Tensor:
    """P(sign (X - K) > 0), X as in `lognormal`. Shape: any, broadcast."""
    random = (forward > 0.0) & (strike > 0.0) & (variance > DEGENERATE**2)
    s = torch.where(random, variance, 1.0).sqrt()
    d = torch.where(random, forward, 1.0).log() / s - torch.where(random, strike, 1.0).log() / s
    return torch.where(random, distribution(sign * (d - 0.5 * s)), (sign * (forward - strike) > 0.0).to(d.dtype))


class Bivariate(torch.autograd.Function):
    """P(X <= x, Y <= y) of standard normals with correlation rho; twice differentiable by its exact derivatives.

    N2 = N(x) N(y) + 1 / (2 pi) integral over t from 0 to asin(rho) of exp(-(x^2 + y^2 - 2 x y sin t) / (2 cos^2 t))

    References: Drezner & Wesolowsky (1990); Genz (2004).
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, rho: Tensor) -> Tensor:
        """Shape: any, of one shape."""
        ctx.save_for_backward(x, y, rho)
        nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(ARC_NODES))
        arc = torch.asin(rho.clamp(-PERFECT, PERFECT))[..., None]
        angle = 0.5 * arc * (1.0 + nodes)
        distance = (x * x + y * y)[..., None] - 2.0 * (x * y)[..., None] * torch.sin(angle)
        integral = (torch.exp(-0.5 * distance / torch.cos(angle) ** 2) * weights).sum(dim=-1) * 0.5 * arc[..., 0]
        return distribution(x) * distribution(y) + integral / (2.0 * math.pi)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """dN2/dx = n(x) N((y - rho x) / s), dN2/drho = n(x) n((y - rho x) / s) / s, s^2 = 1 - rho^2. Shape: any."""
        (gradient,) = gradients
        x, y, rho = ctx.saved_tensors
        inside = rho.clamp(-PERFECT, PERFECT)
        s = (1.0 - inside * inside).sqrt()
        along_x, along_y = (y - inside * x) / s, (x - inside * y) / s
        by_rho = density(x) * density(along_x) / s
        return (
            gradient * density(x) * distribution(along_x),
            gradient * density(y) * distribution(along_y),
            gradient * by_rho,
        )


def bivariate(x: Tensor, y: Tensor, rho: Tensor) -> Tensor:
    """P(X <= x, Y <= y) of standard normals with correlation rho. Shape: any, broadcast."""
    result: Tensor = Bivariate.apply(*torch.broadcast_tensors(x, y, rho))  # type: ignore[no-untyped-call]
    return result
