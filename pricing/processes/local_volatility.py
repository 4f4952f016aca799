"""Local volatility of a surface of implied variance (SSVI), by Euler's or a martingale form of Milstein's step in ln S.

X_i = ln(S_i / F_i(t)), F_i the forward of the reference spot, moves on the volatility clock s = integral of nu^2 dt:

    dX_i = -a_i(X_i, s) / 2 ds + sqrt(a_i(X_i, s)) dW_i,      a = (dw / ds) / g   (Dupire 1994; Gatheral 2006, 1.10)

With theta = sigma^2 s, phi = eta / (u^gamma (1 + u)^(1 - gamma)) at u = sigma^2 sqrt(s^2 + week^2), y = phi k,
R^2 = y^2 + 2 rho y + 1, A = 1 + rho y + R, B = dA / dy, C = dB / dy and p = -dln phi / dln s:

    w = theta A / 2       dw / ds = sigma^2 (A - p y B) / 2
    g = (1 - y B / (2 A))^2 + theta phi^2 (C / 4 - B^2 / (8 A) - theta B^2 / 64)

A step of length h is X + m + c z + e (z^2 - 1). Euler: c^2 = a h, e = 0. Milstein: e = h a_x / 4, and c^2 such that the
variance is right to order h^2, which makes the weak order two (`second_order`). In either m = e - c^2 / (2 - 4 e) +
ln(1 - 2 e) / 2, so that S / F is a martingale at any h. The coefficients are read at the middle of a step's time, where
they are finite although they need not be at 0. The last step has no e, so that ln S is affine in its normals.

References: Gatheral & Jacquier (2014), Arbitrage-free SVI volatility surfaces; Kloeden & Platen (1992), 10.3 and 14.2.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.elementary import ratio, root
from pricing.paths import Paths
from pricing.processes.grid import lengths, refined
from pricing.scenario import Scenario, clock, correlation, discount, growth
from pricing.specs.process import LocalVolatility

# A week, years: phi stops growing below it. With phi ~ t^-gamma down to 0 the local variance has a kink at (0, 0), from
# which gamma at the reference spot takes a share of order t^(1/2 - gamma) that no grid resolves.
SHORTEST = 1.0 / 52.0
# The grid begins with t_j ~ j^1.5, as the surface moves fastest near 0; 16 such steps give gamma as 64 even ones do.
GRADING = 1.5
# Total variance from which phi is finite where the volatility is 0.
LEAST_VARIANCE = 1e-10
# g is the density of ln S relative to a lognormal one: positive on a surface without arbitrage, held above this where
# features leave those.
LEAST_DENSITY = 1e-2
# Spot at which ln S is held: any product with it is 0 in every currency.
LEAST_SPOT = 1e-100
# Corrections of a step that is too long for them are held: |e| of a skewness near one, and this share of a h.
LARGEST_SKEW = 0.2
LEAST_SHARE = 0.1


def simulate(process: LocalVolatility, at: Scenario, normals: Tensor, until: Tensor) -> Paths:
    """The assets at the dates; no randomness of its own.

    Shape: normals ``1-or-batch path dimension``, the last step's first, then step by step; until ``batch-or-1 1 date``.
    """
    grid, assets = refined(process, until, grading=GRADING), process.assets
    ticks, count = clock(process, at, grid), grid.shape[-1]
    h = lengths(ticks)[..., None]
    middle = ticks[..., None] - 0.5 * h
    ordered = torch.cat([normals[..., assets:], normals[..., :assets]], dim=-1)
    z = ordered.reshape(*normals.shape[:2], count, assets) @ torch.linalg.cholesky(correlation(process, at))[:, None].mT
    start = torch.log(at["spot"].clamp(min=LEAST_SPOT) / at["spot"].new_tensor(process.reference_spots))
    every, x, levels = count // until.shape[-1], start, []
    for j in range(count):
        squared, e = coefficients(process, at, x, middle[:, :, j], h[:, :, j])
        if j == count - 1:
            squared, e = squared + 2.0 * e.square(), torch.zeros_like(e)
        m = e - 0.5 * squared / (1.0 - 2.0 * e) + 0.5 * torch.log1p(-2.0 * e)
        x = x + m + root(squared) * z[:, :, j] + e * (z[:, :, j].square() - 1.0)
        if (j + 1) % every == 0:
            levels.append(x - start)
    return Paths(
        forward=at["spot"][:, :, None, :] * torch.exp(growth(process, at, until)),
        noise=torch.exp(torch.stack(levels, dim=2)),
        law="multiplicative",
        discount=discount(process, at, until),
    )


def coefficients(process: LocalVolatility, at: Scenario, x: Tensor, s: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """c^2 and e of a step. Shape: x batch-or-1 path-or-1 asset; s, h batch-or-1 1 1 -> as x, twice."""
    a = local_variance(process, at, x, s)
    match process.scheme:
        case "euler":
            return a * h, torch.zeros_like(a)
        case "milstein":
            return second_order(process, at, (x, a), s, h)


def second_order(
    process: LocalVolatility, at: Scenario, here: tuple[Tensor, Tensor], s: Tensor, h: Tensor
) -> tuple[Tensor, Tensor]:
    """c^2 and e of a step with mean, variance and third moment right to order h^2.

    Var = h a + h^2 (a a_xx - 3 a a_x) / 4 = c^2 + 2 e^2 by Ito-Taylor expansion; the derivatives are differences over
    one standard deviation d = sqrt(a h) of the step: d a_x = (a_+ - a_-) / 2, a h a_xx = a_+ - 2 a + a_-.
    """
    x, a = here
    d = root(a * h)
    up, down = (local_variance(process, at, x + sign * d, s) for sign in (1.0, -1.0))
    first, second = 0.5 * (up - down), up - 2.0 * a + down
    e = (0.25 * h * ratio(first, d, limit=0.0)).clamp(-LARGEST_SKEW, LARGEST_SKEW)
    squared = h * (a + 0.25 * second - 0.75 * d * first) - 2.0 * e.square()
    return torch.maximum(squared, LEAST_SHARE * a * h), e


def local_variance(process: LocalVolatility, at: Scenario, k: Tensor, s: Tensor) -> Tensor:
    """A(k, s), per year.

    Args:
        k: ln(S / F(t)). Shape: batch-or-1 path-or-1 asset.
        s: time on the volatility clock, years. Shape: batch-or-1 1 1.

    Shape: -> batch-or-1 path-or-1 asset.
    """
    squared, rho = at["volatility"].square(), at["skew"]
    gamma, theta = squared.new_tensor(process.powers), squared * s
    floored = s.square() + SHORTEST**2
    slow = squared * floored.sqrt()
    phi = at["curvature"] * slow.clamp(min=LEAST_VARIANCE).pow(-gamma) * (1.0 + slow).pow(gamma - 1.0)
    p = (gamma + (1.0 - gamma) * slow / (1.0 + slow)) * s.square() / floored
    y = phi * k
    R = (y.square() + 2.0 * rho * y + 1.0).sqrt()
    A, B, C = 1.0 + rho * y + R, rho + (y + rho) / R, (1.0 - rho.square()) / R.pow(3)
    g = (1.0 - 0.5 * y * B / A).square()
    g = g + theta * phi.square() * (0.25 * C - 0.125 * B.square() / A - theta * B.square() / 64.0)
    return 0.5 * squared * (A - p * y * B) / g.clamp(min=LEAST_DENSITY)
