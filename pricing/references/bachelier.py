"""Closed forms of Bachelier assets: everything linear in them is normal, baskets and arithmetic averages alike.

With G_i(t) the integral of the carry, sum_k a_k . S(t_k) has the mean sum_ki a_ki S_i e^(G_i(t_k)) and the variance

    integral of scale(t)^2 u(t)^T rho u(t) dt,     u_i(t) = sigma_i sum over t_k > t of a_ki e^(G_i(t_k) - G_i(t)).

Under the forward convention a continuous barrier follows from reflection, see `pricing.references.reflection`.

References: Bachelier (1900); Glasserman, Monte Carlo Methods in Financial Engineering (2003), 2.6.
"""

from __future__ import annotations

from itertools import pairwise
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from pricing.references.normal import DEGENERATE, broadcast, gaussian, gaussian_digital
from pricing.references.reflection import End, out, touched
from pricing.simulation.fixings import strike_left, summands
from pricing.simulation.scenario import Scenario, correlation, dates, discount, growth
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Asian, Barrier
from pricing.specs.process import Bachelier

# Gauss-Legendre nodes of one interval: e^(2 b t) with |b t| up to 10 to rounding.
NODES = 16


def linear(process: Bachelier, payoff: Call | Put | Digital | Asian, at: Scenario) -> Tensor:
    """Value of what is linear in the levels but for its strike, averages arithmetic. Shape: -> batch."""
    until = dates(payoff, at)
    counted = until.new_tensor([date <= payoff.facts.last_look for date in payoff.facts.dates])[:, None]
    amounts = counted * until.new_tensor(payoff.weights) / summands(payoff)
    carry = growth(process, at, until)[:, 0]
    mean = (at["spot"] * torch.exp(carry) * amounts).sum(dim=(1, 2))
    held = (at["spot"] * amounts.sum(dim=0)).sum(dim=(1, 2))  # off the strike exactly, where the two are near
    gap = held - strike_left(payoff, at)[:, 0] + (at["spot"] * torch.expm1(carry) * amounts).sum(dim=(1, 2))
    spread = variance(process, at, amounts, until)
    paid = discount(process, at, until)[:, 0, -1]
    strike, sign = strike_left(payoff, at)[:, 0], 1.0 if payoff.side == "call" else -1.0
    match payoff:
        case Digital(cash=cash):
            return paid * cash * gaussian_digital(mean, strike, spread, sign=sign, gap=gap)
        case Call() | Put() | Asian():
            return paid * gaussian(mean, strike, spread, sign=sign, gap=gap)
        case _:
            assert_never(payoff)


def variance(process: Bachelier, at: Scenario, amounts: Tensor, until: Tensor) -> Tensor:
    """Variance of the sum over dates of amounts . S.

    Shape: amounts date asset, until batch-or-1 1 date -> batch-or-1.
    """
    nodes, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(NODES))
    starts = {piece.start for pieces in (process.rate_pieces, process.volatility_pieces) for piece in pieces}
    jumps = [piece.start for piece in process.volatility_pieces]
    carried = amounts * torch.exp(growth(process, at, until)[:, 0])
    rho = correlation(process, at)
    total = until.new_zeros(1)
    for k, end in enumerate(until.unbind(dim=-1)):
        begin = until[..., k - 1] if k else torch.zeros_like(end)
        ahead = carried[:, k:].sum(dim=1)
        for low, high in pairwise(sorted({0.0, *starts, float("inf")})):
            first, last = begin.clamp(low, high), end.clamp(low, high)
            at_nodes = first + 0.5 * (last - first) * (1.0 + nodes)
            back = growth(process, at, at_nodes[:, None, :])[:, 0]
            u = at["volatility"] * ahead[:, None, :] * torch.exp(-back)
            scale = at["volatility_scale"][:, 0, sum(start <= low for start in jumps)]
            rate = ((u @ rho) * u).sum(dim=-1) @ weights
            total = total + rate * (0.5 * (last - first)[:, 0] * scale.square())
    return total


def barrier(process: Bachelier, payoff: Barrier, at: Scenario) -> Tensor:
    """A continuous barrier under the forward convention, all eight kinds. Shape: -> batch."""
    one = at["spot"].new_ones(1, 1)
    spread = variance(process, at, one, dates(payoff, at))
    spot, strike, level = at["spot"][:, 0, 0], at.scalar("strike")[:, 0], at.scalar("barrier")[:, 0]
    spot, strike, level, spread = broadcast(spot, strike, level, spread)
    call, down = payoff.side == "call", payoff.direction == "down"
    sign = 1.0 if call else -1.0
    alive = (spot > level) if down else (spot < level)
    moves = spread.sqrt() > DEGENERATE * torch.maximum(spot.abs(), strike.abs())
    s = spread.where(moves, 1.0).sqrt()
    away = 1.0 if down else -1.0
    start, struck = torch.where(alive, (spot - level).abs() / s, 1.0), away * (strike - level) / s
    end = End(
        beyond=call == down,
        strike=struck,
        start=start,
        mean=start,
        tilt=torch.zeros_like(s),
        paid=lambda w: sign * away * s[:, None] * (w - struck[:, None]),
    )
    certain = torch.where(alive, (sign * (spot - strike)).clamp(min=0.0), 0.0)
    if payoff.knock == "out":
        return torch.where(alive & moves, out(end), certain)
    return torch.where(alive & moves, touched(end), gaussian(spot, strike, spread, sign=sign) - certain)
