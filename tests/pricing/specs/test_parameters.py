"""Features without a unit have that of the parameter whose name they bear."""

from __future__ import annotations

import pytest

from pricing.domain import Feature
from pricing.specs.european import BestOf, Call, WorstOf
from pricing.specs.payoff import Autocall, Barrier, Bermudan, Payoff
from pricing.specs.problem import PricingProblem, unit
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Process

ONE = ((1.0,),)
BACHELIER = Bachelier(volatilities=(20.0,), correlation=ONE, convention="carry")
BLACK_SCHOLES = BlackScholes(volatilities=(0.2,), correlation=ONE)
HESTON = Heston(
    initial_variances=(0.04,),
    mean_reversions=(1.0,),
    long_variances=(0.04,),
    variance_volatilities=(0.5,),
    spot_variance_correlations=(-0.7,),
    correlation=ONE,
)
SURFACE = LocalVolatility(
    volatilities=(0.2,), skews=(-0.3,), curvatures=(1.0,), powers=(0.5,), reference_spots=(100.0,), correlation=ONE
)
CALL = Call(weights=(1.0,), strike=100.0)
BARRIER = Barrier(strike=100.0, barrier=90.0, direction="down", knock="out")
NOTE = Autocall(initial=(100.0,), dates=(1.0,), triggers=(1.0,), coupon=0.1, coupon_barrier=0.8, knock_in=0.6)
PAIR = BlackScholes(volatilities=(0.2, 0.2), correlation=((1.0, 0.5), (0.5, 1.0)))
WORST = WorstOf(initial=(100.0, 90.0), strike=1.0)


def problem(process: Process, payoff: Payoff, *extra: Feature) -> PricingProblem:
    spots = (Feature(name="spot", lower=(50.0,) * process.assets, upper=(150.0,) * process.assets), *extra)
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=spots)


@pytest.mark.parametrize("payoff", [CALL, BARRIER, NOTE])
@pytest.mark.parametrize("process", [BLACK_SCHOLES, HESTON, SURFACE])
def test_every_parameter_has_a_unit(process: Process, payoff: Payoff) -> None:
    given = problem(process, payoff)
    assert all(unit(given, name) for name in given.sizes)


def test_every_parameter_of_several_assets_has_a_unit() -> None:
    given = problem(PAIR, WORST)
    assert all(unit(given, name) for name in given.sizes)


@pytest.mark.parametrize(
    ("process", "payoff", "name", "expected"),
    [
        (BACHELIER, CALL, "volatility", "currency / sqrt(year)"),
        (BLACK_SCHOLES, CALL, "volatility", "1 / sqrt(year)"),
        (BLACK_SCHOLES, CALL, "maturity", "years"),
        (BLACK_SCHOLES, CALL, "rate", "1 / year"),
        (HESTON, CALL, "variance_volatility", "1 / year"),
        (BLACK_SCHOLES, BARRIER, "barrier", "currency"),
        (BLACK_SCHOLES, NOTE, "knock_in", "1"),
        (PAIR, WORST, "strike", "1"),
        (PAIR, Bermudan(option=WORST, dates=(1.0,)), "strike", "1"),
        (PAIR, BestOf(initial=(1.0, 1.0), strike=100.0), "strike", "currency"),
    ],
)
def test_the_box_is_completed(process: Process, payoff: Payoff, name: str, expected: str) -> None:
    feature = Feature(name=name, lower=(0.1,), upper=(0.5,))
    assert [part.unit for part in problem(process, payoff, feature).box.features] == ["currency", expected]


def test_a_unit_that_is_given_stays() -> None:
    box = problem(BLACK_SCHOLES, CALL, Feature(name="strike", lower=(90.0,), upper=(110.0,), unit="EUR")).box
    assert box.features[1].unit == "EUR"
