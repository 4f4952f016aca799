from __future__ import annotations

import numpy as np
import pytest

from pricing.domain import Feature
from pricing.references.reference import reference
from pricing.specs.european import Call, Digital
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.types import Array
from surrogate.evaluation.implied import TELLING, implied_score

PROCESS = BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=0.03)


@pytest.fixture(scope="module")
def case() -> PricingProblem:
    spot = Feature(name="spot", lower=(20.0,), upper=(250.0,))
    return PricingProblem(process=PROCESS, payoff=Call(weights=(1.0,), strike=100.0), maturity=1.0, features=(spot,))


@pytest.fixture(scope="module")
def x(case: PricingProblem) -> Array:
    return np.linspace(20.0, 250.0, 500)[:, None]


def test_it_is_the_error_of_the_volatility_where_a_value_tells_it(case: PricingProblem, x: Array) -> None:
    """Values at a volatility that is .001 higher are off by that, whatever the weights."""
    exact = reference(case, x, order=0).value
    higher = PricingProblem(
        process=BlackScholes(volatilities=(0.201,), correlation=((1.0,),), rate=0.03),
        payoff=case.payoff,
        maturity=1.0,
        features=case.features,
    )
    score = implied_score(case, x, reference(higher, x, order=0).value, exact)
    assert score is not None
    assert (score.law, score.unit) == ("lognormal", "1 / sqrt(year)")
    assert score.rmse == pytest.approx(1e-3, rel=1e-6)
    assert score.max_error == pytest.approx(1e-3, rel=1e-6)
    assert score.samples + score.undefined + score.missing == len(x)
    perfect = implied_score(case, x, exact, exact)
    assert perfect is not None
    assert (perfect.rmse, perfect.max_error, perfect.missing) == (0.0, 0.0, 0)


def test_to_first_order_it_is_the_error_of_the_value_over_the_size_of_vega(case: PricingProblem, x: Array) -> None:
    """A constant error of the value: sqrt(mean error^2 / mean vega^2) of the points that have one; the others count."""
    exact, off = reference(case, x, order=0).value, 1e-4
    score = implied_score(case, x, exact + off, exact)
    assert score is not None
    near = x[:, 0][(x[:, 0] > 60.0) & (x[:, 0] < 170.0)][:, None]
    close = implied_score(case, near, reference(case, near, order=0).value + off, reference(case, near, order=0).value)
    assert close is not None
    assert close.rmse is not None
    assert close.rmse < off / 10.0
    lower = implied_score(case, x, exact - off, exact)
    assert lower is not None
    assert lower.missing > 50  # where so little less is below intrinsic
    assert 0.0 < TELLING < 1.0


def test_where_no_point_tells_anything_there_is_no_error(case: PricingProblem) -> None:
    deep = np.array([[1e-3], [1e6]])
    score = implied_score(case, deep, np.zeros(2), np.zeros(2))
    assert score is not None
    assert (score.samples, score.undefined, score.rmse, score.max_error) == (0, 2, None, None)


def test_other_payoffs_have_none(case: PricingProblem, x: Array) -> None:
    digital = PricingProblem(
        process=PROCESS, payoff=Digital(weights=(1.0,), strike=100.0), maturity=1.0, features=case.features
    )
    assert implied_score(digital, x, np.zeros(len(x)), np.zeros(len(x))) is None
