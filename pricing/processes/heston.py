"""Stochastic variance with a time step that is smooth in every parameter, and an asset that is lognormal given it.

Over a step of length h from v, with E = e^(-kappa h), f = (1 - E) / kappa and zeta of mean 0, variance 1
(`pricing.processes.rectified_square`):

    v' = m + xi M,   m = theta + (v - theta) E,   M = s zeta,   s^2 = v E f + theta kappa f^2 / 2
    integral of v       = c (v + v') + theta (h - 2 c),   c = f / (1 + E)
    integral of sqrt(v) dB = M (1 + kappa c) + its rest, of variance l (integral of v),   l = 1 - 2 c / h

m and xi s are the exact mean and standard deviation of v'; the integral of v is exact but for its part that is
uncorrelated with M, of order h^3 in variance, and nothing divides by xi or kappa. The rest of the other integral is of
that order too, and all of it where kappa h is large: it is taken as normal, so that it joins the asset's own noise.
Given the variances, with the residual normals z,

    ln S_i(t) = ln F_i(t) + rho_i X_i - I_i / 2 + sqrt(R_ii) (A z)_i,
    I = integral of nu^2 v,   X = integral of nu sqrt(v) dB less its rest,   (A A^T)_ij = C_ij R_ij / sqrt(R_ii R_jj),
    R_ij = integral of (sqrt((1 - rho_i^2) (1 - rho_j^2)) + rho_i rho_j sqrt(l_i l_j)) nu^2 sqrt(v_i v_j),

so that an estimator may integrate one of them exactly. nu is the volatility scale.

References: Heston (1993); Andersen (2008); Willard (1997) for the mixing; docs/decisions/0015-heston-labels.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from pricing.elementary import exprel, ratio, root
from pricing.processes.grid import blocks, lengths, refined, steps
from pricing.processes.rectified_square import standardised
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, clock, correlation, discount, growth
from pricing.specs.process import Heston

# Stands for zero under a root or a fraction bar, where derivatives have to stay finite to second order.
LEAST = 1e-60


class VarianceStep(NamedTuple):
    """One step's coefficients: m = shift + decay v, s^2 = base + rate v, I = constant + weight (v + v'), X = gain M.

    ``rest`` is l.

    Shape: batch-or-1 1 asset.
    """

    shift: Tensor
    decay: Tensor
    base: Tensor
    rate: Tensor
    constant: Tensor
    weight: Tensor
    gain: Tensor
    rest: Tensor


@dataclass(frozen=True, kw_only=True)
class Variance:
    """What the variance does to the asset over a stretch of time.

    Args:
        integrated: I, integral of nu^2 v.
        driven: X, integral of nu sqrt(v) dB less its rest.
        own: R_ii.
        shared: R_ij.

    Shape: batch-or-1 path asset, shared batch-or-1 path asset asset.
    """

    integrated: Tensor
    driven: Tensor
    own: Tensor
    shared: Tensor


def simulate(process: Heston, at: Scenario, normals: Tensor, until: Tensor) -> Paths:
    """The assets at the dates; no randomness of its own.

    Shape: normals ``1-or-batch path dimension``, first the residual ones date by date, then those that drive the
    variances step by step; until ``batch-or-1 1 date``, years.
    """
    dates, assets = until.shape[-1], process.assets
    own, driving = torch.split(normals, list(blocks(process, dates)), dim=-1)
    walk = variances(process, at, driving, until)
    rho = at["spot_variance_correlation"]
    log, logs = torch.zeros_like(rho), []
    for z in own.reshape(*own.shape[:2], dates, assets).unbind(dim=2):
        over = joined(at, islice(walk, steps(process, dates)))
        turned = residual(process, at, z, over)
        log = log + (rho * over.driven - 0.5 * over.integrated + root(over.own) * turned)
        logs.append(log)
    return Paths(
        forward=at["spot"][:, :, None, :] * torch.exp(growth(process, at, until)),
        noise=torch.exp(torch.stack(logs, dim=2)),
        law="multiplicative",
        discount=discount(process, at, until),
    )


def variances(process: Heston, at: Scenario, normals: Tensor, until: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The integrals I and X of every step of the refined grid, and l.

    Shape: normals 1-or-batch path step*asset; until batch-or-1 1 date -> batch-or-1 path asset, twice; batch-or-1 1
    asset.
    """
    v, xi = at["initial_variance"], at["variance_volatility"]
    for step, z in zip(coefficients(process, at, until), drivers(process, at, normals), strict=True):
        M, after = moved(step, v, z, xi)
        yield step.constant + step.weight * (v + after), step.gain * M, step.rest
        v = after


def coefficients(process: Heston, at: Scenario, until: Tensor) -> Iterator[VarianceStep]:
    """The coefficients of every step of the refined grid. Shape: until batch-or-1 1 date."""
    grid, kappa, theta = refined(process, until), at["mean_reversion"], at["long_variance"]
    h, ticks = (lengths(moments).movedim(-1, 0)[..., None] for moments in (grid, clock(process, at, grid)))
    E, f = torch.exp(-kappa * h), h * exprel(-kappa * h)
    c, squared_scale = f / (1.0 + E), ratio(ticks, h, limit=0.0)
    columns = VarianceStep(
        shift=theta * (1.0 - E) + LEAST,
        decay=E,
        base=0.5 * theta * kappa * f * f,
        rate=E * f,
        constant=squared_scale * theta * (h - 2.0 * c),
        weight=squared_scale * c,
        gain=root(squared_scale) * (1.0 + kappa * c),
        rest=1.0 - ratio(2.0 * c, h, limit=1.0),
    )
    return map(VarianceStep._make, zip(*columns, strict=True))


def drivers(process: Heston, at: Scenario, normals: Tensor) -> Tensor:
    """Correlated normals of the variances, a step's together. Shape: -> step 1-or-batch path asset."""
    z = normals.reshape(*normals.shape[:2], -1, process.assets).movedim(2, 0).contiguous()
    return z if process.assets == 1 else z @ torch.linalg.cholesky(correlation(process, at)).mT


def moved(step: VarianceStep, v: Tensor, z: Tensor, xi: Tensor) -> tuple[Tensor, Tensor]:
    """M = integral of e^(-kappa (t' - t)) sqrt(v) dB over the step, and v'. Shape: batch-or-1 path-or-1 asset."""
    mean = step.shift + step.decay * v
    s = (step.base + step.rate * v).clamp(min=LEAST).sqrt()
    zeta, relative = standardised(xi * s / mean, z)
    return s * zeta, mean * relative


def joined(at: Scenario, integrals: Iterable[tuple[Tensor, ...]]) -> Variance:
    """I, X and R of several steps together. Shape: each batch-or-1 path asset; l batch-or-1 1 asset."""
    rho = at["spot_variance_correlation"]
    free = (1.0 - rho.square()).clamp(min=0.0)
    integrated = driven = own = torch.zeros(1, 1, 1, dtype=torch.float64)
    shared = own[..., None]
    for more, pushed, rest in integrals:
        integrated, driven = integrated + more, driven + pushed
        own = own + (free + rho.square() * rest) * more
        if more.shape[-1] > 1:
            deviation = root(more)
            for part in (root(free) * deviation, rho * root(rest) * deviation):
                shared = shared + part[..., :, None] * part[..., None, :]
    return Variance(integrated=integrated, driven=driven, own=own, shared=shared)


def residual(process: Heston, at: Scenario, z: Tensor, over: Variance) -> Tensor:
    """The residual normals A z up to a date. Shape: z 1-or-batch path asset -> batch-or-1 path asset."""
    if process.assets == 1:
        return z
    total = root(over.own)
    shape = ratio(over.shared, total[..., :, None] * total[..., None, :], limit=1.0)
    factor = torch.linalg.cholesky(correlation(process, at)[:, None] * shape)
    turned: Tensor = (factor @ z[..., None])[..., 0]
    return turned
