from __future__ import annotations

import msgspec
import pytest

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.estimators.contribute import bias
from pricing.simulation.smoothing import stated_bias
from pricing.specs.choice import choose
from pricing.specs.estimator import (
    Automatic,
    Bridge,
    Conditional,
    Estimator,
    Frozen,
    LikelihoodRatio,
    Pathwise,
    Smoothed,
    Survival,
)
from pricing.specs.european import Call, Digital
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston
from pricing.specs.refusals import require_differentiable
from pricing.specs.schedule import Dividend

CALL = Call(weights=(1.0,), strike=1.0)
BARRIER = Barrier(strike=1.0, barrier=0.8, direction="down", knock="out")
AUTOCALL = Autocall(
    initial=(1.0,), dates=(0.5, 1.0), triggers=(1.0, 1.0), coupon=0.05, coupon_barrier=0.8, knock_in=0.6
)
ASIAN = Asian(weights=(1.0,), strike=1.0, dates=(0.5, 1.0))

HESTON = Heston(
    initial_variances=(0.04,),
    mean_reversions=(1.0,),
    long_variances=(0.04,),
    variance_volatilities=(0.3,),
    spot_variance_correlations=(-0.5,),
    correlation=((1.0,),),
)


def on(payoff: Payoff, assets: int = 1) -> PricingProblem:
    correlation = tuple(tuple(float(i == j) for j in range(assets)) for i in range(assets))
    return PricingProblem(
        process=BlackScholes(volatilities=(0.2,) * assets, correlation=correlation),
        payoff=payoff,
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.5,) * assets, upper=(1.5,) * assets),),
    )


@pytest.mark.parametrize(
    ("problem", "estimator"),
    [
        (on(CALL), Conditional),
        (on(ASIAN), Conditional),
        (on(Asian(weights=(0.5, 0.5), strike=1.0, dates=(0.5, 1.0), average="geometric"), 2), Smoothed),
        (on(BARRIER), Bridge),
        (on(msgspec.structs.replace(BARRIER, dates=(0.5, 1.0))), Survival),
        (on(AUTOCALL), Survival),
        (on(Bermudan(option=CALL, dates=(0.5, 1.0))), Frozen),
    ],
)
def test_rule(problem: PricingProblem, estimator: type[Estimator]) -> None:
    assert isinstance(choose(problem), estimator)


@pytest.mark.parametrize(
    ("payoff", "estimator", "order"),
    [
        (CALL, Pathwise(), 2),
        (Digital(weights=(1.0,), strike=1.0), Pathwise(), 1),
        (AUTOCALL, Pathwise(), 1),
        (Bermudan(option=CALL, dates=(0.5, 1.0)), Frozen(width=0.0), 2),
        (ASIAN, LikelihoodRatio(scope="last"), 2),
    ],
)
def test_derivatives_that_are_not_there_are_refused(payoff: Payoff, estimator: Estimator, order: int) -> None:
    require_differentiable(on(payoff), estimator, order=order - 1)
    with pytest.raises(InvalidSpec):
        require_differentiable(on(payoff), estimator, order=order)


def test_without_lognormal_levels_dates_are_smoothed() -> None:
    paying = msgspec.structs.replace(on(CALL).process, dividends=(Dividend(time=0.5, amount=0.1),))
    for payoff in (msgspec.structs.replace(BARRIER, dates=(0.5, 1.0)), AUTOCALL):
        assert isinstance(choose(msgspec.structs.replace(on(payoff), process=paying)), Smoothed)


def test_gammas_of_a_continuous_barrier_under_heston_are_refused() -> None:
    continuous = msgspec.structs.replace(on(BARRIER), process=HESTON)
    require_differentiable(continuous, Automatic(), order=1)
    with pytest.raises(InvalidSpec, match="give the barrier its dates"):
        require_differentiable(continuous, Automatic(), order=2)
    dated = msgspec.structs.replace(continuous, payoff=msgspec.structs.replace(BARRIER, dates=(0.5, 1.0)))
    require_differentiable(dated, Automatic(), order=2)


def test_stated_bias_knows_the_problem() -> None:
    carry = Bachelier(volatilities=(0.2,), correlation=((1.0,),), convention="carry", rate=0.05)
    none, ties = stated_bias(Conditional()), stated_bias(Smoothed())
    note = msgspec.structs.replace(AUTOCALL, initial=(1.0, 1.0))
    assert bias(on(AUTOCALL), Survival()) == {**none, "unstated": []}
    assert bias(on(note, 2), Survival()) == {**ties, "unstated": []}
    assert bias(on(BARRIER), Bridge()) == {**none, "unstated": []}
    expected = ["time steps of the process", "bridges between the steps"]
    assert bias(msgspec.structs.replace(on(BARRIER), process=HESTON), Bridge())["unstated"] == expected
    assert bias(msgspec.structs.replace(on(BARRIER), process=carry), Bridge())["unstated"] == expected[1:]
    assert bias(on(Bermudan(option=CALL, dates=(0.5, 1.0))), Frozen())["unstated"] == ["exercise rule"]
