"""What the past of a contract that is running leaves to the dates still to come.

An arithmetic average (n P + B_1 + ... + B_m) / (n + m) against K is (B_1 + ... + B_m) / (n + m) against what P has not
reached of K; a geometric one is P^(n / (n + m)) times the baskets' own product. Coupons that an autocall has missed are
paid with the first to come; a put that has been knocked in is one with its knock-in at the strike.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.simulation.scenario import Scenario
from pricing.specs.asian import Asian
from pricing.specs.payoff import Autocall, Payoff


def summands(payoff: Payoff) -> int:
    """Of how many baskets the level that decides is the mean: n + m of an average, else 1."""
    return payoff.fixings if isinstance(payoff, Asian) else 1


def strike_left(payoff: Payoff, at: Scenario) -> Tensor:
    """The strike less what the past fixings of an arithmetic average contribute; negative once they exceed it.

    Shape: -> batch-or-1 1.
    """
    strike = at.scalar("strike")
    if not isinstance(payoff, Asian) or not payoff.past or payoff.average == "geometric":
        return strike
    return strike - payoff.past / payoff.fixings * at.scalar("past_average")


def past_factor(payoff: Asian, at: Scenario) -> Tensor:
    """What the past fixings multiply a geometric average by. Shape: -> batch-or-1 1."""
    if not payoff.past:
        return torch.ones(1, 1, dtype=torch.float64)
    return torch.exp(payoff.past / payoff.fixings * torch.log(at.scalar("past_average")))


def knock_in(payoff: Autocall, at: Scenario) -> Tensor:
    """The performance below which the put is alive: the strike, once it has been knocked in. Shape: -> batch-or-1 1."""
    if payoff.knocked_in is True:
        return torch.full((1, 1), payoff.strike, dtype=torch.float64)
    return at.scalar("knock_in")


def missed_coupons(at: Scenario) -> Tensor:
    """How many coupons past dates have left owed, 0 where that is not said. Shape: -> batch-or-1 1."""
    return at.scalar("missed_coupons") if "missed_coupons" in at else torch.zeros(1, 1, dtype=torch.float64)
