from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.domain import Feature
from pricing.labels import make_labels
from pricing.references import autocall, replicates
from pricing.references.derivatives import differentiate
from pricing.references.reference import kind, reference
from pricing.simulation.scenario import scenario
from pricing.specs.labels import LabelSpec
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
    return autocall.value(process(assets), note(assets), scenario(problem, features), points, width=autocall.WIDTH)


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


def test_levels_of_the_payments_are_features_too() -> None:
    """The derivative by a level is the difference of values on the same paths."""
    spots, level = Feature(name="spot", lower=(50.0, 50.0), upper=(150.0, 150.0)), (0.5, 0.9)
    barriers = tuple(Feature(name=name, lower=level[:1], upper=level[1:]) for name in ("knock_in", "coupon_barrier"))
    case = PricingProblem(process=process(2), payoff=note(2), maturity=1.0, features=(spots, *barriers))
    assert kind(case) == "replicates"
    points = replicates.uniforms(1 << 10, 6, seed=0, replicate=0)
    x, step = np.array([[97.0, 102.0, 0.6, 0.8]]), 1e-5
    value = partial(valued, case, points)
    slopes = differentiate(value, x, order=1).gradient[0]
    for i in range(4):
        ends = (value(torch.from_numpy(x + sign * step * np.eye(4)[i])) for sign in (1.0, -1.0))
        up, down = (float(end[0]) for end in ends)
        assert slopes[i] == pytest.approx((up - down) / (2.0 * step), rel=1e-6, abs=1e-7)


def test_the_bias_of_a_tie_is_less_than_stated() -> None:
    """Half the width on the same paths: the difference is within what is stated and the noise of that difference."""
    spot = Feature(name="spot", lower=(50.0, 50.0), upper=(150.0, 150.0))
    case = PricingProblem(process=process(2), payoff=note(2), maturity=1.0, features=(spot,))
    x = np.array([[97.0, 102.0], [80.0, 82.0], [100.0, 100.0]])

    def bent(width: float, replicate: int) -> np.ndarray:
        points = replicates.uniforms(1 << 12, 6, seed=3, replicate=replicate)
        value = partial(autocall.value, process(2), note(2))
        return differentiate(lambda z: value(scenario(case, z), points, width=width), x, order=2).hessian

    wide = np.stack([bent(autocall.WIDTH, r) for r in range(8)])
    moved = wide - np.stack([bent(0.5 * autocall.WIDTH, r) for r in range(8)])
    noise = moved.std(axis=0, ddof=1) / np.sqrt(8)
    assert (np.abs(moved.mean(axis=0)) < autocall.BIAS * np.abs(wide.mean(axis=0)).max(axis=0) + 5.0 * noise).all()


def test_labels_agree_within_their_errors() -> None:
    """Three assets, every feature, against one-step survival along another axis with ties of another kernel."""
    assets = 3
    features = (
        Feature(name="spot", lower=(50.0,) * assets, upper=(150.0,) * assets),
        Feature(name="volatility", lower=(0.1,) * assets, upper=(0.4,) * assets),
        Feature(name="maturity", lower=(0.5,), upper=(2.0,)),
    )
    rho = ((1.0, 0.6, 0.3), (0.6, 1.0, 0.5), (0.3, 0.5, 1.0))
    market = BlackScholes(volatilities=(0.2, 0.25, 0.3), correlation=rho, rate=0.03)
    case = PricingProblem(process=market, payoff=note(assets), maturity=1.0, features=features)
    x = np.array([[97.0, 102.0, 95.0, 0.2, 0.25, 0.3, 1.0], [75.0, 110.0, 90.0, 0.3, 0.2, 0.15, 1.7]])
    found = reference(case, x)
    spec = LabelSpec(samples=2, paths=1 << 11, replicates=8, order=2, directions=2)
    labels = make_labels(case, torch.from_numpy(x), spec, seed=4)
    assert labels.value_error is not None
    assert labels.gradient is not None
    assert labels.gradient_error is not None
    assert labels.curvature is not None
    assert labels.directions is not None
    assert labels.curvature_error is not None
    assert found.standard_error is not None
    assert found.gradient_error is not None
    assert found.hessian_error is not None
    along = np.einsum("nij,nkj->nki", found.hessian, labels.directions.numpy())
    sure = np.sqrt(np.einsum("nij,nkj->nki", found.hessian_error**2, labels.directions.numpy() ** 2))
    for ours, theirs, errors in (
        (found.value, labels.value, (found.standard_error, labels.value_error)),
        (found.gradient, labels.gradient, (found.gradient_error, labels.gradient_error)),
        (along, labels.curvature, (sure, labels.curvature_error)),
    ):
        assert (np.abs(ours - theirs.numpy()) < 5.0 * np.hypot(errors[0], errors[1].numpy())).all()


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
