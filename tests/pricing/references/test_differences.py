from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from pricing.references import differences, pde
from pricing.references.reference import reference
from pricing.simulation.scenario import Scenario
from pricing.specs.european import Call
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, LocalVolatility
from pricing.types import Array

Build = Callable[..., PricingProblem]


def cubic(at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
    """S^2 K sigma + K^2 sigma: differences are exact."""
    strike, sigma = (float(at.scalar(name)[0, 0]) for name in ("strike", "volatility"))
    return (
        spots**2 * strike * sigma + strike**2 * sigma,
        2.0 * spots * strike * sigma,
        2.0 * strike * sigma + 0.0 * spots,
    )


def test_a_polynomial_has_its_own_derivatives(problem: Build) -> None:
    process = BlackScholes(volatilities=(0.2,), correlation=((1.0,),))
    case = problem(process, Call(weights=(1.0,), strike=1.0), 1.0, strike=(1.0, 3.0), volatility=(0.0, 0.5))
    x = np.array([[2.0, 1.5, 0.3], [3.0, 1.5, 0.3], [1.0, 2.0, 0.0]])
    (value, gradient, hessian), _ = differences.differentiate(case, cubic, x, order=2)
    s, k, v = x.T
    assert np.allclose(value, s**2 * k * v + k**2 * v)
    assert np.allclose(gradient, np.stack([2 * s * k * v, s**2 * v + 2 * k * v, s**2 * k + k**2], axis=1), atol=1e-2)
    inner = x[:, 2] > 0.0
    cross = np.stack([2 * s * v, 2 * s * k, s**2 + 2 * k], axis=1)
    got = np.stack([hessian[:, 0, 1], hessian[:, 0, 2], hessian[:, 1, 2]], axis=1)
    assert np.allclose(got[inner], cross[inner], rtol=1e-6)
    assert np.allclose(hessian[:, 1, 1][inner], 2.0 * v[inner], rtol=1e-4)


def test_differences_of_a_formula_are_its_derivatives(problem: Build) -> None:
    process = BlackScholes(volatilities=(0.2,), correlation=((1.0,),))
    case = problem(process, Call(weights=(1.0,), strike=100.0), 1.0, strike=(50.0, 150.0), volatility=(0.1, 0.5))
    x = np.array([[90.0, 100.0, 0.3], [120.0, 100.0, 0.2]])
    exact = reference(case, x)

    def grid(at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
        others = [float(at.scalar(name)[0, 0]) for name in ("strike", "volatility")]
        full = reference(case, np.array([[spot, *others] for spot in spots.tolist()]))
        return full.value, full.gradient[:, 0], full.hessian[:, 0, 0]

    (_, gradient, hessian), (gradient_error, hessian_error) = differences.differentiate(case, grid, x, order=2)
    size = case.box.upper - case.box.lower
    assert np.abs((gradient - exact.gradient) * size).max() < 1e-5
    assert np.abs((hessian - exact.hessian) * np.outer(size, size)).max() < 1e-3
    assert (np.abs(gradient - exact.gradient) <= gradient_error + 1e-9).all()
    assert (np.abs(hessian - exact.hessian) <= hessian_error + 1e-6).all()


def test_derivatives_do_not_depend_on_the_box(problem: Build) -> None:
    """A Box of a thousandth of a volatility, and one that holds any."""
    surface = LocalVolatility(
        volatilities=(0.3,),
        skews=(-0.3,),
        curvatures=(0.5,),
        powers=(0.4,),
        reference_spots=(100.0,),
        correlation=((1.0,),),
    )
    call, x = Call(weights=(1.0,), strike=100.0), np.array([[95.0, 0.3], [110.0, 0.3]])
    wide, narrow = (
        reference(problem(surface, call, 1.0, volatility=ends), x) for ends in ((0.1, 0.5), (0.2995, 0.3005))
    )
    assert narrow.hessian_error is not None
    assert np.allclose(narrow.gradient, wide.gradient, rtol=1e-6)
    assert np.allclose(narrow.hessian, wide.hessian, rtol=1e-4)
    assert (narrow.hessian_error[:, 1, 1] < 1e-3 * np.abs(narrow.hessian[:, 1, 1]).max()).all()


def test_short_maturities_and_near_barriers_take_shorter_steps(problem: Build) -> None:
    """Steps of a share of the strike would be several deviations long here, and cross the barrier."""
    process = BlackScholes(volatilities=(0.2,), correlation=((1.0,),))
    payoff = Barrier(strike=100.0, barrier=98.0, direction="down", knock="out")
    case = problem(process, payoff, 0.02, strike=(90.0, 110.0), barrier=(90.0, 99.0))
    x = np.array([[99.0, 100.0, 98.0], [101.0, 101.0, 98.5]])
    exact = reference(case, x)
    assert exact.kind == "closed form"
    grid = partial(pde.greeks, process, payoff)
    (_, gradient, hessian), (gradient_error, _) = differences.differentiate(case, grid, x, order=2)
    assert np.allclose(gradient, exact.gradient, atol=1e-4)
    assert np.allclose(hessian, exact.hessian, atol=1e-2 * np.abs(exact.hessian).max())
    assert (np.abs(gradient - exact.gradient) <= gradient_error + 1e-4).all()


def test_the_extrapolation_with_least_spread_is_taken() -> None:
    """Noise drowns the shortest step: D(h) = 1 + h^2 + h^4 at h = 1, 1 / 2 and, off by 5, 1 / 4."""
    levels = np.array([[3.0, 3.0], [1.3125, 1.3125], [1.06640625, 6.06640625]])
    best, error = differences.extrapolated(levels)
    assert np.allclose(best, [1.0, 0.75])
    assert error[0] < error[1] < 5.0
