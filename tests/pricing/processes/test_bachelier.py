from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch
from scipy.integrate import quad_vec

from pricing.processes.bachelier import simulate, step_factors
from pricing.simulation.scenario import Scenario, scenario
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.types import Array


def process_of(problem: PricingProblem) -> Bachelier:
    assert isinstance(problem.process, Bachelier)
    return problem.process


def here(problem: PricingProblem) -> Scenario:
    return scenario(problem, torch.ones(1, problem.box.dimension, dtype=torch.float64))


def factor(problem: PricingProblem, *until: float) -> Array:
    """The factor of every step. Shape: -> date asset asset."""
    factors = step_factors(process_of(problem), here(problem), torch.tensor([[until]], dtype=torch.float64))
    return np.asarray(factors[0])


def carry(process: Bachelier) -> Array:
    return process.rate - np.array(process.dividend_yields or (0.0,) * process.assets)


def covariance(process: Bachelier, maturity: float) -> Array:
    """Covariance of S_T by quadrature of the carried rate, without the closed form."""
    b, sigma = carry(process), np.array(process.volatilities)
    rate = np.outer(sigma, sigma) * np.array(process.correlation)
    integral, _ = quad_vec(lambda t: rate * np.exp(np.add.outer(b, b) * t), 0.0, maturity, epsabs=1e-13)
    return np.asarray(integral)


@pytest.mark.parametrize("maturity", [1e-6, 0.5, 10.0])
def test_factor_squares_to_the_covariance(problem: PricingProblem, maturity: float) -> None:
    (A,) = factor(problem, maturity)
    np.testing.assert_allclose(A @ A.T, covariance(process_of(problem), maturity), rtol=1e-10, atol=1e-16)


def test_two_steps_make_one(long_short: PricingProblem) -> None:
    """Chapman-Kolmogorov: Cov(S_(a+b)) = g_b Cov(S_a) g_b + Cov(S_b)."""
    first, second = factor(long_short, 0.4, 1.3)
    (whole,) = factor(long_short, 1.3)
    g = np.exp(carry(process_of(long_short)) * 0.9)
    np.testing.assert_allclose(whole @ whole.T, np.outer(g, g) * (first @ first.T) + second @ second.T, rtol=1e-12)


def test_no_time_and_no_volatility_leave_no_randomness(long_short: PricingProblem) -> None:
    assert (factor(long_short, 0.0) == 0.0).all()
    still = msgspec.structs.replace(process_of(long_short), volatilities=(8.0, 0.0, 5.0))
    (A,) = factor(msgspec.structs.replace(long_short, process=still), 1.5)
    np.testing.assert_allclose(A @ A.T, covariance(still, 1.5), rtol=1e-10)
    assert (A[1] == 0.0).all()


def test_simulation_is_forward_plus_noise(long_short: PricingProblem) -> None:
    until = torch.tensor([[[1.5]]], dtype=torch.float64)
    spots = torch.tensor([[100.0, 90.0, 95.0]], dtype=torch.float64)
    normals = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 8, 3)))
    paths = simulate(process_of(long_short), scenario(long_short, spots), normals, until)
    expected = spots.numpy() * np.exp(np.array([0.02, 0.0, -0.02]) * 1.5)
    np.testing.assert_allclose(paths.forward[0, 0], expected, rtol=1e-14)
    (A,) = factor(long_short, 1.5)
    np.testing.assert_allclose(paths.noise[0, :, 0], normals[0].numpy() @ A.T, rtol=1e-11)
    assert float(paths.discount) == pytest.approx(math.exp(-0.03 * 1.5), rel=1e-15)


def test_forward_convention_neither_drifts_nor_discounts(seven: PricingProblem) -> None:
    spots, until = torch.full((1, 7), 1.3, dtype=torch.float64), torch.tensor([[[2.0]]], dtype=torch.float64)
    normals = torch.zeros(1, 1, 7, dtype=torch.float64)
    paths = simulate(process_of(seven), scenario(seven, spots), normals, until)
    assert torch.equal(paths.levels(), spots[:, None])
    assert float(paths.discount) == 1.0
