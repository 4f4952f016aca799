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

from pricing.references.normal import lognormal, lognormal_digital
from pricing.simulation.fixings import past_factor
from pricing.simulation.scenario import Scenario, clock, correlation, dates, discount, growth
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Asian, Barrier
from pricing.specs.process import BlackScholes, Process

# Trapezoidal rule over [-REACH, REACH] standard deviations of one asset: spectral for analytic integrands.
REACH, NODES = 9.0, 721
# |rho| and total variances are kept this far from perfection and zero, where a conditional law has no width.
MARGIN = 1e-12
# Levels and variances below these are zero: logarithms of them stay finite.
TINY_LEVEL, TINY_VARIANCE = 1e-300, 1e-24
# A level that nothing reaches, and an exponent short of overflow where the image's weight meets a mass of zero.
FAR_LEVEL, LARGEST_EXPONENT = 1e60, 100.0


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


def single(process: BlackScholes, payoff: Call | Put | Digital, at: Scenario) -> Tensor:
    """Value of a payoff on one asset; a negative weight swaps call and put. Shape: -> batch."""
    forward, paid, ticks = terminal(process, at, dates(payoff, at))
    (weight,) = payoff.weights
    turn = math.copysign(1.0, weight)
    level, strike = abs(weight) * forward[:, 0, 0], turn * at.scalar("strike")[:, 0]
    variance = at["volatility"][:, 0, 0].square() * ticks[:, 0]
    sign = turn if payoff.side == "call" else -turn
    match payoff:
        case Digital(cash=cash):
            return paid[:, 0] * cash * lognormal_digital(level, strike, variance, sign=sign)
        case Call() | Put():
            return paid[:, 0] * lognormal(level, strike, variance, sign=sign)
        case _:
            assert_never(payoff)


def pair(process: BlackScholes, payoff: Call | Put | Digital, at: Scenario) -> Tensor:
    """Value of a payoff on w_1 S_1 + w_2 S_2, any signs: given one asset the other is lognormal.

    E[E[f(w_1 S_1 + w_2 S_2) | z_2]] by the trapezoidal rule in z_2, or the other way round; Margrabe where K = 0 and
    w = (1, -1).

    Shape: -> batch.
    """
    forward, paid, ticks = terminal(process, at, dates(payoff, at))
    rho = correlation(process, at)[:, 0, 1, None].clamp(MARGIN - 1.0, 1.0 - MARGIN)
    deviation = at["volatility"][:, 0] * ticks.clamp(min=TINY_VARIANCE).sqrt()
    exposure = (forward[:, 0] * deviation * forward.new_tensor(payoff.weights)).abs().mean(dim=0)
    inner, outer = (0, 1) if exposure[0] >= exposure[1] else (1, 0)  # the larger one smooths the kink
    z = torch.linspace(-REACH, REACH, NODES, dtype=torch.float64)
    mass = torch.exp(-0.5 * z * z)
    first, second = deviation[:, inner, None], deviation[:, outer, None]
    level = forward[:, 0, inner, None] * torch.exp(first * rho * z - 0.5 * (first * rho).square())
    other = payoff.weights[outer] * forward[:, 0, outer, None] * torch.exp(second * z - 0.5 * second.square())
    gap = at.scalar("strike") - other
    weight = payoff.weights[inner]
    turn = math.copysign(1.0, weight)
    left = first.square() * (1.0 - rho.square())
    match payoff:
        case Digital():
            formula, cash = lognormal_digital, payoff.cash
        case Call() | Put():
            formula, cash = lognormal, 1.0
        case _:
            assert_never(payoff)
    given = formula(abs(weight) * level, turn * gap, left, sign=turn if payoff.side == "call" else -turn)
    return paid[:, 0] * cash * (given @ (mass / mass.sum()))


def geometric(process: BlackScholes, payoff: Asian, at: Scenario) -> Tensor:
    """A geometric Asian of one asset: the average of logarithms is normal, past ones known. Shape: -> batch."""
    forward, paid, ticks = terminal(process, at, dates(payoff, at))
    count = len(payoff.dates)
    variances = at["volatility"][:, 0].square() * ticks[:, :count]
    later = torch.arange(count, dtype=torch.float64).flip(0)
    spread = (variances * (1.0 + 2.0 * later)).sum(dim=1) / payoff.fixings**2
    levels = payoff.weights[0] * forward[:, :count, 0]
    drift = levels.clamp(min=TINY_LEVEL).log().mean(dim=1) - 0.5 * variances.mean(dim=1)
    known = past_factor(payoff, at)[:, 0]
    mean = torch.where((levels > 0.0).all(dim=1), known * torch.exp(count / payoff.fixings * drift + 0.5 * spread), 0.0)
    return paid[:, -1] * lognormal(mean, at.scalar("strike")[:, 0], spread, sign=1.0 if payoff.side == "call" else -1.0)


def barrier(process: BlackScholes, payoff: Barrier, at: Scenario) -> Tensor:
    """A continuous barrier, all eight kinds, constant parameters, by the image of the spot in the barrier.

    out = R(S) - (H / S)^(2 b / sigma^2 - 1) R(H^2 / S),    R(s) = D E_s[sign (S_T - K); S_T in the money, not beyond H]

    Shape: -> batch.
    """
    until = dates(payoff, at)
    carry, paid = growth(process, at, until)[:, 0, 0, 0], discount(process, at, until)[:, 0, 0]
    variance = at["volatility"][:, 0, 0].square() * clock(process, at, until)[:, 0, 0]
    spot, strike, level = at["spot"][:, 0, 0], at.scalar("strike")[:, 0], at.scalar("barrier")[:, 0]
    sign, down = (1.0 if payoff.side == "call" else -1.0), payoff.direction == "down"
    alive = (spot > level) if down else (spot < level)
    safe = torch.where(alive & (spot > 0.0), spot, level * (2.0 if down else 0.5)).clamp(min=TINY_LEVEL)
    wall = level.clamp(min=TINY_LEVEL)
    low = strike if sign > 0.0 else torch.zeros_like(strike)
    high = torch.full_like(strike, FAR_LEVEL) if sign > 0.0 else strike
    low, high = (torch.maximum(low, wall), high) if down else (low, torch.minimum(high, wall))

    def inside(start: Tensor) -> Tensor:
        forward = start * torch.exp(carry)
        above, below = (_moments(forward, edge, variance) for edge in (low, high))
        (mass_low, level_low), (mass_high, level_high) = above, below
        return sign * ((level_low - level_high) - strike * (mass_low - mass_high))

    power = 2.0 * carry / variance.clamp(min=TINY_VARIANCE) - 1.0
    image = torch.exp((power * (wall / safe).log()).clamp(max=LARGEST_EXPONENT)) * inside(wall * wall / safe)
    random = variance > TINY_VARIANCE
    out = inside(safe) - torch.where(random, image, 0.0)
    out = paid * torch.where(alive & (low < high), out, 0.0)
    if payoff.knock == "out":
        return out
    return paid * lognormal(spot * torch.exp(carry), strike, variance, sign=sign) - out


def _moments(forward: Tensor, edge: Tensor, variance: Tensor) -> tuple[Tensor, Tensor]:
    """P(X > edge) and E[X; X > edge] of a lognormal X. Shape: batch -> batch; batch."""
    mass = lognormal_digital(forward, edge, variance, sign=1.0)
    return mass, lognormal(forward, edge, variance, sign=1.0) + edge * mass
