"""What a call or put pays if it must be exercised, as a forward of today's value.

With s = 1 of a call and -1 of a put, D the discount factor and F_i = S_i e^(G_i) the forwards, that is

    s D (w . F - K),

affine in the spots.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from pricing.simulation.scenario import Scenario, dates, discount, growth, scenario
from pricing.specs.european import Call, Put
from pricing.specs.problem import PricingProblem
from pricing.types import Array


@dataclass(frozen=True, kw_only=True)
class AffinePayment:
    """The payment as ``slope . S + constant``, currency. Shape: slope asset."""

    slope: Array
    constant: float


class Terms(NamedTuple):
    """s D, e^G, w and K. Shape: batch-or-1; batch-or-1 asset; asset; batch-or-1."""

    factor: Tensor
    growth: Tensor
    weights: Tensor
    strike: Tensor


def affine_payment(problem: PricingProblem) -> AffinePayment | None:
    """The payment as a function of the spots alone.

    None where the value is no convex function of the spots with a slope between 0 and that of the payment: other
    payoffs, dividends at fixed times, several assets under local volatility, drifts that a user
    writes; and where other features than spots vary.
    """
    if not problem.process.facts.convex or [feature.name for feature in problem.features] != ["spot"]:
        return None
    terms = _terms(problem, scenario(problem, torch.zeros(1, problem.process.assets, dtype=torch.float64)))
    if terms is None:
        return None
    slope = terms.factor * terms.growth[0] * terms.weights
    return AffinePayment(slope=slope.numpy(), constant=float(-terms.factor * terms.strike))


def payments(problem: PricingProblem, features: Array) -> tuple[Array, Array] | None:
    """The payment and its slopes by the spots at the features.

    None of other payoffs, where dividends are paid at fixed times, and where levels do not grow by their carry.

    Shape: batch feature -> batch; batch spot.
    """
    x = torch.from_numpy(features).requires_grad_()
    at = scenario(problem, x)
    terms = _terms(problem, at)
    if terms is None:
        return None
    amount = terms.factor * ((at["spot"][:, 0] * terms.growth) @ terms.weights - terms.strike)
    (slope,) = torch.autograd.grad(amount.sum(), x)
    return amount.detach().numpy(), slope[:, problem.box.columns("spot")].numpy()


def _terms(problem: PricingProblem, at: Scenario) -> Terms | None:
    process, payoff = problem.process, problem.payoff
    if not isinstance(payoff, Call | Put) or process.facts.dividends or not process.facts.carried:
        return None
    until = dates(payoff, at)
    return Terms(
        factor=(1.0 if payoff.side == "call" else -1.0) * discount(process, at, until)[:, 0, -1],
        growth=torch.exp(growth(process, at, until))[:, 0, -1],
        weights=until.new_tensor(payoff.weights),
        strike=at.scalar("strike")[:, 0],
    )
