from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricing.domain import Feature
from pricing.specs.payoff import Call, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.evaluation import Prediction, accuracy, evaluate, predict, r2, reference, shape_checks
from surrogate.network import Network, initialise, value_gradient_hessian
from surrogate.spec import EvaluationSpec

WEIGHTS, STRIKE = (0.7, 0.3), 1.0


def make_problem(kind: type[Call] | type[Put]) -> PricingProblem:
    return PricingProblem(
        process=Bachelier(
            volatilities=(0.2, 0.3),
            correlation=((1.0, 0.4), (0.4, 1.0)),
            convention="carry",
            rate=0.05,
            dividend_yields=(0.01, 0.0),
        ),
        payoff=kind(weights=WEIGHTS, strike=STRIKE),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.6, 0.6), upper=(1.4, 1.4)),),
    )


@pytest.fixture
def student() -> Network:
    return initialise((2, 4, 1), "softplus", generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("kind", [Call, Put])
def test_the_reference_scores_perfectly_and_obeys_every_statement(kind: type[Call] | type[Put]) -> None:
    problem = make_problem(kind)
    features = np.random.default_rng(1).uniform(0.6, 1.4, (200, 2))
    exact = reference(problem, features)
    scores = accuracy(exact, exact)
    assert all(
        scores[greek]["r2"] == 1.0 and scores[greek]["max_error"] == 0.0 for greek in ("value", "delta", "gamma")
    )
    assert scores["gamma"]["parallel_r2"] == 1.0
    assert scores["gamma"]["frobenius_error"] == 0.0
    statements = shape_checks(exact, exact, problem=problem, features=features, tolerance=1e-12)
    assert len(statements) == 5
    assert all(statement["holds"] for statement in statements)


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
    assert accuracy(exact, exact)["gamma"]["parallel_r2"] is None


def test_r2_is_per_column_then_averaged() -> None:
    """Adding a constant to one column of two halves the score by that column's share alone."""
    generator = np.random.default_rng(2)
    truth = generator.standard_normal((500, 2)) * [1.0, 10.0]
    shifted = truth + np.array([1.0, 0.0])
    expected = 0.5 * (1.0 - 500.0 / ((truth[:, 0] - truth[:, 0].mean()) ** 2).sum()) + 0.5
    assert r2(shifted, truth) == pytest.approx(expected)
    assert r2(np.tile(truth.mean(axis=0), (500, 1)), truth) == pytest.approx(0.0)


def test_gamma_scores_see_what_the_parallel_gamma_cannot() -> None:
    """An error E with 1'E1 = 0 leaves the paper's scalar perfect; the Frobenius score falls."""
    problem = make_problem(Call)
    features = np.random.default_rng(3).uniform(0.6, 1.4, (300, 2))
    exact = reference(problem, features)
    tilted = Prediction(value=exact.value, delta=exact.delta, gamma=exact.gamma + np.array([[0.2, 0.0], [0.0, -0.2]]))
    scores = accuracy(tilted, exact)["gamma"]
    assert scores["parallel_r2"] == pytest.approx(1.0)
    assert scores["r2"] < 0.9
    assert scores["frobenius_error"] == pytest.approx(np.sqrt(300 * 0.08 / (exact.gamma**2).sum()))


def test_predict_batches_without_changing_anything(student: Network) -> None:
    features = np.random.default_rng(4).uniform(0.6, 1.4, (2500, 2))
    got = predict(student, features)
    value, delta, gamma = value_gradient_hessian(student, torch.from_numpy(features))
    np.testing.assert_allclose(got.value, value.numpy(), rtol=1e-13)
    np.testing.assert_allclose(got.delta, delta.numpy(), rtol=1e-13)
    np.testing.assert_allclose(got.gamma, gamma.numpy(), rtol=1e-12, atol=1e-15)


def test_report_covers_every_sample_once_and_prints_the_noise_floor(student: Network) -> None:
    report = evaluate(student, make_problem(Call), EvaluationSpec(samples=256), seed=5, label_error={"value": 1e-4})
    assert sum(bucket["samples"] for bucket in report["accuracy"]["buckets"]) == 256
    assert report["noise_floor"] == {"value": 1e-4}
    assert report["reference"]["relative_error"] <= 1e-12
    assert report == evaluate(
        student, make_problem(Call), EvaluationSpec(samples=256), seed=5, label_error={"value": 1e-4}
    )


def test_shape_checks_find_each_violation(student: Network) -> None:
    problem = make_problem(Call)
    features = np.random.default_rng(6).uniform(0.6, 1.4, (200, 2))

    def broken(network: Network) -> set[str]:
        predicted, exact = predict(network, features), reference(problem, features)
        checks = shape_checks(predicted, exact, problem=problem, features=features, tolerance=1e-9)
        return {check["statement"] for check in checks if not check["holds"]}

    sunk = replace(student, biases=(student.biases[0], student.biases[1] - 100.0))
    assert {"value >= intrinsic", "put-call parity"} <= broken(sunk)
    steep = replace(student, weights=(student.weights[0], student.weights[1] * 100.0))
    flipped = replace(student, weights=(student.weights[0], -student.weights[1] * 100.0))
    for statement in ("delta along the basket >= 0", "delta along the basket <= 1"):
        assert statement in broken(steep) | broken(flipped)
    convex = "gamma along the basket >= 0 (convex)"
    assert convex in broken(flipped) | broken(steep)
