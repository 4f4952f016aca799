"""Which payoffs and features a process takes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.specs.payoff import Asian, Autocall, Barrier, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, LocalVolatility, Process

GAUSSIAN = Bachelier(volatilities=(20.0,), correlation=((1.0,),))
PLAIN = BlackScholes(volatilities=(0.2,), correlation=((1.0,),))
LOCAL = LocalVolatility(
    volatilities=(0.2,),
    skews=(-0.4,),
    curvatures=(1.0,),
    powers=(0.4,),
    reference_spots=(100.0,),
    correlation=((1.0,),),
)
DOWN = Barrier(strike=100.0, barrier=90.0, direction="down", knock="out")
GEOMETRIC = Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0), average="geometric")
NOTE = Autocall(initial=(100.0,), dates=(1.0,), triggers=(1.0,), coupon=0.1, coupon_barrier=0.8, knock_in=0.6)


def build(process: Process, payoff: Payoff, *others: Feature, low: float = 50.0) -> PricingProblem:
    spot = Feature(name="spot", lower=(low,), upper=(150.0,))
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=(spot, *others))


@pytest.mark.parametrize(
    ("payoff", "message"),
    [(GEOMETRIC, "'geometric' needs positive levels"), (NOTE, "'autocall' needs positive levels")],
)
def test_levels_that_may_fall_below_zero(payoff: Payoff, message: str) -> None:
    assert build(PLAIN, payoff).payoff == payoff
    with pytest.raises(InvalidSpec, match=message):
        build(GAUSSIAN, payoff)


@pytest.mark.parametrize(
    ("process", "payoff", "name", "low", "high", "allowed"),
    [
        (PLAIN, DOWN, "barrier", -1.0, 90.0, r"\[0, inf\]"),
        (PLAIN, DOWN, "volatility", -0.1, 0.3, r"\[0, inf\]"),
        (PLAIN, NOTE, "knock_in", -0.1, 0.7, r"\[0, inf\]"),
        (LOCAL, DOWN, "skew", -1.0, 0.0, r"\[-0.999, 0.999\]"),
    ],
)
def test_features_stay_within_their_own_bounds(
    process: Process, payoff: Payoff, name: str, low: float, high: float, allowed: str
) -> None:
    with pytest.raises(InvalidSpec, match=rf"features\[1\]: {name} must stay in {allowed}, got \[{low!r}, {high!r}\]"):
        build(process, payoff, Feature(name=name, lower=(low,), upper=(high,)))


def test_only_bachelier_spots_may_be_negative() -> None:
    assert build(GAUSSIAN, DOWN, low=-50.0).box.lower[0] == -50.0
    with pytest.raises(InvalidSpec, match=r"spot must stay in \[0, inf\], got \[-50.0, 150.0\]"):
        build(PLAIN, DOWN, low=-50.0)


@pytest.mark.parametrize("level", [-90.0, 0.0])
def test_a_barrier_that_positive_levels_never_touch(level: float) -> None:
    below = replace(DOWN, barrier=level)
    assert build(GAUSSIAN, below, low=-50.0).payoff == below
    for process in (PLAIN, LOCAL):
        with pytest.raises(InvalidSpec, match=rf"payoff.barrier must be > 0 \(currency\), got {level!r}") as caught:
            build(process, below)
        assert caught.value.fields["path"] == "payoff.barrier"
