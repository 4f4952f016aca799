"""Local volatility of a surface of implied variance (SSVI), by Euler's or a martingale form of Milstein's step in ln S.

X_i = ln(S_i / F_i(t)), F_i the forward of the reference spot, moves on the volatility clock s = integral of nu^2 dt:

    dX_i = -a_i(X_i, s) / 2 ds + sqrt(a_i(X_i, s)) dW_i,      a = (dw / ds) / g   (Dupire 1994; Gatheral 2006, 1.10)

With theta = sigma^2 s, phi = eta / (u^gamma (1 + u)^(1 - gamma)) at u = sigma^2 sqrt(s^2 + week^2), y = phi k,
R^2 = y^2 + 2 rho y + 1, A = 1 + rho y + R, B = dA / dy, C = dB / dy, p = -dln phi / dln s and y B = A (1 - 1 / R):

    w = theta A / 2       dw / ds = sigma^2 (A - p y B) / 2 = sigma^2 A (1 - p + p / R) / 2
    g = (1 + 1 / R)^2 / 4 + theta phi^2 ((1 - rho^2) / (4 R^3) - B^2 (1 / (8 A) + theta / 64))

A step of length h is X + m + c z + e (z^2 - 1). Euler: c^2 = a h, e = 0. Milstein: e = h a_x / 4, and c^2 such that the
variance is right to order h^2, which makes the weak order two (`second_order`). In either m = e - c^2 / (2 - 4 e) +
ln(1 - 2 e) / 2, so that S / F is a martingale at any h. The coefficients are read at the middle of a step's time, where
they are finite although they need not be at 0. The last step has no e, so that ln S is affine in its normals.

References: Gatheral & Jacquier (2014), Arbitrage-free SVI volatility surfaces; Kloeden & Platen (1992), 10.3 and 14.2.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from pricing.processes.grid import drivers, lengths, refined
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, clock, discount, growth
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
# Squared deviation of a step that stands for zero, where derivatives have to stay finite to second order.
LEAST_SQUARE = 1e-60
# Corrections of a step that is too long for them are held: |e| of a skewness near one, and this share of a h.
LARGEST_SKEW = 0.2
LEAST_SHARE = 0.1


class Smile(NamedTuple):
    """The surface at one time: variance (a + b / R) A / g, g = (1 + 1 / R)^2 / 4 + c / R^3 - B^2 (d / A + e).

    Shape: batch-or-1 1 asset; over times, time batch-or-1 1 asset.
    """

    skew: Tensor
    phi: Tensor
    a: Tensor
    b: Tensor
    c: Tensor
    d: Tensor
    e: Tensor


def simulate(process: LocalVolatility, at: Scenario, normals: Tensor, until: Tensor) -> Paths:
    """The assets at the dates; no randomness of its own.

    Shape: normals ``1-or-batch path dimension``, the last step's first, then step by step; until ``batch-or-1 1 date``.
    """
    grid = refined(process, until, grading=GRADING)
    ticks, count = clock(process, at, grid), grid.shape[-1]
    # Steps come first, so that what belongs to one of them is together in memory.
    h = lengths(ticks).movedim(-1, 0)[..., None]
    surface = smiles(process, at, ticks.movedim(-1, 0)[..., None] - 0.5 * h)
    start = torch.log(at["spot"].clamp(min=LEAST_SPOT) / at["spot"].new_tensor(process.reference_spots))
    every, x, levels = count // until.shape[-1], start, []
    for j, z in enumerate(drivers(process, at, normals, count)):
        squared, e = coefficients(process, x, Smile(*(field[j] for field in surface)), h[j])
        if e is not None and j == count - 1:
            squared, e = squared + 2.0 * e.square(), None
        x = x + increment(squared, e, z)
        if (j + 1) % every == 0:
            levels.append(x - start)
    return Paths(
        forward=at["spot"][:, :, None, :] * torch.exp(growth(process, at, until)),
        noise=torch.exp(torch.stack(levels, dim=2)),
        law="multiplicative",
        discount=discount(process, at, until),
    )


def increment(squared: Tensor, e: Tensor | None, z: Tensor) -> Tensor:
    """Increment m + c z + e (z^2 - 1), e = 0 where it is None. Shape: batch path asset."""
    diffused = squared.clamp(min=LEAST_SQUARE).sqrt() * z
    if e is None:
        return diffused - 0.5 * squared
    stretch = 1.0 - 2.0 * e
    return diffused + e * z.square() - 0.5 * squared / stretch + 0.5 * torch.log(stretch)


def coefficients(process: LocalVolatility, x: Tensor, smile: Smile, h: Tensor) -> tuple[Tensor, Tensor | None]:
    """The coefficients c^2 and e of a step, e None where the scheme has none.

    Shape: x batch-or-1 path-or-1 asset; h batch-or-1 1 1 -> as x, twice.
    """
    a = local_variance(smile, x)
    match process.scheme:
        case "euler":
            return a * h, None
        case "milstein":
            return second_order((x, a), smile, h)


def second_order(here: tuple[Tensor, Tensor], smile: Smile, h: Tensor) -> tuple[Tensor, Tensor]:
    """c^2 and e of a step with mean, variance and third moment right to order h^2.

    Var = h a + h^2 (a a_xx - 3 a a_x) / 4 = c^2 + 2 e^2 by Ito-Taylor expansion; the derivatives are differences over
    one standard deviation d = sqrt(a h) of the step: d a_x = (a_+ - a_-) / 2, a h a_xx = a_+ - 2 a + a_-.

    Shape: here x and a, batch-or-1 path-or-1 asset; h batch-or-1 1 1 -> as x, twice.
    """
    x, a = here
    d = (a * h).clamp(min=LEAST_SQUARE).sqrt()
    up, down = local_variance(smile, x + d), local_variance(smile, x - d)
    first, second = 0.5 * (up - down), up - 2.0 * a + down
    e = (0.25 * h * first / d).clamp(-LARGEST_SKEW, LARGEST_SKEW)
    squared = h * (a + 0.25 * second - 0.75 * d * first) - 2.0 * e.square()
    return torch.maximum(squared, LEAST_SHARE * a * h), e


def smiles(process: LocalVolatility, at: Scenario, s: Tensor) -> Smile:
    """The surface at times on the volatility clock, years. Shape: time batch-or-1 1 1."""
    squared, rho = at["volatility"].square(), at["skew"]
    gamma, theta = squared.new_tensor(process.powers), squared * s
    floored = s.square() + SHORTEST**2
    slow = squared * floored.sqrt()
    phi = at["curvature"] * slow.clamp(min=LEAST_VARIANCE).pow(-gamma) * (1.0 + slow).pow(gamma - 1.0)
    p = (gamma + (1.0 - gamma) * slow / (1.0 + slow)) * s.square() / floored
    bent = theta * phi.square()
    return Smile(
        skew=rho.expand_as(phi),
        phi=phi,
        a=0.5 * squared * (1.0 - p),
        b=0.5 * squared * p,
        c=0.25 * bent * (1.0 - rho.square()),
        d=0.125 * bent,
        e=bent * theta / 64.0,
    )


def local_variance(smile: Smile, k: Tensor) -> Tensor:
    """The local variance a(k), per year, at k = ln(S / F(t)). Shape: batch-or-1 path-or-1 asset -> the same."""
    rho, y = smile.skew, smile.phi * k
    q = ((y + 2.0 * rho) * y + 1.0).rsqrt()
    A = 1.0 + rho * y + q.reciprocal()
    squared = ((y + rho) * q + rho).square()
    g = ((smile.c * q + 0.25) * q + 0.5) * q + 0.25 - squared * (smile.d / A + smile.e)
    return (smile.a + smile.b * q) * A / g.clamp(min=LEAST_DENSITY)
