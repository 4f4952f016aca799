from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import QuantLib

from pricing.domain import Feature
from pricing.references.reference import Reference, reference
from pricing.specs.european import BestOf, WorstOf
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.types import Array

Build = Callable[..., PricingProblem]
YEARS, RATE, STRIKE = 0.8, 0.05, 100.0


def process(assets: int, rho: float = 0.4) -> BlackScholes:
    return BlackScholes(
        volatilities=tuple(np.linspace(0.2, 0.35, assets).tolist()),
        correlation=tuple(tuple(1.0 if i == j else rho for j in range(assets)) for i in range(assets)),
        rate=RATE,
        dividend_yields=(0.02,) * assets,
    )


@pytest.mark.parametrize("side", ["call", "put"])
@pytest.mark.parametrize("kind", [WorstOf, BestOf])
def test_two_assets_against_quantlibs_stulz(
    problem: Build,
    black_scholes: Callable[..., Any],
    exercise: Callable[[float], Any],
    kind: type[WorstOf] | type[BestOf],
    side: str,
) -> None:
    case = problem(process(2), kind(initial=(1.0, 1.0), strike=STRIKE, side=side), YEARS)  # type: ignore[arg-type]
    plain = QuantLib.PlainVanillaPayoff(QuantLib.Option.Call if side == "call" else QuantLib.Option.Put, STRIKE)
    paid = QuantLib.MinBasketPayoff(plain) if kind is WorstOf else QuantLib.MaxBasketPayoff(plain)
    flows = [black_scholes(95.0, RATE, 0.02, 0.2), black_scholes(105.0, RATE, 0.02, 0.35)]
    option = QuantLib.BasketOption(paid, exercise(YEARS))
    option.setPricingEngine(QuantLib.StulzEngine(*flows, 0.4))
    ours = reference(case, np.array([[95.0, 105.0]]), order=0)
    assert ours.kind == "closed form"
    assert ours.value[0] == pytest.approx(option.NPV(), abs=2e-6)


@pytest.mark.parametrize("kind", [WorstOf, BestOf])
@pytest.mark.parametrize("side", ["call", "put"])
def test_three_assets_against_a_simulation(problem: Build, kind: type[WorstOf] | type[BestOf], side: str) -> None:
    case = problem(process(3), kind(initial=(90.0, 100.0, 110.0), strike=0.95, side=side), YEARS)  # type: ignore[arg-type]
    spots = np.array([95.0, 100.0, 105.0])
    ours = reference(case, spots[None], order=1)
    assert isinstance(case.process, BlackScholes)
    sigma = np.array(case.process.volatilities)
    z = np.random.default_rng(3).standard_normal((1 << 19, 3)) @ np.linalg.cholesky(case.process.correlation).T
    grown = np.exp((RATE - 0.02 - 0.5 * sigma**2) * YEARS + sigma * np.sqrt(YEARS) * z)
    levels = spots * grown / np.array([90.0, 100.0, 110.0])
    best = levels.min(axis=1) if kind is WorstOf else levels.max(axis=1)
    sign = 1.0 if side == "call" else -1.0
    paid = np.exp(-RATE * YEARS) * np.maximum(sign * (best - 0.95), 0.0)
    index = levels.argmin(axis=1) if kind is WorstOf else levels.argmax(axis=1)
    slopes = np.exp(-RATE * YEARS) * sign * ((paid > 0.0)[:, None] & (index[:, None] == np.arange(3)))
    slopes = slopes * levels / spots
    assert ours.standard_error is not None
    assert abs(ours.value[0] - paid.mean()) < 4.0 * np.hypot(paid.std() / np.sqrt(len(z)), ours.standard_error[0])
    assert (np.abs(ours.gradient[0] - slopes.mean(axis=0)) < 4.0 * slopes.std(axis=0) / np.sqrt(len(z)) + 1e-6).all()


def test_min_and_max_make_both(problem: Build) -> None:
    """Call on the worst plus call on the best is the sum of two calls; homogeneous in spots and strike."""
    x = np.array([[95.0, 105.0, 100.0], [120.0, 80.0, 90.0]])
    worst, best = (
        reference(problem(process(2), kind(initial=(1.0, 1.0), strike=STRIKE), YEARS, strike=(50.0, 150.0)), x)
        for kind in (WorstOf, BestOf)
    )
    single = [
        reference(
            problem(
                BlackScholes(volatilities=(v,), correlation=((1.0,),), rate=RATE, dividend_yields=(0.02,)),
                WorstOf(initial=(1.0,), strike=STRIKE),
                YEARS,
                strike=(50.0, 150.0),
            ),
            x[:, [i, 2]],
            order=0,
        ).value
        for i, v in enumerate((0.2, 0.35))
    ]
    assert np.abs(worst.value + best.value - sum(single)).max() < 1e-10
    assert np.abs((worst.gradient * x).sum(axis=1) - worst.value).max() < 1e-10


@pytest.mark.parametrize("assets", [2, 3])
def test_derivatives_are_slopes(problem: Build, bumped: Callable[..., tuple[Array, Array]], assets: int) -> None:
    spots = Feature(name="spot", lower=(50.0,) * assets, upper=(150.0,) * assets)
    case = PricingProblem(
        process=process(assets),
        payoff=WorstOf(initial=(100.0,) * assets, strike=1.0, side="put"),
        maturity=YEARS,
        features=(
            spots,
            Feature(name="correlation", lower=(0.0,), upper=(0.9,)),
            Feature(name="volatility_scale", lower=(0.5,), upper=(1.5,)),
        ),
    )
    point = np.array([[*np.linspace(95.0, 110.0, assets), 0.5, 1.1]])
    ours, (gradient, hessian) = reference(case, point), bumped(case, point, 1e-4)
    size = case.box.upper - case.box.lower
    assert np.allclose(ours.gradient * size, gradient * size, rtol=1e-5, atol=1e-6)
    assert np.allclose(ours.hessian * np.outer(size, size), hessian * np.outer(size, size), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("assets", [2, 3])
def test_limits_are_finite(assets: int, assert_finite: Callable[[Reference], None]) -> None:
    case = PricingProblem(
        process=process(assets),
        payoff=WorstOf(initial=(100.0,) * assets, strike=1.0, side="put"),
        maturity=YEARS,
        features=(
            Feature(name="spot", lower=(0.0,) * assets, upper=(150.0,) * assets),
            Feature(name="volatility_scale", lower=(0.0,), upper=(1.5,)),
            Feature(name="maturity", lower=(0.0,), upper=(1.5,)),
        ),
    )
    levels = np.linspace(80.0, 110.0, assets).tolist()
    got = reference(case, np.array([[*levels, 0.0, 1.0], [*levels, 1.0, 0.0], [*([0.0] * assets), 1.0, 1.0]]))
    assert_finite(got)
    assert got.value[1] == pytest.approx(0.2, abs=1e-9)
    assert got.value[2] == pytest.approx(np.exp(-RATE), abs=1e-9)
