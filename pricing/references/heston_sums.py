"""Baskets of several Heston assets: given the variances they are sums of lognormals, whose formula is another's.

The variances are the simulator's own (`pricing.processes.heston`), on twice the labels' steps; given them ln S is
Gaussian with the covariance C_ij R_ij, and one normal along the basket's own gradient is integrated as in
`pricing.references.lognormal_sums`, path by path. What half the steps change on the same paths is part of the errors.

References: Willard (1997) for conditioning on the variances; Glasserman (2003), 7.2.3.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from pricing.estimators.coarser import doubled, halved, summed
from pricing.processes.grid import steps
from pricing.processes.heston import joined, variances
from pricing.references.black_scholes import terminal
from pricing.references.lognormal_sums import Sum, risen
from pricing.references.methods import Replicated
from pricing.references.normal import quantile
from pricing.references.replicates import DATED, PLAIN
from pricing.simulation.scenario import Scenario, correlation, times
from pricing.specs.estimator import Pathwise
from pricing.specs.european import Call, Digital, Put
from pricing.specs.parameters import PARAMETERS
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Heston

# Paths of one replicate; fewer where every sample has variances of its own.
PATHS, OWN_PATHS = 1 << 11, 1 << 8


def supported(problem: PricingProblem, process: Heston, payoff: Call | Put | Digital) -> bool:
    """Whether every level rises along the basket's gradient: weights and all covariances are positive."""
    rho = process.spot_variance_correlations
    names = {feature.name for feature in problem.features}
    least = problem.bounds("correlation")[0][0] if "correlation" in names else min(map(min, process.correlation))
    fixed = not names & {"loading", "spot_variance_correlation"}
    alike = min(rho) >= 0.0 or max(rho) <= 0.0
    return min(payoff.weights) > 0.0 and least >= 0.0 and fixed and alike


def method(problem: PricingProblem, payoff: Call | Put | Digital) -> Replicated:
    """How a basket is referenced."""
    finer, _ = doubled(problem, Pathwise())
    coarse, _ = halved(finer, Pathwise())
    process = finer.process
    assert isinstance(process, Heston)  # `supported`
    own = any(PARAMETERS[feature.name].noise != "none" for feature in problem.features)
    count = steps(process, 1)
    return Replicated(
        kind="resimulated (same simulator, other estimator, seed and steps)",
        sampled=partial(expected, finer, payoff, count),
        coarse=partial(expected, coarse, payoff, count),
        dimension=process.assets * (count + 1),
        paths=OWN_PATHS if own else PATHS,
        points=DATED if own else PLAIN,
        relative_error=0.0,
        known="all",
    )


def expected(problem: PricingProblem, payoff: Call | Put | Digital, drawn: int, at: Scenario, points: Tensor) -> Tensor:
    """Value of a basket. Shape: points path (asset, drawn asset) -> batch.

    Args:
        drawn: steps that the points are for, the problem's or twice as many.
    """
    process = problem.process
    assert isinstance(process, Heston)
    normals, until = quantile(points)[None], times(problem, at)
    own, driving = normals[..., : process.assets], slow_first(normals[..., process.assets :], drawn)
    if steps(process, 1) < drawn:
        driving = summed(driving, process.assets)
    over = joined(at, variances(process, at, driving, until))
    forward, paid, _ = terminal(process, at, until)
    factor = torch.linalg.cholesky(correlation(process, at)[:, None] * over.shared)
    weighted = forward.new_tensor(payoff.weights) * forward[:, 0]
    direction = torch.nn.functional.normalize((weighted[:, None, None] @ factor)[:, :, 0], dim=-1).detach()
    rest = own - (own * direction).sum(dim=-1, keepdim=True) * direction
    drift = at["spot_variance_correlation"] * over.driven - 0.5 * over.integrated
    slopes, noise = ((factor @ side[..., None])[..., 0] for side in (direction, rest))
    shape = (len(weighted), noise.shape[1], process.assets)
    total = Sum(
        amounts=weighted[:, None].expand(shape).flatten(0, 1),
        slopes=slopes.expand(shape).flatten(0, 1),
        noise=(drift + noise).expand(shape).flatten(0, 1)[:, None],
    )
    strike = at.scalar("strike").expand(len(weighted), shape[1]).reshape(-1, 1)
    inner = risen(payoff, total, strike).reshape(shape[:2])
    return paid[:, -1] * inner.mean(dim=1)


def slow_first(normals: Tensor, count: int) -> Tensor:
    """Normals of the steps from those of cosines over them, the slowest first: points are best where they matter most.

    Shape: ... step*asset -> the same.
    """
    j = torch.arange(count, dtype=torch.float64)
    cosines = torch.cos(torch.pi * (j[:, None] + 0.5) * j / count) * (2.0 / count) ** 0.5
    cosines[:, 0] = count**-0.5
    waves = normals.reshape(*normals.shape[:-1], count, -1)
    return torch.einsum("jk,...ka->...ja", cosines, waves).flatten(-2)
