"""Cash at maturity on a path, undiscounted."""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor

from pricing.spec import Call, Payoff, Put
from pricing.terminal import Terminal


def moneyness(payoff: Payoff, terminal: Terminal) -> Tensor:
    """Signed distance of each path into the money: B_T - K of a call, K - B_T of a put. Shape: -> batch path."""
    match payoff:
        case Call(weights=weights, strike=strike):
            return terminal.basket(weights) - strike
        case Put(weights=weights, strike=strike):
            return strike - terminal.basket(weights)
        case _:
            assert_never(payoff)


def cash(payoff: Payoff, terminal: Terminal) -> Tensor:
    """max(moneyness, 0). Shape: -> batch path."""
    return torch.relu(moneyness(payoff, terminal))
