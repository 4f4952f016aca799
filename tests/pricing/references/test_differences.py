from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from pricing.references import differences
from pricing.references.reference import reference
from pricing.scenario import Scenario
from pricing.specs.payoff import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.types import Array

Build = Callable[..., PricingProblem]


def cubic(_: PricingProblem, at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
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
    value, gradient, hessian = differences.differentiate(case, cubic, x, order=2)
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

    def grid(_: PricingProblem, at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
        others = [float(at.scalar(name)[0, 0]) for name in ("strike", "volatility")]
        full = reference(case, np.array([[spot, *others] for spot in spots.tolist()]))
        return full.value, full.gradient[:, 0], full.hessian[:, 0, 0]

    _, gradient, hessian = differences.differentiate(case, grid, x, order=2)
    size = torch.tensor(case.box.upper - case.box.lower).numpy()
    assert np.abs((gradient - exact.gradient) * size).max() < 1e-3
    assert np.abs((hessian - exact.hessian) * np.outer(size, size)).max() < 1e-1
