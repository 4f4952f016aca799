"""Dividends in cash that a spot may not be worth leave no curvature on a path, and labels of it are refused."""

from __future__ import annotations

import numpy as np
import pytest

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.references import resimulated
from pricing.references.reference import reference
from pricing.specs.dividends import LEAST_CHANCE, kinked, shortfall
from pricing.specs.european import Put
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.specs.refusals import require_fit
from pricing.specs.schedule import Dividend
from tests.pricing.cases import ONE

LOW, HIGH = 50.0, 150.0


def paying(*dividends: Dividend, low: float = LOW, volatility: float = 0.3) -> PricingProblem:
    """A put of two years on an asset that pays."""
    return PricingProblem(
        process=BlackScholes(volatilities=(volatility,), correlation=ONE, rate=0.02, dividends=dividends),
        payoff=Put(weights=(1.0,), strike=100.0),
        maturity=2.0,
        features=(Feature(name="spot", lower=(low,), upper=(HIGH,)),),
    )


@pytest.mark.parametrize(
    ("given", "chance"),
    [
        (paying(), 0.0),
        (paying(Dividend(time=1.0, proportion=0.9)), 0.0),
        (paying(Dividend(time=3.0, amount=60.0)), 0.0),  # after the maturity
        (paying(Dividend(time=1.0, amount=60.0)), 1.0),  # more than the least spot
        (paying(Dividend(time=0.5, amount=30.0), Dividend(time=1.0, amount=30.0)), 1.0),  # both together
        (paying(Dividend(time=0.0, amount=40.0)), 0.0),
        (paying(Dividend(time=1.0, amount=40.0), volatility=0.0), 0.0),
        (paying(Dividend(time=1.0, proportion=0.9), Dividend(time=1.0, amount=20.0)), 1.0),
    ],
)
def test_what_decides_is_the_worst_corner(given: PricingProblem, chance: float) -> None:
    assert shortfall(given).chance == chance


def test_the_chance_is_that_of_the_simulated_spots() -> None:
    given = paying(Dividend(time=1.0, amount=40.0))
    normals = np.random.default_rng(0).standard_normal(1 << 20)
    spots = LOW * np.exp(0.02 - 0.045 + 0.3 * normals)
    assert shortfall(given).chance == pytest.approx(float(np.mean(spots < 40.0)), rel=0.01)


@pytest.mark.parametrize("amount", [20.0, 40.0])
def test_curvatures_are_refused_where_the_cash_may_be_missing(amount: float) -> None:
    given = paying(Dividend(time=1.0, amount=amount))
    assert kinked(given)
    with pytest.raises(
        InvalidSpec, match=f"a spot of 50 .* its dividends in cash, {amount:g} up to 1 years, with a chance of about"
    ):
        require_fit(given, LabelSpec(order=2))
    require_fit(given, LabelSpec(order=1))


def test_what_is_allowed_has_the_right_gamma() -> None:
    """At the largest chance that passes, the simulated gamma of the worst corner is that of quadrature within 1e-3."""
    given = paying(Dividend(time=1.0, amount=13.0))
    assert 0.3 * LEAST_CHANCE < shortfall(given).chance < LEAST_CHANCE
    require_fit(given, LabelSpec(order=2))
    spots = np.array([[LOW], [100.0]])
    exact = reference(given, spots).hessian
    found, error = resimulated.reference(resimulated.method(given), spots, order=2, seed=0)
    assert found.hessian is not None
    assert error.hessian is not None
    assert np.all(np.abs(found.hessian - exact) < 3.0 * error.hessian + 1e-3 * np.abs(exact))


def test_a_kink_leaves_the_reference_without_a_hessian() -> None:
    assert resimulated.method(paying(Dividend(time=1.0, amount=40.0))).second is None
