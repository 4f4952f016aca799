"""Baskets of Heston assets where something else knows them: assets that are one, and variances that stand still."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pricing.references import heston_sums, replicates
from pricing.references.methods import Replicated
from pricing.references.reference import kind, method, reference
from pricing.specs.european import Call, Digital, Put
from pricing.specs.process import BlackScholes, Heston
from pricing.types import Array
from tests.pricing.cases import PAIR, STOCHASTIC, alike, feature, problem_of

RATED = replace(STOCHASTIC, rate=0.03, dividend_yields=(0.01,))
TWINS = alike(RATED, ((1.0, 0.9999999), (0.9999999, 1.0)))
BASKET = Call(weights=(0.5, 0.5), strike=100.0)
PAYOFFS = [BASKET, Put(weights=(0.5, 0.5), strike=100.0), Digital(weights=(0.5, 0.5), strike=100.0, cash=10.0)]
LEVELS = [85.0, 100.0, 115.0]


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicates, "REPLICATES", 8)
    monkeypatch.setattr(heston_sums, "PATHS", 1 << 9)


def close(found: Array, error: Array | None, right: Array, share: float) -> bool:
    """Within four stated errors and a share of the largest."""
    assert error is not None
    return bool((np.abs(found - right) <= 4.0 * error + share * np.abs(right).max()).all())


@pytest.mark.parametrize("payoff", PAYOFFS, ids=["call", "put", "digital"])
def test_twins_are_one_asset(payoff: Call | Put | Digital) -> None:
    case = problem_of(TWINS, payoff, maturity=1.5)
    alone = problem_of(RATED, replace(payoff, weights=(1.0,)), maturity=1.5)
    found = reference(case, np.array([[level, level] for level in LEVELS]))
    right = reference(alone, np.array(LEVELS)[:, None])
    assert right.kind == "fourier"
    assert found.kind == "resimulated (same simulator, other estimator, seed and steps)"
    assert close(found.value, found.standard_error, right.value, 1e-6)
    assert found.gradient_error is not None
    assert found.hessian_error is not None
    assert close(found.gradient.sum(axis=1), found.gradient_error.sum(axis=1), right.gradient[:, 0], 1e-5)
    assert close(found.hessian.sum(axis=(1, 2)), found.hessian_error.sum(axis=(1, 2)), right.hessian[:, 0, 0], 1e-4)
    assert found.standard_error is not None
    assert found.standard_error.max() < 0.01 * right.value.max()


@pytest.mark.parametrize("payoff", PAYOFFS, ids=["call", "put", "digital"])
def test_variances_that_stand_still_are_black_and_scholes(payoff: Call | Put | Digital) -> None:
    still = alike(replace(RATED, variance_volatilities=(0.0,)), PAIR)
    plain = BlackScholes(volatilities=(0.2, 0.2), correlation=PAIR, rate=0.03, dividend_yields=(0.01, 0.01))
    x = np.array([[90.0, 105.0], [120.0, 100.0]])
    found, right = (reference(problem_of(process, payoff), x) for process in (still, plain))
    assert close(found.value, found.standard_error, right.value, 1e-6)
    assert close(found.gradient, found.gradient_error, right.gradient, 1e-5)
    assert close(found.hessian, found.hessian_error, right.hessian, 1e-4)


def test_half_the_steps_are_in_the_errors() -> None:
    coarse = alike(replace(RATED, mean_reversions=(10.0,), variance_volatilities=(1.0,), steps=8), PAIR)
    how = method(problem_of(coarse, BASKET))
    assert isinstance(how, Replicated)
    x = np.array([[100.0, 100.0]])
    _, stated = replicates.replicated(problem_of(coarse, BASKET), how, x, order=1, seed=1)
    fine = method(problem_of(replace(coarse, steps=64), BASKET))
    assert isinstance(fine, Replicated)
    right, _ = replicates.replicated(problem_of(coarse, BASKET), fine, x, order=1, seed=1)
    found, _ = replicates.replicated(problem_of(coarse, BASKET), how, x, order=1, seed=1)
    assert np.abs(found.value - right.value).max() <= 2.0 * stated.value.max() < 0.02 * right.value.max()


@pytest.mark.parametrize(
    ("process", "weights"),
    [
        (alike(RATED, PAIR), (1.0, -1.0)),
        (alike(RATED, ((1.0, -0.5), (-0.5, 1.0))), (0.5, 0.5)),
        (replace(alike(RATED, PAIR), spot_variance_correlations=(-0.5, 0.5)), (0.5, 0.5)),
    ],
)
def test_what_need_not_rise_is_simulated_as_it_is(process: Heston, weights: tuple[float, ...]) -> None:
    case = problem_of(process, Call(weights=weights, strike=10.0))
    assert kind(case) == "resimulated (same simulator, other estimator, seed and steps)"
    assert not isinstance(method(case), Replicated)


def test_samples_with_variances_of_their_own_have_fewer_paths() -> None:
    varying = method(problem_of(alike(RATED, PAIR), BASKET, feature("initial_variance", 0.02, 0.1, size=2)))
    plain = method(problem_of(alike(RATED, PAIR), BASKET))
    assert isinstance(varying, Replicated)
    assert isinstance(plain, Replicated)
    assert varying.paths < plain.paths


def test_the_slowest_cosine_moves_all_steps_alike() -> None:
    turned = heston_sums.slow_first(torch.eye(8, dtype=torch.float64), 8)
    assert torch.allclose(turned @ turned.T, torch.eye(8, dtype=torch.float64))
    assert torch.allclose(turned[0], torch.full((8,), 8**-0.5, dtype=torch.float64))
