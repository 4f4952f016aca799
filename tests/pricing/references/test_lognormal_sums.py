from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import QuantLib

from pricing.domain import Feature
from pricing.references.reference import Reference, reference
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Asian
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.types import Array

Build = Callable[..., PricingProblem]
RATE, YEARS, STRIKE = 0.04, 0.8, 100.0
VOLATILITIES = (0.2, 0.3, 0.4)
SPOTS = (95.0, 100.0, 110.0)


def process(rho: float = 0.3) -> BlackScholes:
    return BlackScholes(
        volatilities=VOLATILITIES,
        correlation=tuple(tuple(1.0 if i == j else rho for j in range(3)) for i in range(3)),
        rate=RATE,
        dividend_yields=(0.01,) * 3,
    )


@pytest.mark.parametrize(("weights", "rho"), [((0.3, 0.3, 0.4), 0.3), ((0.3, 0.3, 0.4), -0.2), ((1.0, 0.5, -0.5), 0.3)])
@pytest.mark.parametrize("kind", [Call, Put])
def test_baskets_against_quantlib(
    problem: Build,
    black_scholes: Callable[..., Any],
    exercise: Callable[[float], Any],
    weights: tuple[float, ...],
    rho: float,
    kind: type[Call] | type[Put],
) -> None:
    flows = [black_scholes(spot, RATE, 0.01, v) for spot, v in zip(SPOTS, VOLATILITIES, strict=True)]
    matrix = QuantLib.Matrix(3, 3, 1.0)
    for i in range(3):
        for j in range(3):
            matrix[i][j] = 1.0 if i == j else rho
    side = QuantLib.Option.Call if kind is Call else QuantLib.Option.Put
    paid = QuantLib.AverageBasketPayoff(QuantLib.PlainVanillaPayoff(side, STRIKE), QuantLib.Array(list(weights)))
    option = QuantLib.BasketOption(paid, exercise(YEARS))
    option.setPricingEngine(QuantLib.ChoiBasketEngine(flows, matrix, 20.0))
    ours = reference(problem(process(rho), kind(weights=weights, strike=STRIKE), YEARS), np.array([SPOTS]), order=0)
    assert ours.standard_error is not None
    assert abs(ours.value[0] - option.NPV()) < 4.0 * ours.standard_error[0] + 1e-6 * STRIKE
    assert ours.standard_error[0] < 2e-5 * STRIKE


def test_one_asset_is_the_closed_form(problem: Build) -> None:
    """Three assets of which two count for nothing, and an average at one date."""
    single = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), rate=RATE)
    average = Asian(weights=(1.0,), strike=STRIKE, dates=(1.0,))
    ours = reference(problem(single, average, YEARS), np.array([[90.0], [120.0]]))
    exact = reference(problem(single, Call(weights=(1.0,), strike=STRIKE), YEARS), np.array([[90.0], [120.0]]))
    assert np.allclose(ours.value, exact.value, rtol=1e-11)
    assert np.allclose(ours.hessian, exact.hessian, rtol=1e-9)


@pytest.mark.parametrize("weights", [(0.3, 0.3, 0.4), (1.0, 0.5, -0.5)])
@pytest.mark.parametrize("kind", [Call, Digital])
def test_derivatives_are_slopes(
    bumped: Callable[..., tuple[Array, Array]], weights: tuple[float, ...], kind: type[Call] | type[Digital]
) -> None:
    case = PricingProblem(
        process=process(),
        payoff=kind(weights=weights, strike=STRIKE),
        maturity=YEARS,
        features=(
            Feature(name="spot", lower=(50.0,) * 3, upper=(150.0,) * 3),
            Feature(name="volatility_scale", lower=(0.5,), upper=(1.5,)),
            Feature(name="correlation", lower=(0.0,), upper=(0.9,)),
            Feature(name="maturity", lower=(0.1,), upper=(2.0,)),
        ),
    )
    point = np.array([[*SPOTS, 1.1, 0.3, YEARS]])
    ours, (gradient, hessian) = reference(case, point), bumped(case, point, 1e-4)
    size, unit = case.box.upper - case.box.lower, STRIKE if kind is Call else 1.0
    assert np.abs((ours.gradient - gradient) * size).max() < 1e-5 * unit
    assert np.abs((ours.hessian - hessian) * np.outer(size, size)).max() < 1e-3 * unit


def test_errors_tell_the_spread_between_seeds(problem: Build) -> None:
    case = problem(process(), Call(weights=(0.3, 0.3, 0.4), strike=STRIKE), YEARS)
    runs = [reference(case, np.array([SPOTS]), seed=seed) for seed in range(4)]
    middle = np.mean([run.value[0] for run in runs])
    for run in runs:
        assert run.standard_error is not None
        assert abs(run.value[0] - middle) < 4.0 * run.standard_error[0]


def test_limits_are_finite(assert_finite: Callable[[Reference], None]) -> None:
    case = PricingProblem(
        process=process(),
        payoff=Call(weights=(0.3, 0.3, 0.4), strike=STRIKE),
        maturity=YEARS,
        features=(
            Feature(name="spot", lower=(0.0,) * 3, upper=(150.0,) * 3),
            Feature(name="volatility_scale", lower=(0.0,), upper=(1.5,)),
            Feature(name="maturity", lower=(0.0,), upper=(1.5,)),
            Feature(name="strike", lower=(-10.0,), upper=(150.0,)),
        ),
    )
    rows = [
        [*SPOTS, 0.0, 1.0, 80.0],
        [*SPOTS, 1.0, 0.0, 80.0],
        [0.0, 0.0, 0.0, 1.0, 1.0, 80.0],
        [*SPOTS, 1.0, 1.0, -5.0],
    ]
    got = reference(case, np.array(rows))
    assert_finite(got)
    assert got.value[1] == pytest.approx(np.dot(SPOTS, (0.3, 0.3, 0.4)) - 80.0, abs=1e-6)
    assert got.value[2] == pytest.approx(0.0, abs=1e-9)
