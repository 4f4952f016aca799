"""Contracts settled date by date backwards along a path, against what the simulation says the path pays."""

from __future__ import annotations

from itertools import product
from typing import Literal

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.references.contracts import DatedPayoff, contract
from pricing.simulation.paths import Paths
from pricing.simulation.payoffs import cash
from pricing.simulation.scenario import Scenario
from pricing.specs.european import BestOf, Call, Digital, Put, Side, WorstOf
from pricing.specs.payoff import Autocall, Barrier, Bermudan

STRIKE = 100.0
DATES = (0.25, 0.5, 0.75, 1.0)
PAID = torch.tensor([0.99, 0.98, 0.97, 0.96], dtype=torch.float64)
DIRECTIONS: tuple[Literal["down", "up"], ...] = ("down", "up")
KNOCKS: tuple[Literal["in", "out"], ...] = ("in", "out")
SIDES: tuple[Side, ...] = ("call", "put")
NOTE = Autocall(
    initial=(95.0,),
    dates=DATES,
    triggers=(1.1, 1.05, 1.0, 1.0),
    coupon=0.03,
    coupon_barrier=0.9,
    knock_in=0.8,
    strike=0.95,
    notional=50.0,
)
BARRIERS: dict[str, DatedPayoff] = {
    f"{direction} and {knock} {side}, {len(dates)} dates": Barrier(
        strike=STRIKE,
        barrier=90.0 if direction == "down" else 112.0,
        direction=direction,
        knock=knock,
        side=side,
        dates=dates,
    )
    for direction, knock, side, dates in product(DIRECTIONS, KNOCKS, SIDES, (DATES, DATES[:2]))
}
PAYOFFS: dict[str, DatedPayoff] = BARRIERS | {
    "call": Call(weights=(0.5,), strike=0.5 * STRIKE),
    "put of the short asset": Put(weights=(-1.5,), strike=-1.5 * STRIKE),
    "digital": Digital(weights=(1.0,), strike=STRIKE, cash=3.0),
    "digital put": Digital(weights=(1.0,), strike=STRIKE, side="put"),
    "note": NOTE,
    "forgetful note": replace(NOTE, memory=False),
}


def at(payoff: DatedPayoff) -> Scenario:
    """The payoff's own parameters."""
    numbers = {name: torch.tensor([[values]], dtype=torch.float64) for name, values in payoff.parameters.items()}
    return Scenario(parameters={**numbers, "spot": torch.tensor([[[STRIKE]]], dtype=torch.float64)})


def spots(count: int) -> Tensor:
    """Random walks from the strike. Shape: -> path date."""
    moves = 0.12 * np.random.default_rng(1).standard_normal((256, count))
    return torch.from_numpy(STRIKE * np.exp(moves.cumsum(axis=1)))


@pytest.mark.parametrize("name", PAYOFFS)
def test_a_path_is_settled_as_it_pays(name: str) -> None:
    payoff = PAYOFFS[name]
    here, count = at(payoff), len(payoff.facts.dates)
    walks, paid, paper = spots(count), PAID[-count:], contract(payoff, here)
    held = torch.zeros(len(walks), paper.states, dtype=torch.float64)
    for k in reversed(range(count)):
        held = paper.settle(k, walks[:, k], held, paid[k])
    paths = Paths(
        forward=torch.zeros(1, 1, count, 1, dtype=torch.float64),
        noise=walks[None, :, :, None],
        law="additive",
        discount=paid[None, None],
    )
    right = paid[-1] * cash(payoff, paths, here)[0]
    assert right.min() < right.max()
    torch.testing.assert_close(held[:, 0], right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PAYOFFS)
def test_between_the_edges_of_a_date_its_value_is_affine(name: str) -> None:
    """Three points in a row lie on a straight line unless an edge is between them, as one is somewhere."""
    payoff = PAYOFFS[name]
    paper, count = contract(payoff, at(payoff)), len(payoff.facts.dates)
    x = torch.linspace(40.03, 160.03, 1201, dtype=torch.float64)
    for k in range(count):
        held = x[:, None] * torch.linspace(0.5, 1.5, paper.states, dtype=torch.float64)
        settled = paper.settle(k, x, held, PAID[k])
        bent = (settled[:-2] - 2.0 * settled[1:-1] + settled[2:]).abs().amax(dim=1) > 1e-9
        edges = torch.stack(paper.edges[k]) if paper.edges[k] else x.new_zeros(0)
        between = ((x[:-2, None] <= edges) & (edges <= x[2:, None])).any(dim=1)
        assert not (bent & ~between).any()
    assert bent.any()


@pytest.mark.parametrize(
    ("option", "scale", "sign"),
    [
        (Call(weights=(0.5,), strike=60.0), 0.5, 1.0),
        (Put(weights=(2.0,), strike=180.0), 2.0, -1.0),
        (WorstOf(initial=(80.0,), strike=1.1, side="put"), 1.0 / 80.0, -1.0),
        (BestOf(initial=(80.0,), strike=1.1), 1.0 / 80.0, 1.0),
    ],
    ids=lambda value: type(value).__name__,
)
def test_exercise_takes_the_better(option: Call | Put | WorstOf | BestOf, scale: float, sign: float) -> None:
    payoff = Bermudan(option=option, dates=DATES)
    paper, x = contract(payoff, at(payoff)), torch.linspace(50.0, 150.0, 21, dtype=torch.float64)
    assert paper.exercise is not None
    now = (sign * (scale * x - option.strike)).clamp(min=0.0)
    torch.testing.assert_close(paper.exercise(x), now, rtol=1e-14, atol=1e-14)
    held = torch.full((21, 1), 0.1, dtype=torch.float64)
    torch.testing.assert_close(paper.settle(1, x, held, PAID[1])[:, 0], torch.maximum(held[:, 0], PAID[1] * now))
    assert [[float(edge) for edge in date] for date in paper.edges] == [[pytest.approx(option.strike / scale)]] * 4


def test_only_early_exercise_has_an_exercise() -> None:
    assert all(contract(payoff, at(payoff)).exercise is None for payoff in PAYOFFS.values())
