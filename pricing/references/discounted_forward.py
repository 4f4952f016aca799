"""The discounted forward payment of a basket option, where it is an affine function of the spots."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from pricing.simulation.scenario import discount, growth, scenario, times
from pricing.specs.european import Call, Put
from pricing.specs.problem import PricingProblem
from pricing.types import Array


@dataclass(frozen=True, kw_only=True)
class Forward:
    """D (w . F - K) of a call, D (K - w . F) of a put: ``slope . S + constant``, currency. Shape: slope asset."""

    slope: Array
    constant: float


def forward(problem: PricingProblem) -> Forward | None:
    """What the option is worth if it must be exercised, as a function of its spots.

    None where a call's value is no convex function of the spots with a slope between 0 and that of the forward: other
    payoffs, cash dividends, several assets under local volatility; and where other features than the spots vary.
    """
    process, payoff = problem.process, problem.payoff
    if not isinstance(payoff, Call | Put) or [feature.name for feature in problem.features] != ["spot"]:
        return None
    if not process.facts.convex:
        return None
    at = scenario(problem, torch.zeros(1, process.assets, dtype=torch.float64))
    until = times(problem, at)
    sign = 1.0 if payoff.side == "call" else -1.0
    factor = sign * float(discount(process, at, until))
    grown = torch.exp(growth(process, at, until))[0, 0, 0].numpy()
    return Forward(slope=factor * grown * payoff.weights, constant=-factor * payoff.strike)
