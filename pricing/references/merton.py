"""Closed form of Merton's jump diffusion on one asset: a Poisson series of Black's formulas.

    V = sum_n P(N = n) V_n,   V_n on F e^(n (mu + delta^2 / 2) - lambda m T) with the variance sigma^2 T + n delta^2

with N ~ Poisson(lambda T) and m = e^(mu + delta^2 / 2) - 1. What a call owns moves as if jumps came m + 1 times as
often; where that takes too many terms, the call is the put, which is worth K at most, and the forward.

References: Merton (1976), (16).
"""

from __future__ import annotations

import math
from typing import assert_never

import torch
from torch import Tensor

from pricing.references.black_scholes import carry, spot_moneyness, terminal
from pricing.references.normal import log_ratio, lognormal, lognormal_digital
from pricing.simulation.scenario import Scenario, dates
from pricing.specs.european import Call, Digital, Put
from pricing.specs.process import Merton

# Terms beyond the mean plus so many deviations, and so many more, have a chance below 1e-16; the most of them.
TAIL, LEAST_TERMS, MOST_TERMS = 10.0, 20, 1 << 13
# From this count on what Stirling's formula misses of ln n! is its series, to rounding.
STIRLING = 16


def series(process: Merton, payoff: Call | Put | Digital, at: Scenario) -> Tensor:
    """A call, put or digital; a negative weight turns one into the other. Shape: -> batch."""
    until = dates(payoff, at)
    forward, paid, ticks = terminal(process, at, until)
    mu, delta, intensity = (at.scalar(name)[:, 0] for name in ("jump_mean", "jump_deviation", "jump_intensity"))
    (weight,) = payoff.weights
    side = math.copysign(1.0, weight)
    sign = side if payoff.side == "call" else -side
    mean, jump = intensity * until[:, 0, -1], mu + 0.5 * delta.square()
    most, owned = (float(rate.detach().amax()) for rate in (mean, mean * torch.exp(jump)))
    owns = sign > 0.0 and not isinstance(payoff, Digital)
    whole = not owns or terms(owned) <= MOST_TERMS
    count = terms(max(most, owned)) if owns and whole else terms(most)
    n = torch.arange(count, dtype=mean.dtype)[:, None]
    grown = n * jump - mean * torch.expm1(jump)
    level, strike = abs(weight) * forward[:, -1, 0], side * at.scalar("strike")[:, 0]
    moneyness = (
        spot_moneyness(abs(weight) * at["spot"][:, 0, 0], strike, carry(process, at, until)[:, 0, -1, 0]) + grown
    )
    variance = at["volatility"][:, 0, 0].square() * ticks[:, -1] + n * delta.square()
    levels = level * torch.exp(grown)
    strikes, chances = strike.expand_as(levels), chance(n, mean)
    match payoff:
        case Digital(cash=cash):
            parts = cash * lognormal_digital(levels, strikes, variance, sign=sign, moneyness=moneyness)
        case Call() | Put():
            parts = lognormal(levels, strikes, variance, sign=sign if whole else -sign, moneyness=moneyness)
        case _:
            assert_never(payoff)
    total = (chances * parts).sum(dim=0)
    return paid[:, -1] * (total if whole else total + level - strike)


def terms(mean: float) -> int:
    """How many counts matter."""
    return math.ceil(mean + TAIL * math.sqrt(mean)) + LEAST_TERMS


def chance(n: Tensor, mean: Tensor) -> Tensor:
    """P(N = n) = e^(-D) / sqrt(2 pi n) with D = n ln(n / mean) - n + mean, which does not cancel as ln n! does.

    Shape: n count 1, mean batch-or-1 -> count batch-or-1.
    """
    mean = mean.clamp(min=torch.finfo(mean.dtype).tiny)
    counted = n.clamp(min=1.0)
    missed = torch.tensor([[_missed(int(k))] for k in n[:, 0].tolist()], dtype=n.dtype)
    deviance = mean - n - n * log_ratio(mean, counted)
    scale = torch.where(n > 0.0, 0.5 * torch.log(2.0 * math.pi * counted) + missed, 0.0)
    return torch.exp(-deviance - scale)


def _missed(n: int) -> float:
    """Of ln n! by Stirling's formula n ln n - n + ln(2 pi n) / 2."""
    if n == 0:
        return 0.0
    if n < STIRLING:
        return math.lgamma(n + 1.0) - (n + 0.5) * math.log(n) + n - 0.5 * math.log(2.0 * math.pi)
    x = 1.0 / (n * n)
    return (1.0 / 12.0 - x * (1.0 / 360.0 - x * (1.0 / 1260.0 - x * (1.0 / 1680.0 - x / 1188.0)))) / n
