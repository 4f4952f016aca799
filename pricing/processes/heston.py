"""Stochastic variance with a time step that is smooth in every parameter, and an asset that is lognormal given it.

Over a step of length h from v, with E = e^(-kappa h), f = (1 - E) / kappa and zeta of mean 0, variance 1
(`pricing.processes.rectified_square`):

    v' = m + xi M,   m = theta + (v - theta) E,   M = s zeta,   s^2 = v E f + theta kappa f^2 / 2
    integral of v       = c (v + v') + theta (h - 2 c),   c = f / (1 + E)
    integral of sqrt(v) dB = M (1 + kappa c)

m and xi s are the exact mean and standard deviation of v'; the two integrals are exact but for their part that is
uncorrelated with M, of order h^3 in variance, and nothing divides by xi or kappa. Given those, with the residual
normals z,

    ln S_i(t) = ln F_i(t) + rho_i X_i - I_i / 2 + sqrt(1 - rho_i^2) sqrt(I_i) (A z)_i,
    I = integral of nu^2 v,   X = integral of nu sqrt(v) dB,
    (A A^T)_ij = C_ij (integral of nu^2 sqrt(v_i v_j)) / sqrt(I_i I_j),

so that an estimator may integrate one of them exactly. nu is the volatility scale.

References: Heston (1993); Andersen (2008); Willard (1997) for the mixing; docs/decisions/0015-heston-labels.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pricing.elementary import exprel, ratio, root
from pricing.paths import Paths
from pricing.processes.grid import blocks, lengths, refined
from pricing.processes.rectified_square import LARGEST, standardised
from pricing.scenario import Scenario, clock, correlation, discount, growth
from pricing.specs.process import Heston


@dataclass(frozen=True, kw_only=True)
class Variance:
    """What the variance does to the asset, step by step.

    Args:
        integrated: integral of nu^2 v over the step.
        driven: integral of nu sqrt(v) dB over the step.

    Shape: batch-or-1 path step asset.
    """

    integrated: Tensor
    driven: Tensor


def simulate(process: Heston, at: Scenario, normals: Tensor, until: Tensor) -> Paths:
    """The assets at the dates; no randomness of its own.

    Shape: normals ``1-or-batch path dimension``, first the residual ones date by date, then those that drive the
    variances step by step; until ``batch-or-1 1 date``, years.
    """
    dates, assets = until.shape[-1], process.assets
    own, driving = torch.split(normals, list(blocks(process, dates)), dim=-1)
    variance = variances(process, at, driving, until)
    integrated, driven = (by_date(part, dates) for part in (variance.integrated, variance.driven))
    total = integrated.sum(dim=3)
    rho = at["spot_variance_correlation"][:, :, None, :]
    turned = residual(process, at, own.reshape(*own.shape[:2], dates, assets), integrated)
    logs = rho * driven.sum(dim=3) - 0.5 * total
    logs = logs + root((1.0 - rho.square()).clamp(min=0.0)) * root(total) * turned
    return Paths(
        forward=at["spot"][:, :, None, :] * torch.exp(growth(process, at, until)),
        noise=torch.exp(logs.cumsum(dim=2)),
        law="multiplicative",
        discount=discount(process, at, until),
    )


def variances(process: Heston, at: Scenario, normals: Tensor, until: Tensor) -> Variance:
    """The variance path on the refined grid. Shape: normals 1-or-batch path step*asset; until batch-or-1 1 date."""
    grid = refined(process, until)
    h = lengths(grid)[..., None]
    squared_scale = ratio(lengths(clock(process, at, grid))[..., None], h, limit=0.0)
    shocks = normals.reshape(*normals.shape[:2], grid.shape[-1], process.assets)
    shocks = shocks @ torch.linalg.cholesky(correlation(process, at))[:, None].mT
    kappa, theta = at["mean_reversion"], at["long_variance"]
    v, integrated, driven = at["initial_variance"], [], []
    for j in range(grid.shape[-1]):
        E = torch.exp(-kappa * h[:, :, j])
        f = h[:, :, j] * exprel(-kappa * h[:, :, j])
        c = f / (1.0 + E)
        M, after = step(at, v, shocks[:, :, j], E, f)
        integrated.append(squared_scale[:, :, j] * (c * (v + after) + theta * (h[:, :, j] - 2.0 * c)))
        driven.append(root(squared_scale[:, :, j]) * M * (1.0 + kappa * c))
        v = after
    return Variance(integrated=torch.stack(integrated, dim=2), driven=torch.stack(driven, dim=2))


def step(at: Scenario, v: Tensor, z: Tensor, E: Tensor, f: Tensor) -> tuple[Tensor, Tensor]:
    """M = integral of e^(-kappa (t' - t)) sqrt(v) dB over the step, and v'. Shape: batch-or-1 path-or-1 asset."""
    xi, kappa, theta = at["variance_volatility"], at["mean_reversion"], at["long_variance"]
    mean = theta + (v - theta) * E
    s = root(v * E * f + 0.5 * theta * kappa * f * f)
    # Where nearly all mass is at zero the spread is cut to what the law can have.
    fits = xi * s <= LARGEST * mean
    s = torch.where(fits, s, LARGEST * mean / torch.where(xi > 0.0, xi, torch.ones_like(xi)))
    zeta, positive = standardised(ratio(xi * s, mean, limit=0.0), z)
    M = s * zeta
    return M, torch.where(positive, (mean + xi * M).clamp(min=0.0), torch.zeros_like(M))


def residual(process: Heston, at: Scenario, normals: Tensor, integrated: Tensor) -> Tensor:
    """A z of every date. Shape: normals 1-or-batch path date asset; integrated batch-or-1 path date step asset."""
    if process.assets == 1:
        return normals
    deviation = root(integrated)
    total = root(integrated.sum(dim=3))
    shared = torch.einsum("bpksa,bpksc->bpkac", deviation, deviation)
    shape = ratio(shared, total[..., :, None] * total[..., None, :], limit=1.0)
    factor = torch.linalg.cholesky(correlation(process, at)[:, None, None] * shape)
    turned: Tensor = (factor @ normals[..., None])[..., 0]
    return turned


def by_date(steps: Tensor, dates: int) -> Tensor:
    """Steps grouped by the date that they lead to. Shape: batch path date*step asset -> batch path date step asset."""
    return steps.reshape(*steps.shape[:2], dates, -1, steps.shape[-1])
