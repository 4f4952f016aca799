"""What the past of a contract leaves to the dates to come, against the contract as it was before."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.simulation.fixings import knock_in, missed_coupons, past_factor, strike_left, summands
from pricing.simulation.paths import Paths
from pricing.simulation.payoffs import cash
from pricing.simulation.scenario import Scenario, scenario
from pricing.specs.european import Side
from pricing.specs.payoff import Asian, Autocall, Payoff
from tests.pricing.cases import ASIAN, CALL, NOTE, PLAIN, doubles, points, problem_of

# Levels at three past dates and at two to come, path by path.
PAST = (90.0, 120.0, 111.0)
AHEAD = [[95.0, 102.0], [130.0, 125.0], [60.0, 85.0], [100.0, 100.0]]
QUARTERS = (0.25, 0.5, 0.75, 1.0)
LONG = Autocall(
    initial=(100.0,),
    dates=QUARTERS,
    triggers=(1.2, 1.1, 1.05, 1.0),
    coupon=0.05,
    coupon_barrier=0.8,
    knock_in=0.6,
    strike=0.9,
)


def at(payoff: Payoff) -> Scenario:
    """The payoff's own parameters."""
    problem = problem_of(PLAIN, payoff)
    return scenario(problem, points(problem, [100.0]))


def paid(payoff: Payoff, levels: Tensor) -> Tensor:
    """Cash on paths of one asset, without a rate. Shape: path date -> path."""
    noise = levels[None, :, :, None]
    forward, discount = torch.zeros_like(noise[:, :1]), torch.ones(1, 1, levels.shape[1], dtype=torch.float64)
    return cash(payoff, Paths(forward=forward, noise=noise, law="additive", discount=discount), at(payoff))[0]


@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
@pytest.mark.parametrize("side", ["call", "put"])
@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_a_running_average_pays_what_the_whole_one_pays(
    average: Literal["arithmetic", "geometric"], side: Side, weight: float
) -> None:
    whole = Asian(weights=(weight,), strike=100.0 * weight, dates=(0.2, 0.4, 0.6, 0.8, 1.0), side=side, average=average)
    past = weight * doubles(PAST)
    mean = past.mean() if average == "arithmetic" else past.log().mean().exp()
    running = replace(whole, dates=(0.5, 1.0), past_fixings=3, past_average=float(mean))
    levels = torch.cat([doubles(PAST).expand(4, -1), doubles(AHEAD)], dim=1)
    torch.testing.assert_close(paid(running, doubles(AHEAD)), paid(whole, levels))


def test_what_an_average_leaves() -> None:
    running = Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0), past_fixings=6, past_average=140.0)
    assert [summands(payoff) for payoff in (running, ASIAN, CALL)] == [8, 2, 1]
    assert float(strike_left(running, at(running))) == pytest.approx(-5.0)
    assert float(strike_left(ASIAN, at(ASIAN))) == float(strike_left(CALL, at(CALL))) == 100.0
    geometric = replace(running, average="geometric")
    assert float(strike_left(geometric, at(geometric))) == 100.0
    assert float(past_factor(geometric, at(geometric))) == pytest.approx(140.0**0.75)
    assert float(past_factor(ASIAN, at(ASIAN))) == 1.0


@pytest.mark.parametrize(("passed", "levels"), [(1, [75.0]), (2, [75.0, 79.0]), (2, [90.0, 79.0]), (3, [79.0] * 3)])
@pytest.mark.parametrize("memory", [True, False])
def test_an_autocall_whose_first_dates_have_passed_is_the_shorter_one(
    passed: int, levels: list[float], memory: bool
) -> None:
    missed = 0
    for level in levels:
        missed = missed + 1 if level < 80.0 else 0
    whole = replace(LONG, memory=memory)
    rest = replace(
        whole,
        dates=tuple((date - QUARTERS[passed - 1]) / (1.0 - QUARTERS[passed - 1]) for date in QUARTERS[passed:]),
        triggers=LONG.triggers[passed:],
    )
    running = replace(rest, missed_coupons=float(missed)) if memory else rest
    ahead = doubles([[110.0, 90.0, 70.0], [70.0, 85.0, 104.0], [60.0, 55.0, 50.0], [79.0, 70.0, 80.5]])[:, passed - 1 :]
    before = sum(0.05 for level in levels if level >= 80.0)
    torch.testing.assert_close(
        paid(running, ahead) + before, paid(whole, torch.cat([doubles([levels] * 4), ahead], dim=1))
    )


def test_a_put_that_has_been_knocked_in_has_its_knock_in_at_the_strike() -> None:
    knocked = replace(LONG, knocked_in=True)
    levels = doubles([[90.0, 90.0, 90.0, 85.0], [90.0, 90.0, 90.0, 50.0], [90.0, 90.0, 90.0, 95.0]])
    torch.testing.assert_close(paid(knocked, levels), paid(replace(LONG, knock_in=0.9), levels))
    assert [float(knock_in(note, at(note))) for note in (knocked, LONG)] == [0.9, 0.6]
    assert "knock_in" not in knocked.parameters
    assert float(missed_coupons(at(NOTE))) == 0.0
    assert float(missed_coupons(at(replace(NOTE, missed_coupons=2.5)))) == 2.5
