"""Heston: law at the path's end, exact scalings, and labels against QuantLib's Fourier engine in every parameter."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import QuantLib
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.processes.heston import joined, variances
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Heston
from pricing.specs.schedule import Piece
from pricing.types import Array
from tests.pricing import oracle
from tests.pricing.cases import STOCHASTIC, alike, conditional_call, normals, problem_of, unit_call

FIELDS = (
    *("initial_variances", "mean_reversions", "long_variances", "variance_volatilities"),
    "spot_variance_correlations",
)
NAMES = (
    *("spot", "maturity", "initial_variance", "mean_reversion", "long_variance", "variance_volatility"),
    "spot_variance_correlation",
)
# Spot, maturity and the five parameters; Feller's condition 2 kappa theta >= xi^2 fails, a little and badly.
MILD = (0.95, 0.4, 0.03, 2.0, 0.06, 0.5, -0.5)
SEVERE = (1.0, 1.0, 0.04, 1.5, 0.04, 0.8, -0.7)
# Bumps of QuantLib's price: balance of truncation and its accuracy.
BUMPS = (1e-3, 5.0 / 365.0, 1e-3, 1e-2, 1e-3, 1e-2, 1e-2)
# Share of a figure that 16 steps may be off by: discretisation, measured in docs/decisions/0015-heston-labels.md.
BIAS = 0.01


def make(row: tuple[float, ...], *names: str, **others: Any) -> PricingProblem:
    """A row's maturity and parameters."""
    fields: dict[str, Any] = {name: (value,) for name, value in zip(FIELDS, row[2:], strict=True)}
    return unit_call(replace(STOCHASTIC, **{"steps": 16, **fields, **others}), *names, maturity=row[1])


def quantlib(row: tuple[float, ...]) -> float:
    spot, maturity, variance, kappa, theta, xi, rho = row
    flat = oracle.curve(0.0)
    process = QuantLib.HestonProcess(flat, flat, oracle.quote(spot), variance, kappa, theta, xi, rho)
    option = QuantLib.VanillaOption(oracle.payoff("call", 1.0), oracle.exercise(maturity))
    option.setPricingEngine(QuantLib.AnalyticHestonEngine(QuantLib.HestonModel(process), 192))
    return float(option.NPV())


def references(row: tuple[float, ...]) -> tuple[Array, Array]:
    """First and own second derivatives of QuantLib's price by central differences."""
    first, second = [], []
    for i, bump in enumerate(BUMPS):
        up, down = (quantlib((*row[:i], row[i] + sign * bump, *row[i + 1 :])) for sign in (1.0, -1.0))
        first.append((up - down) / (2.0 * bump))
        second.append((up - 2.0 * quantlib(row) + down) / bump**2)
    return np.array(first), np.array(second)


@pytest.mark.parametrize("row", [MILD, SEVERE])
def test_value_and_all_derivatives_agree_with_quantlib(row: tuple[float, ...]) -> None:
    problem, runs = make(row, *NAMES[1:]), []
    for seed in range(8):
        # One copy of the features for every second derivative.
        x = torch.tensor([row] * len(row), dtype=torch.float64, requires_grad=True)
        value = conditional_call(problem, x, normals(17, paths=1 << 9, seed=seed)).mean(dim=1)
        (gradient,) = torch.autograd.grad(value.sum(), x, create_graph=True)
        (curvature,) = torch.autograd.grad(gradient.diagonal().sum(), x)
        runs.append(torch.cat([value[:1].detach(), gradient[0].detach(), curvature.diagonal()]))
    estimates = torch.stack(runs)
    error = estimates.std(dim=0).numpy() / math.sqrt(len(runs))
    expected = np.concatenate([[quantlib(row)], *references(row)])
    # The second difference in maturity is that of whole days, too coarse to compare with.
    compared = np.arange(len(expected)) != 1 + len(NAMES) + NAMES.index("maturity")
    excess = np.abs(estimates.mean(dim=0).numpy() - expected) - 4.0 * error - BIAS * np.abs(expected)
    assert (excess[compared] < 1e-6).all(), excess


def test_error_falls_as_the_square_of_the_step() -> None:
    row = (1.1, 2.0, 0.09, 1.0, 0.05, 0.5, -0.3)
    exact, errors = references(row)[0][0], []
    for steps in (4, 8):
        x = torch.tensor([row], dtype=torch.float64, requires_grad=True)
        value = conditional_call(make(row, *NAMES[1:], steps=steps), x, normals(steps + 1, paths=1 << 15)).mean()
        (gradient,) = torch.autograd.grad(value, x)
        errors.append(gradient[0, 0].item() - exact)
    assert 3.0 < errors[0] / errors[1] < 5.5


@pytest.mark.parametrize("row", [MILD, SEVERE])
def test_integrated_variance_has_its_exact_mean(row: tuple[float, ...]) -> None:
    _, maturity, variance, kappa, theta, _, _ = row
    problem, means = make(row), []
    assert isinstance(problem.process, Heston)
    at = scenario(problem, torch.ones(1, 1, dtype=torch.float64))
    for seed in range(8):
        walk = variances(problem.process, at, normals(16, paths=1 << 12, seed=seed), times(problem, at))
        integrated = joined(at, walk).integrated
        means.append(integrated.mean())
        assert float(integrated.min()) >= 0.0
    expected = theta * maturity + (variance - theta) * -math.expm1(-kappa * maturity) / kappa
    error = torch.stack(means).std() / math.sqrt(8)
    assert abs(torch.stack(means).mean() - expected) < 4.0 * error


def test_forward_is_a_martingale_at_every_date() -> None:
    problem = make(SEVERE, rate=0.03, dividend_yields=(0.01,))
    at = scenario(problem, torch.ones(1, 1, dtype=torch.float64))
    until, means = torch.tensor([[[0.3, 1.0]]], dtype=torch.float64), []
    for seed in range(8):
        z = normals(sum(blocks(problem.process, 2)), paths=1 << 12, seed=seed)
        means.append(simulate(problem.process, at, z, until).levels(0).mean())
        means.append(simulate(problem.process, at, z, until).levels(1).mean())
    estimates = torch.stack(means).reshape(8, 2)
    expected = torch.exp(0.02 * until[0, 0])
    assert bool(((estimates.mean(dim=0) - expected).abs() < 4.0 * estimates.std(dim=0) / math.sqrt(8)).all())


def test_path_seen_at_two_dates_has_the_law_of_the_end() -> None:
    problem = make(MILD)
    at = scenario(problem, torch.ones(1, 1, dtype=torch.float64))
    until, calls = torch.tensor([[[0.2, 0.4]]], dtype=torch.float64), []
    for seed in range(8):
        levels = simulate(problem.process, at, normals(18, paths=1 << 12, seed=seed), until).levels()
        calls.append(torch.relu(levels - 1.0).mean())
    estimates = torch.stack(calls)
    assert (
        abs(estimates.mean().item() - quantlib((1.0, *MILD[1:]))) < 4.0 * estimates.std().item() / math.sqrt(8) + 1e-5
    )


def test_constant_variance_is_black_scholes_and_derivatives_stay_finite() -> None:
    problem = make(MILD, *NAMES[1:])
    x = torch.tensor([(1.0, 1.0, 0.04, 2.0, 0.04, 0.0, -0.5)], dtype=torch.float64, requires_grad=True)
    value = conditional_call(problem, x, torch.zeros(1, 1, 17, dtype=torch.float64))
    # With dB = 0 the forward is e^(-rho^2 I / 2), and 1 - rho^2 of the variance is left to the open normal, but for the
    # share of rho^2 that a step of 1 / 16 does not drive.
    driven = 0.25 * 16.0 * math.tanh(1.0 / 16.0)
    call = QuantLib.blackFormula(QuantLib.Option.Call, 1.0, math.exp(-0.02 * driven), 0.2 * math.sqrt(1.0 - driven))
    assert value.item() == pytest.approx(call, abs=1e-5)
    (gradient,) = torch.autograd.grad(value.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(gradient.sum(), x)
    assert bool(torch.isfinite(gradient).all())
    assert bool(torch.isfinite(curvature).all())


@pytest.mark.parametrize("index", range(len(NAMES)))
def test_zero_parameters_give_finite_paths_and_derivatives(index: int) -> None:
    problem = make(MILD, *NAMES[1:])
    x = torch.tensor([MILD], dtype=torch.float64)
    x[0, index] = 0.0
    x.requires_grad_()
    at = scenario(problem, x)
    levels = simulate(problem.process, at, normals(17, paths=64), times(problem, at)).levels()
    (gradient,) = torch.autograd.grad(levels.sum(), x, create_graph=True)
    (curvature,) = torch.autograd.grad(gradient.sum(), x)
    assert all(bool(torch.isfinite(label).all()) for label in (levels, gradient, curvature))


def test_no_variance_at_all_leaves_the_spot_alone() -> None:
    problem = make((1.0, 1.0, 0.0, 1.0, 0.0, 0.5, -0.5), *NAMES[1:])
    x = torch.tensor([(1.0, 1.0, 0.0, 1.0, 0.0, 0.5, -0.5)], dtype=torch.float64, requires_grad=True)
    at = scenario(problem, x)
    levels = simulate(problem.process, at, normals(17, paths=64), times(problem, at)).levels()
    (gradient,) = torch.autograd.grad(levels.sum(), x)
    torch.testing.assert_close(levels, torch.ones_like(levels), rtol=0.0, atol=1e-12)
    assert bool(torch.isfinite(gradient).all())


def test_derivatives_agree_with_differences_on_the_same_normals() -> None:
    problem, z = make(SEVERE, *NAMES[1:]), normals(17, paths=16)

    def levels(x: Tensor) -> Tensor:
        at = scenario(problem, x)
        return simulate(problem.process, at, z, times(problem, at)).levels().mean(dim=1)

    assert torch.autograd.gradcheck(levels, (torch.tensor([SEVERE], dtype=torch.float64, requires_grad=True),))


def test_time_and_volatility_scale_are_exact_changes_of_the_parameters() -> None:
    z, one = normals(17, paths=32), torch.ones(1, 1, dtype=torch.float64)

    def levels(row: tuple[float, ...], **others: Any) -> Tensor:
        problem = make(row, **others)
        at = scenario(problem, one)
        return simulate(problem.process, at, z, times(problem, at)).levels()

    spot, maturity, variance, kappa, theta, xi, rho = MILD
    year = (spot, 1.0, variance * maturity, kappa * maturity, theta * maturity, xi * maturity, rho)
    torch.testing.assert_close(levels(MILD), levels(year), rtol=1e-12, atol=0.0)
    double = (spot, maturity, 4.0 * variance, kappa, 4.0 * theta, 2.0 * xi, rho)
    scaled = levels(MILD, volatility_pieces=(Piece(start=1e-12, value=2.0),))
    torch.testing.assert_close(scaled, levels(double), rtol=1e-9, atol=0.0)


def test_two_assets_have_the_stated_correlation() -> None:
    C = 0.5
    mild = make(MILD, steps=8).process
    problem = problem_of(alike(mild, ((1.0, C), (C, 1.0))), Call(weights=(0.5, 0.5), strike=1.0), maturity=0.002)
    at = scenario(problem, torch.ones(1, 2, dtype=torch.float64))
    z, until = normals(18, paths=1 << 15), times(problem, at)
    log = torch.log(simulate(problem.process, at, z, until).levels()[0])
    # dW_i dW_j = C_ij dt for equal rho, and over a day the variances hardly part.
    assert float(torch.corrcoef(log.T)[0, 1]) == pytest.approx(C, abs=0.012)
    single = make(MILD, steps=8)
    here = scenario(single, torch.ones(1, 1, dtype=torch.float64))
    alone = simulate(single.process, here, z[..., [0, *range(2, 18, 2)]], until).levels()
    torch.testing.assert_close(alone[0, :, 0], torch.exp(log[:, 0]), rtol=1e-12, atol=0.0)
