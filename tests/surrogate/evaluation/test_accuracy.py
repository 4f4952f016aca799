from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricing.domain import Box, Feature
from pricing.references.methods import Known
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.evaluation.accuracy import UNKNOWN_GAMMA, Prediction, accuracy, predict, r2
from surrogate.evaluation.evaluate import reference
from surrogate.functions.network import Network, value_gradient_hessian


def test_the_reference_scores_perfectly(call: PricingProblem) -> None:
    exact = reference(call, np.random.default_rng(1).uniform(0.6, 1.4, (200, 2)))
    scores = accuracy(exact, exact)
    assert all(score.r2 == 1.0 and score.max_error == 0.0 for score in scores.outputs.values())
    assert (list(scores.outputs), scores.samples) == (["value", "delta", "gamma"], 200)
    assert scores["gamma"].parallel_r2 == 1.0
    assert scores["gamma"].frobenius_error == 0.0


def test_a_parallel_gamma_that_vanishes_has_no_score() -> None:
    """The weights of a spread add up to 0 but for rounding, and with them 1'H1."""
    problem = PricingProblem(
        process=Bachelier(
            volatilities=(0.2, 0.2, 0.2), correlation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
        ),
        payoff=Call(weights=(0.7, -0.4, -0.3), strike=0.1),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.5,) * 3, upper=(1.5,) * 3),),
    )
    exact = reference(problem, np.random.default_rng(7).uniform(0.5, 1.5, (50, 3)))
    assert 0.0 < np.abs(exact.gamma.sum(axis=(1, 2))).max() < 1e-12
    assert accuracy(exact, exact)["gamma"].parallel_r2 is None


def test_r2_is_per_column_then_averaged() -> None:
    """Adding a constant to one column of two halves the score by that column's share alone."""
    generator = np.random.default_rng(2)
    truth = generator.standard_normal((500, 2)) * [1.0, 10.0]
    shifted = truth + np.array([1.0, 0.0])
    expected = 0.5 * (1.0 - 500.0 / ((truth[:, 0] - truth[:, 0].mean()) ** 2).sum()) + 0.5
    assert r2(shifted, truth) == pytest.approx(expected)
    assert r2(np.tile(truth.mean(axis=0), (500, 1)), truth) == pytest.approx(0.0)


def test_gamma_scores_see_what_the_parallel_gamma_cannot(call: PricingProblem) -> None:
    """An error E with 1'E1 = 0 leaves the paper's scalar perfect; the Frobenius score falls."""
    features = np.random.default_rng(3).uniform(0.6, 1.4, (300, 2))
    exact = reference(call, features)
    tilted = Prediction(value=exact.value, delta=exact.delta, gamma=exact.gamma + np.array([[0.2, 0.0], [0.0, -0.2]]))
    score = accuracy(tilted, exact)["gamma"]
    assert score.parallel_r2 == pytest.approx(1.0)
    assert score.r2 is not None
    assert score.r2 < 0.9
    assert score.frobenius_error == pytest.approx(np.sqrt(300 * 0.08 / (exact.gamma**2).sum()))


def test_predict_batches_without_changing_anything(student: Network) -> None:
    features = np.random.default_rng(4).uniform(0.6, 1.4, (2500, 2))
    got = predict(student, features)
    value, delta, gamma = value_gradient_hessian(student, torch.from_numpy(features))
    np.testing.assert_allclose(got.value, value.numpy(), rtol=1e-13)
    np.testing.assert_allclose(got.delta, delta.numpy(), rtol=1e-13)
    np.testing.assert_allclose(got.gamma, gamma.numpy(), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("known", ["spots", "nothing"])
def test_what_the_reference_does_not_know_has_no_scores(call: PricingProblem, known: Known) -> None:
    exact = reference(call, np.random.default_rng(10).uniform(0.6, 1.4, (40, 2)))
    right, scores = (accuracy(exact, each, call.box) for each in (exact, replace(exact, judges=known != "nothing")))
    assert {**scores.outputs, "gamma": None} == {**right.outputs, "gamma": None}
    assert scores["gamma"] == (right["gamma"] if known == "spots" else UNKNOWN_GAMMA)


def test_named_greeks_are_scored_by_their_own_columns() -> None:
    spot, maturity = (Feature(name=name, lower=(0.5,), upper=(1.5,)) for name in ("spot", "maturity"))
    generator = np.random.default_rng(11)
    exact = Prediction(
        value=generator.standard_normal(50),
        delta=generator.standard_normal((50, 2)),
        gamma=generator.standard_normal((50, 2, 2)),
    )
    wrong = replace(exact, delta=exact.delta + np.array([0.0, 0.5]))
    scores = accuracy(wrong, exact, Box(features=(spot, maturity)))
    assert list(scores.outputs) == ["value", "delta", "gamma", "theta"]
    assert scores["delta"].max_error == 0.0
    assert scores["theta"].rmse == pytest.approx(0.5)
