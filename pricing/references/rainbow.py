"""Worst-of and best-of on Black-Scholes assets by probabilities of the assets' order, differentiable to any order.

    E[max(s (R_* - K), 0)] = s (sum_i F_i P_i(R_i is R_*, s R_i > s K) - K P(s R_* > s K)),   s = 1 call, -1 put,

where P_i has asset i as numeraire. Each is a distribution function of correlated normals: exact for one or two
assets, for more an average over uniforms of a product of smooth factors.

References: Stulz (1982); Johnson (1987); Genz (1992), Numerical computation of multivariate normal probabilities.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import assert_never

import torch
from torch import Tensor

from pricing.references.black_scholes import TINY_LEVEL, TINY_VARIANCE, carry, spot_moneyness, terminal
from pricing.references.conditioned import Pair, Turn, expectation
from pricing.references.methods import Replicated
from pricing.references.normal import broadcast, distribution, log_ratio, lognormal, quantile
from pricing.references.reflection import FAR
from pricing.references.replicates import PLAIN, VARIED
from pricing.simulation.scenario import Scenario, correlation, dates
from pricing.specs.european import BestOf, WorstOf
from pricing.specs.process import BlackScholes

# P(Y <= x) of standard normals. Shape: x batch asset; correlation batch-or-1 asset asset -> batch.
Law = Callable[[Tensor, Tensor], Tensor]

# Paths of one replicate, and assets up to which they take no longer than others do.
PATHS, QUICK = 1 << 11, 3
# Conditional probabilities are kept this far from 0 and 1: their inverse has finite second derivatives.
LEAST, MOST = 1e-100, 1.0 - 1e-15


def method(process: BlackScholes, payoff: WorstOf | BestOf) -> Replicated:
    """How a payoff on three assets or more is referenced."""
    return Replicated(
        sampled=partial(sampled, process, payoff),
        dimension=payoff.assets - 1,
        paths=PATHS,
        points=max(PLAIN * QUICK**2 // payoff.assets**2, VARIED),
        relative_error=0.0,
        known="all",
    )


def ranked(process: BlackScholes, payoff: WorstOf | BestOf, at: Scenario) -> Tensor:
    """Value of a worst-of or best-of of one or two assets. Shape: -> batch."""
    until = dates(payoff, at)
    forward, paid, ticks = terminal(process, at, until)
    strike, sign = at.scalar("strike")[:, 0], 1.0 if payoff.side == "call" else -1.0
    initial = forward.new_tensor(payoff.initial)
    variance = at["volatility"][:, 0].square() * ticks
    if payoff.assets == 1:
        grown = carry(process, at, until)[:, 0, 0, 0]
        moneyness = spot_moneyness(at["spot"][:, 0, 0] / initial[0], strike, grown)
        value = lognormal(forward[:, 0, 0] / initial[0], strike, variance[:, 0], sign=sign, moneyness=moneyness)
        return paid[:, 0] * value
    level, deviation = broadcast(forward[:, 0] / initial, variance.clamp(min=TINY_VARIANCE).sqrt())
    outer = int((level * deviation).detach().mean(dim=0).argmin())
    both = Pair(
        first=level[:, 1 - outer],
        second=level[:, outer],
        first_deviation=deviation[:, 1 - outer],
        second_deviation=deviation[:, outer],
        correlation=correlation(process, at)[:, 0, 1],
    )
    strike = strike.expand(len(level))
    given = partial(_given, payoff, both, strike[:, None])
    kink, turns = _alone(both, strike), _ranked_turns(both.detach(), strike.detach())
    return paid[:, 0] * expectation(both, given, kink=kink, turns=turns)


def _given(payoff: WorstOf | BestOf, both: Pair, strike: Tensor, z: Tensor) -> Tensor:
    """Expectation over the first given the second's normal: what the second pays itself, and what the first adds.

    Shape: strike batch 1, z batch node -> batch node.
    """
    a, b = both.given(z)
    call, worst = payoff.side == "call", _rank(payoff) > 0.0
    black = partial(lognormal, a, variance=both.left[:, None], sign=1.0 if call else -1.0)
    if call == worst:  # of the two that pay, the one that pays less
        pays = (b > strike) if call else (b < strike)
        return torch.where(pays, black(strike) - black(b), 0.0)
    own = ((b - strike) if call else (strike - b)).clamp(min=0.0)
    return own + black(torch.maximum(b, strike) if call else torch.minimum(b, strike))


def _alone(both: Pair, strike: Tensor) -> Tensor:
    """The z at which the second is at the strike, out of reach where it never is. Shape: batch -> batch."""
    s = both.second_deviation
    meets = (both.second > 0.0) & (strike > 0.0)
    ratio = log_ratio(strike.where(meets, 1.0), both.second.where(meets, 1.0))
    return torch.where(meets, ratio / s + 0.5 * s, FAR)


def _ranked_turns(both: Pair, strike: Tensor) -> list[Turn]:
    """Where the first is at the strike, and where at the second. Shape: strike batch."""
    logs = [level.clamp(min=TINY_LEVEL).log() for level in (both.first, both.second, strike)]
    rates = [both.known, both.second_deviation, torch.zeros_like(strike)]
    turns = []
    for other in (1, 2):
        slope = rates[0] - rates[other]
        safe = slope.where(slope.abs() > TINY_VARIANCE**0.5, 1.0)
        place = (logs[other] - logs[0] + 0.5 * (rates[0].square() - rates[other].square())) / safe
        turns.append(Turn(place=place, width=both.left.sqrt() / safe.abs()))
    return turns


def sampled(process: BlackScholes, payoff: WorstOf | BestOf, at: Scenario, uniforms: Tensor) -> Tensor:
    """Value of a worst-of or best-of of any number of assets. Shape: uniforms path (asset - 1) -> batch."""
    return _value(process, payoff, at, lambda x, rho: _sequential(x, rho, uniforms))


def _value(process: BlackScholes, payoff: WorstOf | BestOf, at: Scenario, law: Law) -> Tensor:
    side, rank = 1.0 if payoff.side == "call" else -1.0, _rank(payoff)
    forward, paid, ticks = terminal(process, at, dates(payoff, at))
    level = forward[:, 0] / forward.new_tensor(payoff.initial)
    strike = at.scalar("strike")
    logs = level.clamp(min=TINY_LEVEL).log()
    moneyness = logs - strike.clamp(min=TINY_LEVEL).log()
    deviation = (at["volatility"][:, 0].square() * ticks).clamp(min=TINY_VARIANCE).sqrt()
    covariance = correlation(process, at) * deviation[:, :, None] * deviation[:, None, :]
    half = 0.5 * torch.diagonal(covariance, dim1=1, dim2=2)

    all_alike = _probability(rank * (moneyness - half), covariance, law)
    paid_mass = all_alike if side == rank else 1.0 - all_alike
    owned = torch.zeros_like(paid_mass)
    eye = torch.eye(payoff.assets, dtype=torch.float64)
    for i in range(payoff.assets):
        turn = -rank * (eye - eye[i])
        turn[i] = -side * eye[i]
        turned = turn @ covariance @ turn.T
        bound = rank * (logs - logs[:, i : i + 1] - 0.5 * torch.diagonal(turned, dim1=1, dim2=2))
        own = side * (moneyness + half)[:, i : i + 1]
        bound = torch.cat([own, bound[:, :i], bound[:, i + 1 :]], dim=1)
        order = [i, *(j for j in range(payoff.assets) if j != i)]
        owned = owned + level[:, i] * _probability(bound, turned[:, order][:, :, order], law)
    return paid[:, 0] * side * (owned - strike[:, 0] * paid_mass)


def _rank(payoff: WorstOf | BestOf) -> float:
    """1 of the worst, -1 of the best."""
    match payoff:
        case WorstOf():
            return 1.0
        case BestOf():
            return -1.0
        case _:
            assert_never(payoff)


def _probability(bound: Tensor, covariance: Tensor, law: Law) -> Tensor:
    """P(Y <= bound) of centred normals. Shape: bound batch asset; covariance batch-or-1 asset asset -> batch."""
    deviation = torch.diagonal(covariance, dim1=1, dim2=2).clamp(min=TINY_VARIANCE).sqrt()
    return law(bound / deviation, covariance / (deviation[:, :, None] * deviation[:, None, :]))


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
