"""Dividends in cash that a spot may not be worth: it stays at 0 from there on, and the level bends in the spot.

A path has no curvature there, so that second derivatives lack the density of the spot at the dividend. Torch-free.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from pricing.specs.problem import PricingProblem

# A gamma lacks about 7 times the chance, as a share of itself in that corner (a put against quadrature): 1e-4 here.
LEAST_CHANCE = 1e-5


class Shortfall(NamedTuple):
    """Where a dividend in cash is most likely missing.

    Args:
        chance: about the chance that the spot is worth less.
        spot: least spot of the asset in the Box.
        cash: what it pays up to then.
        time: years until then.
    """

    chance: float
    spot: float
    cash: float
    time: float


def kinked(problem: PricingProblem) -> bool:
    """Whether levels at given normals may have kinks in their parameters, which leave no curvature on a path."""
    return problem.process.facts.kinked or shortfall(problem).chance > LEAST_CHANCE


def shortfall(problem: PricingProblem) -> Shortfall:
    """The largest chance in the Box that a spot is worth less than the cash paid out of it, about.

    The worst corner decides: least spots and drifts, largest volatilities; what was paid before counts as if it were
    paid now. max over i and t_k of N((ln(D_ik / S_i) - (b_i - s_i^2 / 2) t_k) / (s_i sqrt(t_k))), where D_ik is what
    asset i pays in cash up to t_k, and S_i what its dividends in proportion leave of it.
    """
    worst = Shortfall(chance=0.0, spot=0.0, cash=0.0, time=0.0)
    cash, kept = [0.0] * problem.process.assets, [1.0] * problem.process.assets
    until = problem.bounds("maturity")[1][0]
    for dividend in problem.process.facts.dividends:
        if dividend.time > until:
            break
        i = dividend.asset
        kept[i] *= 1.0 - dividend.proportion
        cash[i] += dividend.amount
        if dividend.amount:
            spot = problem.bounds("spot")[0][i]
            chance = _chance(problem, i, dividend.time, spot=spot * kept[i], cash=cash[i])
            worst = max(worst, Shortfall(chance=chance, spot=spot, cash=cash[i], time=dividend.time))
    return worst


def _chance(problem: PricingProblem, asset: int, time: float, *, spot: float, cash: float) -> float:
    """That an asset is worth less than ``cash`` at a time, in the worst corner."""
    if spot <= cash or time == 0.0:
        return float(spot <= cash)
    sigma = problem.bounds("volatility")[1][asset] * max(problem.bounds("volatility_scale")[1])
    carry = min(problem.bounds("rate")[0]) - problem.bounds("dividend_yield")[1][asset]
    spread = sigma * math.sqrt(time)
    if spread == 0.0:
        return float(math.log(spot / cash) + carry * time <= 0.0)
    return 0.5 * math.erfc((math.log(spot / cash) + carry * time - 0.5 * spread**2) / spread / math.sqrt(2.0))
