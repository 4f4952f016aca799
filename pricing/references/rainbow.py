"""Worst-of and best-of on Black-Scholes assets by probabilities of the assets' order, differentiable to any order.

    E[max(s (R_* - K), 0)] = s (sum_i F_i P_i(R_i is R_*, s R_i > s K) - K P(s R_* > s K)),   s = 1 call, -1 put,

where P_i has asset i as numeraire. Each is a distribution function of correlated normals: exact for one or two
assets, for more an average over uniforms of a product of smooth factors.

References: Stulz (1982); Johnson (1987); Genz (1992), Numerical computation of multivariate normal probabilities.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.references.black_scholes import TINY_LEVEL, TINY_VARIANCE, terminal
from pricing.references.normal import bivariate, distribution, quantile
from pricing.simulation.scenario import Scenario, correlation, times
from pricing.specs.european import BestOf, WorstOf
from pricing.specs.problem import PricingProblem

# Conditional probabilities are kept this far from 0 and 1: their inverse has finite second derivatives.
LEAST, MOST = 1e-100, 1.0 - 1e-15


def ranked(problem: PricingProblem, at: Scenario, uniforms: Tensor | None = None) -> Tensor:
    """Value of a worst-of or best-of.

    Args:
        uniforms: for three assets and more. Shape: path asset - 1.

    Shape: -> batch.
    """
    process, payoff = problem.process, problem.payoff
    assert isinstance(payoff, WorstOf | BestOf)
    side, rank = (1.0 if payoff.side == "call" else -1.0), (1.0 if isinstance(payoff, WorstOf) else -1.0)
    until = times(problem, at)
    forward, paid, ticks = terminal(process, at, until)
    level = forward[:, 0] / forward.new_tensor(payoff.initial)
    strike = at.scalar("strike")
    logs = level.clamp(min=TINY_LEVEL).log()
    moneyness = logs - strike.clamp(min=TINY_LEVEL).log()
    deviation = (at["volatility"][:, 0].square() * ticks).clamp(min=TINY_VARIANCE).sqrt()
    covariance = correlation(process, at) * deviation[:, :, None] * deviation[:, None, :]
    half = 0.5 * torch.diagonal(covariance, dim1=1, dim2=2)

    all_alike = probability(rank * (moneyness - half), covariance, uniforms)
    paid_mass = all_alike if side == rank else 1.0 - all_alike
    owned = torch.zeros_like(paid_mass)
    eye = torch.eye(payoff.assets, dtype=torch.float64)
    for i in range(payoff.assets):
        turn = -rank * (eye - eye[i])
        turn[i] = -side * eye[i]
        law = turn @ covariance @ turn.T
        bound = rank * (logs - logs[:, i : i + 1] - 0.5 * torch.diagonal(law, dim1=1, dim2=2))
        own = side * (moneyness + half)[:, i : i + 1]
        bound = torch.cat([own, bound[:, :i], bound[:, i + 1 :]], dim=1)
        order = [i, *(j for j in range(payoff.assets) if j != i)]
        owned = owned + level[:, i] * probability(bound, law[:, order][:, :, order], uniforms)
    return paid[:, 0] * side * (owned - strike[:, 0] * paid_mass)


def probability(bound: Tensor, covariance: Tensor, uniforms: Tensor | None) -> Tensor:
    """P(Y <= bound) of centred normals. Shape: bound batch asset; covariance batch-or-1 asset asset -> batch."""
    deviation = torch.diagonal(covariance, dim1=1, dim2=2).clamp(min=TINY_VARIANCE).sqrt()
    x = bound / deviation
    if x.shape[1] == 1:
        return distribution(x[:, 0])
    rho = covariance / (deviation[:, :, None] * deviation[:, None, :])
    if x.shape[1] == 2:
        return bivariate(x[:, 0], x[:, 1], rho[:, 0, 1])
    assert uniforms is not None
    return _sequential(x, rho, uniforms)


def _sequential(x: Tensor, rho: Tensor, uniforms: Tensor) -> Tensor:
    """Genz's product of conditional probabilities, averaged. Shape: batch asset; batch-or-1 asset asset -> batch."""
    factor = torch.linalg.cholesky(rho)
    chance = distribution(x[:, :1])
    total = chance.expand(-1, len(uniforms))
    drawn: list[Tensor] = []
    for j in range(1, x.shape[1]):
        drawn.append(quantile((uniforms[:, j - 1] * chance).clamp(LEAST, MOST)))
        known = sum((factor[:, j, k, None] * z for k, z in enumerate(drawn)), torch.zeros_like(drawn[0]))
        chance = distribution((x[:, j, None] - known) / factor[:, j, j, None])
        total = total * chance
    return total.mean(dim=1)
