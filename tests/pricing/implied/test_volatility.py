"""From the features and a value to the volatility that it implies, for every process that has a forward."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pricing.domain import Feature
from pricing.implied.volatility import (
    NO_LEVELS,
    NO_TIME,
    TOO_HIGH,
    TOO_LOW,
    UNITS,
    forward_option,
    implied_law,
    implied_volatility,
    why_not_implied,
)
from pricing.references.discounted_forward import payments
from pricing.references.reference import reference
from pricing.specs.european import Call, Put
from pricing.specs.parameters import PARAMETERS
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Process
from pricing.specs.schedule import Dividend, Piece
from tests.conformance.products import PAYOFFS, PROCESSES

ONE = ((1.0,),)
TWO = ((1.0, 0.4), (0.4, 1.0))
CARRIED = [one for one in PROCESSES if one.facts.carried and not one.facts.dividends]
WITHOUT = [one for one in PROCESSES if not one.facts.carried or one.facts.pays_cash]


def problem(process: Process, payoff: Any, **features: tuple[float, float]) -> PricingProblem:
    """With spots from 60 to 140 and other features of one coordinate."""
    assets = process.assets
    spot = Feature(name="spot", lower=(60.0,) * assets, upper=(140.0,) * assets)
    others = [Feature(name=name, lower=(low,), upper=(high,)) for name, (low, high) in features.items()]
    return PricingProblem(process=process, payoff=payoff, maturity=1.3, features=(spot, *others))


def black_scholes(**fields: Any) -> BlackScholes:
    own: dict[str, Any] = {"volatilities": (0.25,), "correlation": ONE, "rate": 0.04, "dividend_yields": (0.01,)}
    return BlackScholes(**(own | fields))


@pytest.mark.parametrize(
    "process", [one for one in PROCESSES if one.facts.carried and not one.facts.dividends], ids=repr
)
@pytest.mark.parametrize("kind", [Call, Put])
def test_the_forward_is_that_of_the_labels(process: Process, kind: type[Call | Put]) -> None:
    """Torch and numpy agree on D (F - K), whatever varies of the carry."""
    weights = (0.7, 0.4, -0.2)[: process.assets]
    names = {"maturity": (0.2, 3.0), "strike": (70.0, 120.0)}
    if process.parameters.get("rate") and len(process.parameters["rate"]) == 1:
        names["rate"] = (-0.02, 0.08)
    case = problem(process, kind(weights=weights, strike=90.0), **names)
    x = case.box.from_uniforms(np.random.default_rng(0).uniform(size=(50, case.box.dimension)))
    due = payments(case, x)
    assert due is not None
    option = forward_option(case, x)
    sign = 1.0 if kind is Call else -1.0
    np.testing.assert_allclose(sign * option.discount * (option.forward - option.strike), due[0], rtol=1e-12, atol=1e-9)


def test_pieces_and_proportional_dividends_move_the_forward() -> None:
    process = black_scholes(
        rate_pieces=(Piece(start=0.5, value=0.02),),
        dividends=(Dividend(time=0.4, proportion=0.1), Dividend(time=1.0, proportion=0.2)),
    )
    case = problem(process, Call(weights=(2.0,), strike=200.0), maturity=(0.1, 2.0))
    option = forward_option(case, np.array([[100.0, 0.3], [100.0, 0.4], [100.0, 2.0]]))
    paid = np.array([0.3 * 0.04, 0.4 * 0.04, 0.5 * 0.04 + 1.5 * 0.02])
    growth = paid - 0.01 * np.array([0.3, 0.4, 2.0])
    np.testing.assert_allclose(option.discount, np.exp(-paid), rtol=1e-15)
    np.testing.assert_allclose(option.forward, 200.0 * np.array([1.0, 0.9, 0.72]) * np.exp(growth), rtol=1e-14)


@pytest.mark.parametrize("kind", [Call, Put])
def test_black_scholes_implies_its_own_volatility(kind: type[Call | Put]) -> None:
    case = problem(
        black_scholes(),
        kind(weights=(1.0,), strike=100.0),
        volatility=(0.1, 0.6),
        maturity=(0.3, 2.0),
        strike=(80.0, 120.0),
        rate=(-0.02, 0.1),
        dividend_yield=(0.0, 0.05),
    )
    x = case.box.from_uniforms(np.random.default_rng(1).uniform(size=(400, case.box.dimension)))
    exact = reference(case, x, order=1)
    implied = implied_volatility(case, x, exact.value)
    sigma = x[:, case.box.columns("volatility")][:, 0]
    told = 1e-13 * np.maximum(exact.value, x[:, 0]) / exact.gradient[:, case.box.columns("volatility")][:, 0]
    assert implied.reasons == [None] * len(x)
    assert (np.abs(implied.volatility - sigma) <= 1e-12 + told).all()
    np.testing.assert_allclose(
        implied.vega, exact.gradient[:, case.box.columns("volatility")][:, 0], rtol=1e-7, atol=1e-9
    )


def test_bachelier_without_carry_implies_the_deviation_of_its_basket() -> None:
    process = Bachelier(volatilities=(20.0, 30.0), correlation=TWO)
    weights = np.array([1.0, -0.9])
    case = problem(process, Put(weights=tuple(weights), strike=8.0))
    x = case.box.from_uniforms(np.random.default_rng(2).uniform(size=(100, 2)))
    implied = implied_volatility(case, x, reference(case, x, order=0).value)
    scaled = weights * np.array([20.0, 30.0])
    sigma = math.sqrt(scaled @ np.array(TWO) @ scaled)
    np.testing.assert_allclose(implied.volatility, sigma, rtol=1e-9)
    assert implied_law(case) == "normal"


def test_a_volatility_scale_and_its_clock_are_averaged_over_the_years() -> None:
    process = black_scholes(volatility_pieces=(Piece(start=0.5, value=2.0),))
    case = problem(process, Call(weights=(1.0,), strike=100.0), maturity=(0.4, 2.0))
    x = np.array([[100.0, 0.4], [100.0, 2.0]])
    implied = implied_volatility(case, x, reference(case, x, order=0).value)
    averaged = math.sqrt((0.5 + 4.0 * 1.5) / 2.0)
    np.testing.assert_allclose(implied.volatility, [0.25, 0.25 * averaged], rtol=1e-10)


def test_spreads_of_positive_levels_are_normal_and_baskets_lognormal() -> None:
    two = black_scholes(volatilities=(0.2, 0.3), correlation=TWO, dividend_yields=())
    spread, basket = (problem(two, Call(weights=(1.0, w), strike=5.0)) for w in (-0.9, 0.5))
    assert (implied_law(spread), implied_law(basket)) == ("normal", "lognormal")
    assert set(UNITS) == {"normal", "lognormal"}


def test_every_row_without_a_volatility_says_why() -> None:
    case = problem(black_scholes(), Call(weights=(1.0,), strike=100.0), maturity=(0.1, 2.0), strike=(80.0, 120.0))
    x = np.array([[100.0, 1.0, 100.0], [100.0, 0.0, 90.0], [100.0, -1.0, 90.0], [100.0, 1.0, -5.0], [-3.0, 1.0, 90.0]])
    rows = np.concatenate([x, np.tile([100.0, 1.0, 80.0], (4, 1))])
    intrinsic = 100.0 * math.exp(-0.01) - 80.0 * math.exp(-0.04)
    value = np.array([8.0, 10.0, 10.0, 10.0, 10.0, intrinsic, intrinsic - 1.0, 100.0, intrinsic + 1e-3])
    implied = implied_volatility(case, rows, value)
    assert implied.reasons == [None, NO_TIME, NO_TIME, NO_LEVELS, NO_LEVELS, TOO_LOW, TOO_LOW, TOO_HIGH, None]
    assert (np.isnan(implied.volatility) == [reason is not None for reason in implied.reasons]).all()
    assert (np.isnan(implied.vega) == np.isnan(implied.volatility)).all()


@pytest.mark.parametrize("payoff", PAYOFFS, ids=repr)
def test_only_calls_and_puts_imply_one(payoff: Any) -> None:
    process = next(one for one in PROCESSES if one.facts.positive and one.assets == payoff.assets)
    case = problem(process, payoff)
    reason = why_not_implied(case)
    assert (reason is None) == payoff.facts.vanilla
    if reason is not None:
        assert "only a call or put" in reason
        with pytest.raises(ValueError, match="only a call or put"):
            forward_option(case, np.full((1, case.box.dimension), 100.0))


@pytest.mark.parametrize(
    "process", [one for one in PROCESSES if not one.facts.carried or one.facts.pays_cash], ids=repr
)
def test_without_a_known_forward_there_is_none(process: Process) -> None:
    case = problem(process, Call(weights=(1.0,) * process.assets, strike=100.0))
    reason = why_not_implied(case)
    assert reason is not None
    assert "forward" in reason


def test_every_parameter_of_the_forward_is_one() -> None:
    """The names that the forward is read by are those of the table."""
    assert {"spot", "strike", "maturity", "rate", "dividend_yield"} <= set(PARAMETERS)
