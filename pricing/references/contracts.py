"""Contracts on one asset as what a backward induction needs: states, edges in the spot, and what a date settles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import torch
from torch import Tensor

from pricing.simulation.fixings import knock_in, missed_coupons
from pricing.simulation.scenario import Scenario
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.payoff import Autocall, Barrier, Bermudan

# What looks at its asset at dates alone and is settled date by date.
DatedPayoff = Call | Put | Digital | Barrier | Autocall | Bermudan
# What exercise pays.
Option = Call | Put | WorstOf | BestOf
# (date, spots, held, discount factor) -> value before the date; held and the result have one column a state.
Settle = Callable[[int, Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Contract:
    """One asset's contract; it begins in state 0.

    Args:
        edges: spots at which a date's value has a kink or a jump, by date.
        exercise: what the holder may take at any date instead of holding; its boundary is one more edge.
    """

    states: int
    edges: list[list[Tensor]]
    settle: Settle
    exercise: Callable[[Tensor], Tensor] | None = None


def contract(payoff: DatedPayoff, at: Scenario) -> Contract:
    """The payoff on one asset at one sample's parameters."""
    match payoff:
        case Barrier():
            return _barrier(payoff, at)
        case Autocall():
            return _autocall(payoff, at)
        case Bermudan():
            return _bermudan(payoff, at)
        case Call() | Put() | Digital():
            return _european(payoff, at)
        case _:
            assert_never(payoff)


def _european(payoff: Call | Put | Digital, at: Scenario) -> Contract:
    strike, (weight,) = _number(at, "strike"), payoff.weights

    def settle(_: int, spot: Tensor, held: Tensor, paid: Tensor) -> Tensor:
        match payoff:
            case Digital(cash=cash):
                above = (weight * spot > strike) == (payoff.side == "call")
                return held + paid * cash * above.to(held.dtype)[:, None]
            case Call() | Put():
                return held + paid * _exercised(payoff, strike, spot)[:, None]
            case _:
                assert_never(payoff)

    return Contract(states=1, edges=[[strike / weight]], settle=settle)


def _barrier(payoff: Barrier, at: Scenario) -> Contract:
    """State 0 is untouched, state 1 touched; monitored at the payoff's dates alone."""
    strike, level = _number(at, "strike"), _number(at, "barrier")
    sign = 1.0 if payoff.side == "call" else -1.0
    ends = payoff.facts.dates

    def settle(k: int, spot: Tensor, held: Tensor, paid: Tensor) -> Tensor:
        if k == len(ends) - 1:
            cash = paid * (sign * (spot - strike)).clamp(min=0.0)
            columns = (torch.zeros_like(cash), cash) if payoff.knock == "in" else (cash, torch.zeros_like(cash))
            held = torch.stack(columns, dim=1)
        if k >= len(payoff.dates):
            return held
        touched = spot <= level if payoff.direction == "down" else spot >= level
        return torch.stack([torch.where(touched, held[:, 1], held[:, 0]), held[:, 1]], dim=1)

    edges = [[level] if k < len(payoff.dates) else [] for k in range(len(ends))]
    edges[-1].append(strike)
    return Contract(states=2, edges=edges, settle=settle)


def _autocall(payoff: Autocall, at: Scenario) -> Contract:
    """The state is what a memory still owes: 0 all since before the contract, j > 0 the j - 1 missed since it paid."""
    (initial,) = payoff.initial
    low, due, before = knock_in(payoff, at)[0, 0], _number(at, "coupon_barrier"), missed_coupons(at)[0, 0]
    count = len(payoff.dates)
    states = count if payoff.memory else 1
    since = torch.arange(states, dtype=torch.float64)  # state j owes j with the date's own, 0 one a date so far

    def settle(k: int, spot: Tensor, held: Tensor, paid: Tensor) -> Tensor:
        performance = spot / initial
        if k == count - 1:
            redeemed = torch.where(performance < low, performance / payoff.strike, 1.0)
            held = (paid * payoff.notional * redeemed)[:, None].expand(-1, states)
        missed = torch.cat([held[:, :1], held[:, 2:], held[:, -1:]], dim=1)[:, :states] if payoff.memory else held
        coupons = torch.where(since == 0.0, before + k + 1.0, since) if payoff.memory else torch.ones_like(since)
        owed = payoff.coupon * coupons * paid * payoff.notional
        fed = (held[:, 1:2] if states > 1 else held) + owed
        kept = torch.where((performance >= due)[:, None], fed, missed)
        called = paid * payoff.notional + torch.where((performance >= due)[:, None], owed, 0.0)
        return torch.where((performance >= payoff.triggers[k])[:, None], called, kept)

    edges = [[initial * due, torch.as_tensor(initial * trigger, dtype=torch.float64)] for trigger in payoff.triggers]
    edges[-1].append(initial * low)
    return Contract(states=states, edges=edges, settle=settle)


def _bermudan(payoff: Bermudan, at: Scenario) -> Contract:
    strike = _number(at, "strike")
    exercise, scale = partial(_exercised, payoff.option, strike), _scale(payoff.option)

    def settle(_: int, spot: Tensor, held: Tensor, paid: Tensor) -> Tensor:
        return torch.maximum(held, paid * exercise(spot)[:, None])

    return Contract(states=1, edges=[[strike / scale] for _ in payoff.dates], settle=settle, exercise=exercise)


def _exercised(option: Option, strike: Tensor, spot: Tensor) -> Tensor:
    """Cash of an option on one asset: max(s (a S - K), 0). Shape: -> of the spot."""
    sign = 1.0 if option.side == "call" else -1.0
    return (sign * (_scale(option) * spot - strike)).clamp(min=0.0)


def _scale(option: Option) -> float:
    """What an option on one asset multiplies its level by."""
    match option:
        case Call(weights=weights) | Put(weights=weights):
            return weights[0]
        case WorstOf(initial=initial) | BestOf(initial=initial):
            return 1.0 / initial[0]
        case _:
            assert_never(option)


def _number(at: Scenario, name: str) -> Tensor:
    """A parameter of one coordinate at one sample. Shape: -> scalar."""
    return at.scalar(name)[0, 0]
