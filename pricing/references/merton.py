"""Closed form of Merton's jump diffusion on one asset: a Poisson series of Black's formulas.

    V = sum_n P(N = n) V_n,   V_n on F e^(n (mu + delta^2 / 2) - lambda m T) with the variance sigma^2 T + n delta^2

with N ~ Poisson(lambda T) and m = e^(mu + delta^2 / 2) - 1.

References: Merton (1976), (16).
"""

from __future__ import annotations

import math
from typing import assert_never

import torch
from torch import Tensor

from pricing.references.black_scholes import terminal
from pricing.references.normal import lognormal, lognormal_digital
from pricing.simulation.scenario import Scenario, dates
from pricing.specs.european import Call, Digital, Put
from pricing.specs.process import Merton

# Terms beyond the mean plus so many deviations, and so many more, have a chance below 1e-16.
TAIL, LEAST_TERMS = 10.0, 20


def series(process: Merton, payoff: Call | Put | Digital, at: Scenario) -> Tensor:
    """A call, put or digital; a negative weight turns one into the other. Shape: -> batch."""
    until = dates(payoff, at)
    forward, paid, ticks = terminal(process, at, until)
    mu, delta, intensity = (at.scalar(name)[:, 0] for name in ("jump_mean", "jump_deviation", "jump_intensity"))
    (weight,) = payoff.weights
    side = math.copysign(1.0, weight)
    sign = side if payoff.side == "call" else -side
    mean, growth = intensity * until[:, 0, -1], mu + 0.5 * delta.square()
    count = math.ceil(float(mean.detach().amax()) + TAIL * math.sqrt(float(mean.detach().amax()))) + LEAST_TERMS
    n = torch.arange(count, dtype=mean.dtype)[:, None]
    logarithm = torch.log(mean.clamp(min=torch.finfo(mean.dtype).tiny))
    chance = torch.exp(n * logarithm - mean - torch.lgamma(n + 1.0))
    level = abs(weight) * forward[:, -1, 0] * torch.exp(n * growth - mean * torch.expm1(growth))
    variance = at["volatility"][:, 0, 0].square() * ticks[:, -1] + n * delta.square()
    strike = (side * at.scalar("strike")[:, 0]).expand_as(level)
    match payoff:
        case Digital(cash=cash):
            terms = cash * lognormal_digital(level, strike, variance, sign=sign)
        case Call() | Put():
            terms = lognormal(level, strike, variance, sign=sign)
        case _:
            assert_never(payoff)
    return paid[:, -1] * (chance * terms).sum(dim=0)
