from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
import torch
from scipy.integrate import quad_vec

from pricing.bachelier import carry, factor, simulate
from pricing.spec import Bachelier, PricingProblem
from pricing.types import Array


def covariance(process: Bachelier, maturity: float) -> Array:
    """Covariance of S_T by quadrature of the carried rate, without the closed form."""
    b, sigma = carry(process), np.array(process.volatilities)
    rate = np.outer(sigma, sigma) * np.array(process.correlation)
    integral, _ = quad_vec(lambda t: rate * np.exp(np.add.outer(b, b) * t), 0.0, maturity, epsabs=1e-13)
    return np.asarray(integral)


@pytest.mark.parametrize("maturity", [1e-6, 0.5, 10.0])
def test_factor_squares_to_the_covariance(problem: PricingProblem, maturity: float) -> None:
    A = factor(problem.process, maturity)
    np.testing.assert_allclose(A @ A.T, covariance(problem.process, maturity), rtol=1e-10, atol=1e-16)


def test_two_steps_make_one(long_short: PricingProblem) -> None:
    """Chapman-Kolmogorov: Cov(S_(a+b)) = g_b Cov(S_a) g_b + Cov(S_b)."""
    process = long_short.process
    first, second, whole = (factor(process, T) @ factor(process, T).T for T in (0.4, 0.9, 1.3))
    g = np.exp(carry(process) * 0.9)
    np.testing.assert_allclose(whole, np.outer(g, g) * first + second, rtol=1e-12)


def test_no_time_and_no_volatility_leave_no_randomness(long_short: PricingProblem) -> None:
    assert (factor(long_short.process, 0.0) == 0.0).all()
    still = msgspec.structs.replace(long_short.process, volatilities=(8.0, 0.0, 5.0))
    A = factor(still, 1.5)
    np.testing.assert_allclose(A @ A.T, covariance(still, 1.5), rtol=1e-10)
    assert (A[1] == 0.0).all()


def test_simulation_is_forward_plus_increments(long_short: PricingProblem) -> None:
    process, T = long_short.process, 1.5
    spots = torch.tensor([[[100.0, 90.0, 95.0]]], dtype=torch.float64)
    normals = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 8, 3)))
    terminal = simulate(process, spots, normals, T)
    np.testing.assert_allclose(terminal.forward, spots.numpy() * np.exp(np.array([0.02, 0.0, -0.02]) * T), rtol=1e-14)
    np.testing.assert_allclose(terminal.increments[0], normals[0].numpy() @ factor(process, T).T, rtol=1e-12)
    assert terminal.discount == math.exp(-0.03 * T)


def test_forward_convention_neither_drifts_nor_discounts(seven: PricingProblem) -> None:
    spots = torch.full((1, 1, 7), 1.3, dtype=torch.float64)
    terminal = simulate(seven.process, spots, torch.zeros(1, 1, 7, dtype=torch.float64), 2.0)
    assert torch.equal(terminal.forward, spots)
    assert terminal.discount == 1.0
