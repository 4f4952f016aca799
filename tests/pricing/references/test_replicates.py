from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.references import replicates
from pricing.references.methods import Replicated
from pricing.simulation.scenario import Scenario
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes

Build = Callable[..., PricingProblem]
X = np.array([[0.5], [1.5], [2.5]])


def powers(at: Scenario, points: Tensor) -> Tensor:
    """The mean of u^S: 1 / (1 + S) for a uniform u. Shape: points path 1 -> batch."""
    return (points[:, 0] ** at["spot"][:, 0]).mean(dim=1)


@pytest.fixture
def case(problem: Build) -> PricingProblem:
    """Any problem in one spot."""
    return problem(BlackScholes(volatilities=(0.3,), correlation=((1.0,),)), Call(weights=(1.0,), strike=1.0), 1.0)


def how(paths: int) -> Replicated:
    return Replicated(sampled=powers, dimension=1, paths=paths, points=1, relative_error=0.0, known="all")


def test_means_and_their_errors_are_those_of_an_integral(case: PricingProblem) -> None:
    """Value, gradient and Hessian within four standard errors, which shrink faster than 1 / sqrt(n) on Sobol points."""
    s = X[:, 0]
    exact = 1.0 / (1.0 + s), (-1.0 / (1.0 + s) ** 2)[:, None], (2.0 / (1.0 + s) ** 3)[:, None, None]
    few, many = (replicates.replicated(case, how(paths), X, order=2, seed=1) for paths in (1 << 6, 1 << 10))
    for means, errors in (few, many):
        for mean, error, right in zip(means, errors, exact, strict=True):
            assert (error > 0.0).all()
            assert (np.abs(mean - right) < 4.0 * error).all()
    assert (many[1].value < few[1].value / 4.0).all()


def test_blocks_change_nothing(case: PricingProblem, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = replicates.replicated(case, how(64), X, order=1, seed=1)
    monkeypatch.setattr(replicates, "BLOCK", 1)
    monkeypatch.setattr(replicates, "LEAST_ROWS", 1)
    alone = replicates.replicated(case, how(64), X, order=1, seed=1)
    for ours, theirs in zip((*whole[0], *whole[1]), (*alone[0], *alone[1]), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-13)


def test_sets_differ_by_seed_and_replicate() -> None:
    first, again, other = (replicates.uniforms(64, 2, seed=1, replicate=r) for r in (0, 0, 1))
    assert bool((first == again).all())
    assert not bool((first == other).any())
    assert not bool((first == replicates.uniforms(64, 2, seed=2, replicate=0)).any())


def test_sets_are_balanced() -> None:
    """One point in every sixteenth of every coordinate, and none on a bound."""
    points = replicates.uniforms(16, 3, seed=1, replicate=0)
    assert bool(((points > 0.0) & (points < 1.0)).all())
    for column in points.unbind(dim=1):
        assert torch.equal((column * 16.0).long().sort().values, torch.arange(16))
