"""Closed forms against arithmetic of fifty digits; `benchmarks/truth.py` has 1,000 options of each."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cases.truth import Family, families, measure
from pricing.domain import Feature
from pricing.references.methods import RELATIVE_ERRORS, TWO_ASSETS
from pricing.references.reference import reference
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes

FAMILIES = list(families())
ONE, TWO = ([family for family in FAMILIES if (family.differentiated is None) is one] for one in (True, False))
OPTIONS, MERTON, FEWER = 16, 6, 1


def named(family: Family) -> str:
    return family.name.replace(" ", "-")


@pytest.mark.parametrize("family", ONE, ids=named)
def test_one_asset_is_right_to_what_is_stated(family: Family) -> None:
    found = measure(family, MERTON if "merton" in family.name else OPTIONS, seed=1)
    assert found.stated == RELATIVE_ERRORS["closed form"]
    assert max(found.value, found.gradient, found.gamma) < found.stated


@pytest.mark.parametrize("family", TWO, ids=named)
def test_two_assets_are_right_to_what_is_stated(family: Family) -> None:
    found = measure(family, FEWER, seed=4)
    assert found.stated == TWO_ASSETS
    assert max(found.value, found.gradient) < found.stated
    assert found.gamma < 1e3 * found.stated


def test_a_barrier_of_low_volatility_is_that_of_sixty_digits() -> None:
    """An image's weight of 1e21 times a difference of two masses that both round to 1."""
    problem = PricingProblem(
        process=BlackScholes(volatilities=(0.01,), correlation=((1.0,),), rate=0.05),
        payoff=Barrier(strike=100.0, barrier=105.0, direction="up", knock="out", side="call"),
        maturity=1.0,
        features=(Feature(name="spot", lower=(92.0,), upper=(104.0,)),),
    )
    got = reference(problem, np.array([[100.0], [101.65]]))
    np.testing.assert_allclose(got.value, [1.632299, 0.1258], rtol=4e-4)
    assert got.value[0] == pytest.approx(1.632299, abs=5e-7)
