from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.domain import Feature
from pricing.references import autocall, replicates
from pricing.references.derivatives import differentiate
from pricing.references.reference import kind, reference
from pricing.simulation.scenario import scenario
from pricing.specs.payoff import Autocall
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes

Build = Callable[..., PricingProblem]
PATHS, REPLICATES = 1 << 14, 8


def note(assets: int) -> Autocall:
    return Autocall(
        initial=(100.0,) * assets,
        dates=(0.25, 0.5, 1.0),
        triggers=(1.05, 1.02, 1.0),
        coupon=0.03,
        coupon_barrier=0.8,
        knock_in=0.65,
    )


def process(assets: int) -> BlackScholes:
    rho = tuple(tuple(1.0 if i == j else 0.5 for j in range(assets)) for i in range(assets))
    return BlackScholes(volatilities=(0.25, 0.3)[:assets], correlation=rho, rate=0.03)


def valued(problem: PricingProblem, points: Tensor, features: Tensor) -> Tensor:
    assets = problem.process.assets
    return autocall.value(process(assets), note(assets), scenario(problem, features), points)


@pytest.mark.parametrize("features", [{}, {"volatility": (0.1, 0.5), "maturity": (0.5, 2.0)}])
def test_one_asset_is_the_quadrature(problem: Build, features: dict[str, tuple[float, float]]) -> None:
    """Value and both derivatives, by spot alone (the expansion) and with more features (the density ratio)."""
    case = problem(process(1), note(1), 1.0, **features)
    x = np.array([[80.0, 0.25, 1.0], [98.0, 0.25, 1.0], [106.0, 0.25, 1.0]])[:, : 1 + len(features)]
    exact = reference(case, x)
    assert exact.kind == "quadrature"
    runs = [
        differentiate(partial(valued, case, replicates.uniforms(PATHS, 3, seed=1, replicate=r)), x, order=2)
        for r in range(REPLICATES)
    ]
    for parts, right in zip(zip(*runs, strict=True), (exact.value, exact.gradient, exact.hessian), strict=True):
        stacked = np.stack(parts)
        error = stacked.std(axis=0, ddof=1) / np.sqrt(REPLICATES)
        assert (np.abs(stacked.mean(axis=0) - right) < 5.0 * error + 1e-12).all()


def test_two_assets_against_the_contracts_sentences() -> None:
    paper = note(2)
    case = PricingProblem(
        process=process(2),
        payoff=paper,
        maturity=1.0,
        features=(Feature(name="spot", lower=(50.0, 50.0), upper=(150.0, 150.0)),),
    )
    assert kind(case) == "replicates"
    z = np.random.default_rng(5).standard_normal((1 << 17, 3, 2)) @ np.linalg.cholesky(process(2).correlation).T
    sigma, steps = np.array([0.25, 0.3]), np.array([0.25, 0.25, 0.5])[:, None]
    moves = (0.03 - 0.5 * sigma**2) * steps + sigma * np.sqrt(steps) * z
    levels = (np.array([97.0, 102.0]) / 100.0 * np.exp(moves.cumsum(axis=1))).min(axis=2)
    total, alive, owed = np.zeros(len(z)), np.ones(len(z), dtype=bool), np.ones(len(z))
    for k, (date, trigger) in enumerate(zip(paper.dates, paper.triggers, strict=True)):
        fed, called = alive & (levels[:, k] >= paper.coupon_barrier), alive & (levels[:, k] >= trigger)
        total += np.exp(-0.03 * date) * (paper.coupon * owed * fed + called)
        owed = np.where(fed, 1.0, owed + 1.0)
        alive &= ~called
    total += np.exp(-0.03) * alive * np.where(levels[:, -1] < paper.knock_in, levels[:, -1], 1.0)
    points = replicates.uniforms(1 << 16, 6, seed=0, replicate=0)
    value = valued(case, points, torch.tensor([[97.0, 102.0]], dtype=torch.float64))
    assert abs(float(value) - total.mean()) < 4.0 * total.std() / np.sqrt(len(z))


def test_levels_of_the_payments_move_no_density() -> None:
    case = PricingProblem(
        process=process(2),
        payoff=note(2),
        maturity=1.0,
        features=(
            Feature(name="spot", lower=(50.0, 50.0), upper=(150.0, 150.0)),
            Feature(name="knock_in", lower=(0.5,), upper=(0.8,)),
        ),
    )
    assert not autocall.supported(case)
    assert kind(case).startswith("resimulated")


def test_limits_are_finite(problem: Build) -> None:
    case = problem(process(1), note(1), 1.0, volatility=(0.0, 0.5), maturity=(0.0, 2.0))
    x = np.array([[98.0, 0.0, 1.0], [98.0, 0.2, 0.0], [0.0, 0.2, 1.0]])
    points = replicates.uniforms(64, 3, seed=1, replicate=0)
    for part in differentiate(partial(valued, case, points), x, order=2):
        assert np.isfinite(part).all()


def test_one_row_has_the_derivatives_of_many() -> None:
    """A batch of one is no sign that a parameter is constant."""
    spot = Feature(name="spot", lower=(50.0, 50.0), upper=(150.0, 150.0))
    rate = Feature(name="rate", lower=(0.0,), upper=(0.1,))
    case = PricingProblem(process=process(2), payoff=note(2), maturity=1.0, features=(spot, rate))
    points = replicates.uniforms(1 << 8, 6, seed=0, replicate=0)
    x = np.array([[97.0, 102.0, 0.03], [90.0, 110.0, 0.04]])
    many, one = (differentiate(partial(valued, case, points), rows, order=2) for rows in (x, x[:1]))
    for whole, part in zip(many, one, strict=True):
        np.testing.assert_allclose(part, whole[:1], rtol=1e-10)
    assert one[1][0, 2] != 0.0
