"""Closed forms of forward-start options, whose strike is set at t as a share K of the basket.

Black-Scholes, one asset: given S_t the option is one on S_T / S_t, so with the forwards F

    V = D_T w E[(S_T - K S_t)^+] = D_T w F_t Black(F_T / F_t, K, sigma^2 (T - t)).

Bachelier: w . S_T - K w . S_t is Gaussian.

References: Rubinstein (1991), Pay now, choose later.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.references.bachelier import variance
from pricing.references.black_scholes import carry, spot_moneyness, terminal
from pricing.references.normal import gaussian, lognormal
from pricing.simulation.scenario import Scenario, dates, discount, growth
from pricing.specs.payoff import ForwardStart
from pricing.specs.process import Bachelier, BlackScholes


def single(process: BlackScholes, payoff: ForwardStart, at: Scenario) -> Tensor:
    """Value on one asset without dividends in cash; a negative weight swaps call and put. Shape: -> batch."""
    until = dates(payoff, at)
    forward, paid, ticks = terminal(process, at, until)
    (weight,) = payoff.weights
    sign = 1.0 if (payoff.side == "call") == (weight > 0.0) else -1.0
    share, grown = at.scalar("strike")[:, 0], carry(process, at, until)[:, 0, :, 0]
    spread = at["volatility"][:, 0, 0].square() * (ticks[:, 1] - ticks[:, 0])
    later = grown[:, 1] - grown[:, 0]
    moneyness = spot_moneyness(torch.ones_like(share), share, later)
    option = lognormal(torch.exp(later), share, spread, sign=sign, moneyness=moneyness)
    return paid[:, 1] * abs(weight) * forward[:, 0, 0] * option


def basket(process: Bachelier, payoff: ForwardStart, at: Scenario) -> Tensor:
    """Value on any number of assets. Shape: -> batch."""
    until, strike = dates(payoff, at), at.scalar("strike")
    weights = until.new_tensor(payoff.weights)
    amounts = torch.stack([-strike * weights, weights.expand(len(strike), -1)], dim=1)
    mean = (at["spot"] * torch.exp(growth(process, at, until)[:, 0]) * amounts).sum(dim=(1, 2))
    sign = 1.0 if payoff.side == "call" else -1.0
    spread = variance(process, at, amounts, until)
    return discount(process, at, until)[:, 0, -1] * gaussian(mean, torch.zeros_like(mean), spread, sign=sign)
