"""Closed forms of one or two Black-Scholes assets; every parameter may be a feature.

    ln S_i(t) ~ N(ln F_i(t) - v_i(t) / 2, v_i(t)),   F_i = S_i e^(G_i(t)),   v_i = sigma_i^2 clock(t)

References: Black (1976); Margrabe (1978); Kemna & Vorst (1990) for the geometric average; Reiner & Rubinstein (1991)
and Haug, The Complete Guide to Option Pricing Formulas (2007), 4.17 for continuous barriers.
"""

from __future__ import annotations

import math
from typing import assert_never

import torch
from torch import Tensor

from pricing.references.conditioned import Pair, Turn, crossing, expectation, reach
from pricing.references.normal import broadcast, log_ratio, lognormal, lognormal_digital
from pricing.references.reflection import FAR, End, out, touched
from pricing.simulation.fixings import past_factor
from pricing.simulation.scenario import Scenario, clock, correlation, dates, discount, growth
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Asian, Barrier
from pricing.specs.process import BlackScholes, Process

# Levels and variances below these are zero: logarithms of them stay finite.
TINY_LEVEL, TINY_VARIANCE = 1e-300, 1e-24


def terminal(process: Process, at: Scenario, until: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Forward, discount factor and clock at the dates. Shape: -> batch date asset; batch-or-1 date; batch-or-1 date."""
    forward = at["spot"] * torch.exp(carry(process, at, until)[:, 0])
    return forward, discount(process, at, until)[:, 0], clock(process, at, until)[:, 0]


def carry(process: Process, at: Scenario, until: Tensor) -> Tensor:
    """Integral of the carry, and the logarithm of what dividends in proportion leave of an asset up to each date.

    Shape: until batch-or-1 1 date -> batch-or-1 1 date asset.
    """
    total = growth(process, at, until)
    for dividend in process.facts.dividends:
        lost = torch.zeros(total.shape[-1], dtype=torch.float64)
        lost[dividend.asset] = math.log(max(1.0 - dividend.proportion, TINY_LEVEL))
        total = total + lost * (until[..., None] >= dividend.time)
    return total


def spot_moneyness(level: Tensor, strike: Tensor, grown: Tensor) -> Tensor:
    """ln(F / K) with F = level e^grown: the digits that e^grown rounds away count where little is random.

    0 where level or strike is not positive. Shape: any, broadcast.
    """
    positive = (level > 0.0) & (strike > 0.0)
    return torch.where(positive, log_ratio(level.where(positive, 1.0), strike.where(positive, 1.0)) + grown, 0.0)


def single(process: BlackScholes, payoff: Call | Put | Digital, at: Scenario) -> Tensor:
    """Value of a payoff on one asset; a negative weight swaps call and put. Shape: -> batch."""
    until = dates(payoff, at)
    forward, paid, ticks = terminal(process, at, until)
    (weight,) = payoff.weights
    turn = math.copysign(1.0, weight)
    level, strike = abs(weight) * forward[:, 0, 0], turn * at.scalar("strike")[:, 0]
    moneyness = spot_moneyness(abs(weight) * at["spot"][:, 0, 0], strike, carry(process, at, until)[:, 0, 0, 0])
    variance = at["volatility"][:, 0, 0].square() * ticks[:, 0]
    sign = turn if payoff.side == "call" else -turn
    match payoff:
        case Digital(cash=cash):
            return paid[:, 0] * cash * lognormal_digital(level, strike, variance, sign=sign, moneyness=moneyness)
        case Call() | Put():
            return paid[:, 0] * lognormal(level, strike, variance, sign=sign, moneyness=moneyness)
        case _:
            assert_never(payoff)


def pair(process: BlackScholes, payoff: Call | Put | Digital, at: Scenario) -> Tensor:
    """Value of a payoff on w_1 S_1 + w_2 S_2, any signs: Black's formula given the normal of one of them.

    Shape: -> batch.
    """
    forward, paid, ticks = terminal(process, at, dates(payoff, at))
    deviation = at["volatility"][:, 0] * ticks.clamp(min=TINY_VARIANCE).sqrt()
    forward, deviation = broadcast(forward[:, 0], deviation)
    exposure = (forward * deviation * forward.new_tensor(payoff.weights)).abs().mean(dim=0)
    inner, outer = (0, 1) if exposure[0] >= exposure[1] else (1, 0)  # the larger one smooths the kink
    weight, other = payoff.weights[inner], payoff.weights[outer]
    turn, strike = math.copysign(1.0, weight), at.scalar("strike")[:, 0].expand(len(forward))
    both = Pair(
        first=abs(weight) * forward[:, inner],
        second=other * forward[:, outer],
        first_deviation=deviation[:, inner],
        second_deviation=deviation[:, outer],
        correlation=correlation(process, at)[:, 0, 1],
    )
    match payoff:
        case Digital():
            formula, cash = lognormal_digital, payoff.cash
        case Call() | Put():
            formula, cash = lognormal, 1.0
        case _:
            assert_never(payoff)
    sign, left = turn if payoff.side == "call" else -turn, both.left[:, None]

    def given(z: Tensor) -> Tensor:
        level, rest = both.given(z)
        return formula(level, turn * (strike[:, None] - rest), left, sign=sign)

    turns = _turns(both.detach(), turn, strike.detach())
    return paid[:, 0] * cash * expectation(both, given, kink=_alone(both, strike), turns=turns, vanishes=True)


def _alone(both: Pair, strike: Tensor) -> Tensor:
    """The z at which the second is worth the strike, out of reach where it never is. Shape: batch -> batch."""
    ratio, s = strike / both.second.where(both.second != 0.0, 1.0), both.second_deviation
    meets = (both.second != 0.0) & (ratio > 0.0) & (s > TINY_VARIANCE**0.5)
    return torch.where(meets, ratio.where(meets, 1.0).log() / s.where(meets, 1.0) + 0.5 * s, FAR)


def _turns(both: Pair, turn: float, strike: Tensor) -> list[Turn]:
    """Where the first is worth as much as the strike less the second: once before and once after their sum's extremum.

    Shape: strike batch.
    """
    low, high = reach(both)

    def gap(z: Tensor) -> Tensor:
        a, b = both.given(z[:, None])
        return (turn * a + b)[:, 0] - strike

    rates = [both.known, both.second_deviation]
    slopes = [turn * both.known * both.first, both.second_deviation * both.second]
    apart = rates[0] - rates[1]
    bends = (slopes[0] * slopes[1] < 0.0) & (apart != 0.0)
    ratio = (-slopes[1] / slopes[0].where(bends, 1.0)).where(bends, 1.0)
    middle = (ratio.log() + 0.5 * (rates[0].square() - rates[1].square())) / apart.where(bends, 1.0)
    middle = torch.minimum(torch.maximum(middle.where(bends, low), low), high)
    turns = []
    for first, last in ((low, middle), (middle, high)):
        place = crossing(gap, first, last)
        b = both.given(place[:, None])[1][:, 0]
        rest = strike - b
        slope = rates[0] + rates[1] * b / rest.where(rest != 0.0, 1.0)
        turns.append(Turn(place=place, width=both.left.sqrt() / slope.abs().clamp(min=TINY_LEVEL)))
    return turns


def geometric(process: BlackScholes, payoff: Asian, at: Scenario) -> Tensor:
    """A geometric Asian of one asset: the average of logarithms is normal, past ones known. Shape: -> batch."""
    until, count = dates(payoff, at), len(payoff.dates)
    _, paid, ticks = terminal(process, at, until)
    variances = at["volatility"][:, 0].square() * ticks[:, :count]
    later, share = torch.arange(count, dtype=torch.float64).flip(0), count / payoff.fixings
    spread = (variances * (1.0 + 2.0 * later)).sum(dim=1) / payoff.fixings**2
    drift = carry(process, at, until)[:, 0, :count, 0].mean(dim=1) - 0.5 * variances.mean(dim=1)
    grown, base = share * drift + 0.5 * spread, payoff.weights[0] * at["spot"][:, 0, 0]
    level = past_factor(payoff, at)[:, 0] * (base if payoff.fixings == count else base.clamp(min=TINY_LEVEL) ** share)
    strike, sign = at.scalar("strike")[:, 0], 1.0 if payoff.side == "call" else -1.0
    moneyness = spot_moneyness(level, strike, grown)
    return paid[:, -1] * lognormal(level * torch.exp(grown), strike, spread, sign=sign, moneyness=moneyness)


def barrier(process: BlackScholes, payoff: Barrier, at: Scenario) -> Tensor:
    """A continuous barrier, all eight kinds, constant parameters: `pricing.references.reflection`. Shape: -> batch."""
    until = dates(payoff, at)
    grown, paid = growth(process, at, until)[:, 0, 0, 0], discount(process, at, until)[:, 0, 0]
    variance = at["volatility"][:, 0, 0].square() * clock(process, at, until)[:, 0, 0]
    spot, strike, level = broadcast(at["spot"][:, 0, 0], at.scalar("strike")[:, 0], at.scalar("barrier")[:, 0])
    call, down = payoff.side == "call", payoff.direction == "down"
    forward, sign = spot * torch.exp(grown), 1.0 if call else -1.0
    alive = (spot > level) if down else (spot < level)
    random = alive & (spot > 0.0) & (level > 0.0) & (variance > TINY_VARIANCE)
    ends = end(random, spot=spot, strike=strike, level=level, grown=grown, variance=variance, call=call, down=down)
    stays = alive & ((forward > level) if down else (forward < level))
    certain = torch.where(stays, (sign * (forward - strike)).clamp(min=0.0), 0.0)
    if payoff.knock == "out":
        return paid * torch.where(random, out(ends), certain)
    moneyness = spot_moneyness(spot, strike, grown)
    vanilla = lognormal(forward, strike, variance, sign=sign, moneyness=moneyness)
    return paid * torch.where(random, touched(ends), vanilla - certain)


def end(
    random: Tensor,
    *,
    spot: Tensor,
    strike: Tensor,
    level: Tensor,
    grown: Tensor,
    variance: Tensor,
    call: bool,
    down: bool,
) -> End:
    """Where the logarithm ends; where nothing is random, numbers that are finite. Shape: batch, all of them."""
    spot, level, variance = (
        spot.where(random, 1.0),
        level.where(random, 0.5 if down else 2.0),
        variance.where(random, 1.0),
    )
    positive, away, sign = strike > 0.0, 1.0 if down else -1.0, 1.0 if call else -1.0
    s = variance.sqrt()
    start = log_ratio(spot, level).abs() / s
    struck = away * log_ratio(strike.where(positive, 1.0), level) / s
    K, B, k, rate = strike[:, None], level[:, None], struck[:, None], away * s[:, None]

    def paid(w: Tensor) -> Tensor:
        above = rate * (w - k)
        near = positive[:, None] & (above.abs() < 1.0)
        return sign * torch.where(near, K * torch.expm1(above.where(near, 0.0)), B * torch.exp(rate * w) - K)

    return End(
        beyond=call == down,
        strike=torch.where(positive, struck, -away * FAR),
        start=start,
        mean=start + away * (grown / s - 0.5 * s),
        tilt=away * s if call else torch.zeros_like(s),
        paid=paid,
    )
