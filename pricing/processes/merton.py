"""Merton's jump diffusion; the exact law between dates, so there is no time grid.

S_i(t_k) = S_i e^(G_i(t_k) - lambda_i m_i t_k) exp(diffusion) exp(sum_(j <= k) mu_i n_ij + delta_i sqrt(n_ij) y_ij)

with m = e^(mu + delta^2 / 2) - 1 and n_ij ~ Poisson(L), L = lambda_i h_j, the number of jumps in step j: the quantile
at N(x) of a normal x of its own. A count has no derivative by its mean, its law has: with L_0 the number that L is,

    E[f(n); L] = E[f(n) (L / L_0)^n e^(L_0 - L); L_0],

a weight that is 1 with the derivatives of the law, by intensity and maturity and to all orders. It goes into the
discount factor, which every estimator multiplies by; up to date k, it is a martingale.

References: Merton (1976); Glasserman, Monte Carlo Methods in Financial Engineering (2003), 3.5.1 and 7.3.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pricing.elementary import cumulative, root
from pricing.processes.black_scholes import drag, shocks
from pricing.processes.grid import lengths
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, clock, discount, growth
from pricing.specs.process import Merton

# Counts beyond the mean plus so many deviations, and so many more, have a chance below 1e-16.
TAIL, LEAST_COUNTS = 10.0, 20


def blocks(process: Merton, dates: int) -> tuple[int, int, int]:
    """Normals of the diffusion, and of sizes and counts of jumps; ln S is affine in the first, given the others."""
    count = process.assets * dates
    return (count, count, count)


def simulate(process: Merton, at: Scenario, normals: Tensor, until: Tensor) -> Paths:
    """The assets at the dates; no randomness of its own.

    Shape: normals ``1-or-batch path dimension``, of each block date by date; until ``batch-or-1 1 date``, years.
    """
    diffusion, sizes, counting = normals.chunk(3, dim=-1)
    mu, delta, intensity = (at[name][:, :, None] for name in ("jump_mean", "jump_deviation", "jump_intensity"))
    mean = intensity * lengths(until)[..., None]
    jumps = poisson(cumulative(by_date(counting, process, until)), mean.detach())
    size = mu * jumps + delta * root(jumps) * by_date(sizes, process, until)
    noise = torch.exp((shocks(process, at, diffusion, until) + size).cumsum(dim=2))
    compensator = intensity * torch.expm1(mu + 0.5 * delta.square()) * until[..., None]
    drift = growth(process, at, until) - compensator - drag(at) * clock(process, at, until)[..., None]
    return Paths(
        forward=at["spot"][:, :, None, :] * torch.exp(drift),
        noise=noise,
        law="multiplicative",
        discount=discount(process, at, until) * likelihood(jumps, mean),
    )


def by_date(normals: Tensor, process: Merton, until: Tensor) -> Tensor:
    """The normals of a block. Shape: 1-or-batch path step*asset -> 1-or-batch path step asset."""
    return normals.reshape(*normals.shape[:2], until.shape[-1], process.assets)


def poisson(uniform: Tensor, mean: Tensor) -> Tensor:
    """The least n with P(N <= n) >= u for a Poisson count N. Shape: any, broadcast."""
    count, chance = torch.zeros_like(uniform + mean), torch.zeros_like(mean)
    largest = float(mean.detach().amax())
    logarithm = torch.log(mean.clamp(min=torch.finfo(mean.dtype).tiny))
    for n in range(math.ceil(largest + TAIL * math.sqrt(largest)) + LEAST_COUNTS):
        chance = chance + torch.exp(n * logarithm - mean - math.lgamma(n + 1.0))
        count = count + (uniform > chance)
    return count


def likelihood(jumps: Tensor, mean: Tensor) -> Tensor:
    """The weight of the paths up to each date: 1, with the derivatives of the law of the counts.

    Shape: jumps batch-or-1 path step asset, mean batch-or-1 1 step asset -> batch-or-1 path-or-1 step.
    """
    if not mean.requires_grad:
        return torch.ones_like(mean[..., 0])
    positive = mean.clamp(min=torch.finfo(mean.dtype).tiny)
    logarithm = jumps * torch.log(positive / positive.detach()) - (mean - mean.detach())
    return torch.exp(logarithm.sum(dim=-1).cumsum(dim=-1))
