from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import QuantLib

from pricing.references.reference import reference
from pricing.specs.european import Call, Digital, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston
from pricing.specs.schedule import Piece
from pricing.types import Array

Build = Callable[..., PricingProblem]
NAMES = (
    "initial_variance",
    "mean_reversion",
    "long_variance",
    "variance_volatility",
    "spot_variance_correlation",
)
RATE, YIELD = 0.03, 0.01
SPOTS = np.array([70.0, 90.0, 100.0, 110.0, 140.0])


def heston(numbers: tuple[float, ...], **others: object) -> Heston:
    v, kappa, theta, xi, rho = ((number,) for number in numbers)
    return Heston(
        initial_variances=v,
        mean_reversions=kappa,
        long_variances=theta,
        variance_volatilities=xi,
        spot_variance_correlations=rho,
        correlation=((1.0,),),
        rate=RATE,
        dividend_yields=(YIELD,),
        **others,  # type: ignore[arg-type]
    )


TYPICAL = (0.04, 1.5, 0.06, 0.5, -0.7)


@pytest.mark.parametrize("days", [18, 73, 365, 1095])
@pytest.mark.parametrize("numbers", [TYPICAL, (0.09, 3.0, 0.09, 0.2, 0.3), (0.01, 0.5, 0.04, 1.0, -0.9)])
@pytest.mark.parametrize("side", [Call, Put])
def test_quantlib_agrees(
    problem: Build,
    black_scholes: Callable[..., object],
    exercise: Callable[[float], object],
    days: int,
    numbers: tuple[float, ...],
    side: type[Call] | type[Put],
) -> None:
    ours = reference(problem(heston(numbers), side(weights=(1.0,), strike=100.0), days / 365), SPOTS[:, None], order=0)
    v, kappa, theta, xi, rho = numbers
    curve = [
        QuantLib.YieldTermStructureHandle(
            QuantLib.FlatForward(QuantLib.Date(2, 1, 2026), number, QuantLib.Actual365Fixed())
        )
        for number in (RATE, YIELD)
    ]
    theirs = []
    black_scholes(100.0, RATE, YIELD, 0.2)  # sets the evaluation date
    for spot in SPOTS.tolist():
        process = QuantLib.HestonProcess(
            *curve, QuantLib.QuoteHandle(QuantLib.SimpleQuote(spot)), v, kappa, theta, xi, rho
        )
        kind = QuantLib.Option.Call if side is Call else QuantLib.Option.Put
        option = QuantLib.VanillaOption(QuantLib.PlainVanillaPayoff(kind, 100.0), exercise(days / 365))
        option.setPricingEngine(QuantLib.AnalyticHestonEngine(QuantLib.HestonModel(process), 1e-13, 100_000))
        theirs.append(option.NPV())
    assert np.abs(ours.value - theirs).max() < 100.0 * 1e-9


def test_derivatives_by_every_parameter(problem: Build, bumped: Callable[..., tuple[Array, Array]]) -> None:
    bounds = dict(zip(NAMES, ((0.01, 0.1), (0.5, 3.0), (0.01, 0.1), (0.1, 1.0), (-0.9, 0.5)), strict=True))
    case = problem(
        heston(TYPICAL),
        Call(weights=(1.0,), strike=100.0),
        1.0,
        strike=(50.0, 150.0),
        maturity=(0.1, 3.0),
        rate=(0.0, 0.1),
        dividend_yield=(0.0, 0.1),
        **bounds,
    )
    points = case.box.lower + (case.box.upper - case.box.lower) * np.random.default_rng(2).uniform(0.3, 0.7, (3, 10))
    ours = reference(case, points)
    gradient, hessian = bumped(case, points, 1e-4)
    size = case.box.upper - case.box.lower
    assert np.abs((ours.gradient - gradient) * size).max() < 1e-5
    assert np.abs((ours.hessian - hessian) * np.outer(size, size)).max() < 1e-3
    assert np.allclose(ours.hessian, ours.hessian.transpose(0, 2, 1), rtol=0.0, atol=1e-8)


def test_parity_and_the_digital_as_slope_in_strike(problem: Build) -> None:
    def values(payoff: Call | Put | Digital) -> Array:
        case = problem(heston(TYPICAL), payoff, 0.5, strike=(50.0, 150.0))
        got = reference(case, np.stack([SPOTS, np.full(5, 100.0)], axis=1), order=1)
        return np.stack([got.value, got.gradient[:, 1]])

    call, put = values(Call(weights=(1.0,), strike=100.0)), values(Put(weights=(1.0,), strike=100.0))
    forward = SPOTS * np.exp(-YIELD * 0.5) - 100.0 * np.exp(-RATE * 0.5)
    assert np.abs(call[0] - put[0] - forward).max() < 1e-10
    assert np.abs(values(Digital(weights=(1.0,), strike=100.0))[0] + call[1]).max() < 1e-9


def test_a_doubled_scale_is_four_times_the_variance(problem: Build) -> None:
    """Scale c: v, theta times c^2 and xi times c; and pieces that change nothing change nothing."""
    v, kappa, theta, xi, rho = TYPICAL
    payoff = Call(weights=(1.0,), strike=100.0)
    scaled = problem(heston(TYPICAL), payoff, 1.0, volatility_scale=(0.5, 2.0))
    direct = problem(heston((4.0 * v, kappa, 4.0 * theta, 2.0 * xi, rho)), payoff, 1.0)
    pieces = problem(heston(TYPICAL, volatility_pieces=(Piece(start=0.3, value=1.0),)), payoff, 1.0)
    plain = problem(heston(TYPICAL), payoff, 1.0)
    spot, double = np.array([[95.0]]), np.array([[95.0, 2.0]])
    assert reference(scaled, double).value == pytest.approx(reference(direct, spot).value, rel=1e-10)
    assert reference(pieces, spot).value == pytest.approx(reference(plain, spot).value, rel=1e-10)


def test_no_volatility_of_variance_is_black_scholes(problem: Build) -> None:
    payoff = Call(weights=(1.0,), strike=100.0)
    certain = problem(heston((0.04, 1.0, 0.04, 0.0, -0.5)), payoff, 1.0)
    process = BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=RATE, dividend_yields=(YIELD,))
    ours, theirs = (reference(case, SPOTS[:, None]) for case in (certain, problem(process, payoff, 1.0)))
    assert np.allclose(ours.value, theirs.value, rtol=0.0, atol=1e-6)
    assert np.allclose(ours.hessian, theirs.hessian, rtol=0.0, atol=1e-8)


@pytest.mark.parametrize("xi", [0.0, 0.5])
def test_no_mean_reversion_is_the_limit_of_little(problem: Build, xi: float) -> None:
    """By Taylor's series from kappa = 0, to third order for the value and second for the gradient."""
    h = 1e-3
    process = heston((0.04, 1.0, 0.06, xi, -0.7))
    case = problem(process, Call(weights=(1.0,), strike=100.0), 1.0, mean_reversion=(0.0, 3.0))
    got = reference(case, np.array([[95.0, 0.0], [95.0, h]]))
    slope, bend = got.gradient[0, 1], got.hessian[0, 1]
    assert slope > 0.1  # the variance is below its long run
    assert got.value[1] == pytest.approx(got.value[0] + h * slope + 0.5 * h * h * bend[1], abs=1e-7)
    assert got.gradient[1] == pytest.approx(got.gradient[0] + h * bend, abs=2e-4)


@pytest.mark.parametrize("numbers", [(0.0, 1.0, 0.0, 0.5, -0.5), TYPICAL])
def test_limits_are_finite(problem: Build, numbers: tuple[float, ...]) -> None:
    case = problem(heston(numbers), Put(weights=(1.0,), strike=100.0), 0.0, maturity=(0.0, 1.0))
    got = reference(case, np.array([[90.0, 0.0], [110.0, 0.0], [0.0, 1.0]]))
    assert np.isfinite(got.hessian).all()
    assert np.isfinite(got.gradient).all()
    assert got.value[:2] == pytest.approx([10.0, 0.0], abs=1e-4)
