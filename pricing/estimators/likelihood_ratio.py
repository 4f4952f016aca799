"""The density of the path differentiated instead of the payoff: unbiased whatever jumps, and noisy.

V(x) = D E[(h(X) - c) p(X; x) / p(X; x_0)] + D c   at x = x_0, with the path X and c held fixed

so that autograd gives E[(h - c) grad ln p] and its curvature. c is the payoff on the path of zero normals: any constant
leaves the expectation alone, and this one takes away most of what deep in the money is certain. "last" holds fixed the
last step only and lets the rest of the path move: the score of one step instead of that of all.

References: Broadie & Glasserman (1996); Glasserman (2003), 7.3; Giles (2009) for the last step.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from pricing.elementary import root
from pricing.errors import InvalidSpec
from pricing.estimators.contribution import Contribution
from pricing.estimators.direct import pilot
from pricing.processes.bachelier import step_factors
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.paths import Paths
from pricing.simulation.payoffs import cash
from pricing.simulation.rotation import Rotation
from pricing.simulation.scenario import Scenario, clock, correlation, growth, times
from pricing.specs.choice import require_estimator
from pricing.specs.estimator import LikelihoodRatio
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier


def contribution(problem: PricingProblem, estimator: LikelihoodRatio) -> Contribution:
    """Cash times the likelihood ratio.

    Raises:
        InvalidSpec: a process without a density of its dates, a payoff that looks between them, or a feature that the
            density does not know.
    """
    require_estimator(problem, estimator)
    require_constant(problem)
    count = len(problem.payoff.facts.dates)
    return Contribution(
        value=partial(weighted, problem, estimator),
        pilot=partial(pilot, problem),
        blocks=blocks(problem.process, count),
        numbers=4 * count * problem.process.assets,
    )


def require_constant(problem: PricingProblem) -> None:
    """Raise InvalidSpec where a feature moves the payoff, whose derivative the likelihood ratio leaves out."""
    names = [feature.name for feature in problem.features if feature.name in problem.payoff.parameters]
    if names:
        raise InvalidSpec(
            "estimator: 'likelihood_ratio' differentiates the density of the path, which does not know "
            f"{names[0]!r}; keep it constant, or use 'auto'",
            path="labels.estimator",
        )


def weighted(
    problem: PricingProblem, estimator: LikelihoodRatio, at: Scenario, normals: Tensor, rotation: Rotation
) -> Tensor:
    """D ((h - c) p / p_0 + c). Shape: normals 1-or-batch path dimension -> batch path."""
    until, turned = times(problem, at), rotation(normals)
    paths = simulate(problem.process, at, turned, until)
    middle = simulate(problem.process, at.detach(), torch.zeros_like(turned[:1, :1]), until.detach())
    levels = torch.stack([paths.levels(date) for date in range(paths.dates)], dim=2)
    fixed = levels.detach()
    last = estimator.scope == "last"
    levels = torch.cat([levels[:, :, :-1], fixed[:, :, -1:]], dim=2) if last else fixed
    seen = Paths(forward=torch.zeros_like(levels[:, :1]), noise=levels, law="additive", discount=paths.discount)
    baseline = cash(problem.payoff, middle, at.detach())
    density = log_density(problem, at, levels, until, since=paths.dates - 1 if last else 0)
    weight = torch.exp(density - density.detach())
    return paths.discount[..., -1] * ((cash(problem.payoff, seen, at) - baseline) * weight + baseline)


def log_density(problem: PricingProblem, at: Scenario, levels: Tensor, until: Tensor, *, since: int) -> Tensor:
    """Logarithm of the density of the levels at the dates from number ``since`` on, given those before, but a constant.

    Shape: levels batch path date asset, until batch-or-1 1 date -> batch path.

    Raises:
        InvalidSpec: a step without randomness, or a geometric level of 0.
    """
    process = problem.process
    grown = growth(process, at, until)
    start = at["spot"][:, :, None, :].expand(len(levels), levels.shape[1], -1, -1)
    if isinstance(process, Bachelier):
        factors = step_factors(process, at, until)
        carried = torch.exp(-grown) * levels
        moves = torch.exp(grown) * torch.diff(carried, dim=2, prepend=start)
    else:
        factors = geometric_factors(problem, at, until)
        variances = factors.square().sum(dim=-1)[:, None]
        drift = torch.diff(grown, dim=2, prepend=torch.zeros_like(grown[:, :, :1])) - 0.5 * variances
        moves = torch.diff(torch.log(levels), dim=2, prepend=torch.log(start)) - drift
    scales = factors[:, since:].diagonal(dim1=-2, dim2=-1)
    if not (bool((scales > 0.0).all()) and bool(torch.isfinite(moves).all())):
        raise InvalidSpec(
            "estimator: 'likelihood_ratio' has no density where a volatility, a time step or a geometric spot is 0; "
            "keep them positive, or use 'auto'",
            path="labels.estimator",
        )
    shocks = torch.linalg.solve_triangular(factors[:, since:], moves[:, :, since:].permute(0, 2, 3, 1), upper=False)
    logarithm: Tensor = -0.5 * shocks.square().sum(dim=(1, 2)) - torch.log(scales).sum(dim=(1, 2))[:, None]
    return logarithm


def geometric_factors(problem: PricingProblem, at: Scenario, until: Tensor) -> Tensor:
    """Cholesky factors of the covariance of the steps in logarithms. Shape: -> batch-or-1 date asset asset."""
    ticks = clock(problem.process, at, until)
    steps = torch.diff(ticks, dim=-1, prepend=torch.zeros_like(ticks[..., :1]))[:, 0, :, None]
    factor: Tensor = torch.linalg.cholesky(correlation(problem.process, at))
    return (root(steps) * at["volatility"])[..., None] * factor[:, None]
