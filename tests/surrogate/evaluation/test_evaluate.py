from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.references import reference as references
from pricing.references.methods import Known
from pricing.references.reference import Reference
from pricing.specs.payoff import Barrier, Call, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.evaluation.evaluate import (
    LEAST_POINTS,
    UNJUDGED,
    Prediction,
    accuracy,
    as_prediction,
    buckets,
    evaluate,
    predict,
    r2,
    reference,
    reference_quality,
    shape_checks,
)
from surrogate.functions.network import Network, initialise, value_gradient_hessian
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


def test_few_points_have_errors_and_no_r2() -> None:
    problem = make_problem(Call)
    exact = reference(problem, np.random.default_rng(8).uniform(0.6, 1.4, (40, 2)))
    where = np.arange(40.0)
    edges = ((0.0, float(LEAST_POINTS - 1)), (float(LEAST_POINTS - 1), np.inf))
    few, many = buckets(exact, exact, problem.box, "x", where, edges)
    assert (few["samples"], many["samples"]) == (LEAST_POINTS - 1, 41 - LEAST_POINTS)
    assert few["gamma"]["r2"] is few["gamma"]["parallel_r2"] is few["value"]["r2"] is None
    assert few["gamma"]["max_error"] == few["gamma"]["frobenius_error"] == 0.0
    assert many["delta"]["r2"] == 1.0


def test_a_simulated_reference_says_what_the_truth_would_score() -> None:
    """Errors of a tenth of the standard deviation leave R2 of 0.99; those by other features than spots do not count."""
    problem = make_problem(Call)
    generator = np.random.default_rng(9)
    value, gradient = generator.standard_normal(500), generator.standard_normal((500, 2))
    hessian = generator.standard_normal((500, 2, 2))
    found = Reference(
        value=value,
        gradient=gradient,
        hessian=hessian,
        standard_error=np.full(500, 0.1),
        gradient_error=np.full((500, 2), 0.2),
        hessian_error=None,
        kind="replicates",
        relative_error=0.01,
    )
    quality = reference_quality(found, problem.box)
    assert quality["value_error"] == pytest.approx(0.1)
    assert quality["perfect_r2"]["value"] == pytest.approx(0.99, abs=2e-3)
    assert quality["perfect_r2"]["delta"] == pytest.approx(0.96, abs=5e-3)
    assert quality["relative_error"] == pytest.approx(0.2, rel=0.1)
    assert "gamma" not in quality["perfect_r2"]
    sure = replace(found, standard_error=None, gradient_error=None)
    assert reference_quality(sure, problem.box) == {"kind": "replicates", "relative_error": 0.01, "perfect_r2": {}}


@pytest.mark.parametrize("known", ["spots", "nothing"])
def test_what_the_reference_does_not_know_has_no_scores(known: Known) -> None:
    problem = make_problem(Call)
    found = references.reference(problem, np.random.default_rng(10).uniform(0.6, 1.4, (40, 2)))
    exact = as_prediction(found)
    partly = as_prediction(replace(found, known=known))
    right, scores = accuracy(exact, exact, problem.box), accuracy(exact, partly, problem.box)
    assert scores | {"gamma": None} == right | {"gamma": None}
    assert scores["gamma"] == (right["gamma"] if known == "spots" else dict.fromkeys(right["gamma"]))
    (half, _) = buckets(exact, partly, problem.box, "x", np.arange(40.0), ((0.0, 20.0), (20.0, np.inf)))
    assert (half["gamma"]["r2"] is None) == (known == "nothing")
    assert reference_quality(replace(found, known=known), problem.box)["unjudged"] == UNJUDGED[known]


def test_no_gammas_are_given_out_as_right_that_the_reference_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, features = make_problem(Call), np.ones((1, 2))
    found = references.reference(problem, features)
    monkeypatch.setattr(references, "reference", lambda *_: replace(found, known="nothing"))
    with pytest.raises(InvalidSpec, match="no reference knows the gammas of a call under Bachelier"):
        reference(problem, features)


def test_a_barrier_has_buckets_of_the_distance_to_it() -> None:
    problem = PricingProblem(
        process=Bachelier(volatilities=(0.2,), correlation=((1.0,),)),
        payoff=Barrier(strike=1.0, barrier=0.8, direction="down", knock="out"),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.8,), upper=(1.6,)),),
    )
    student = initialise((1, 4, 1), "softplus", generator=torch.Generator().manual_seed(3))
    scores = evaluate(student, problem, EvaluationSpec(samples=256), seed=1)["accuracy"]
    near, shoulder, far = scores["triggers"]
    assert near["bucket"] == "0 <= |b| < 0.5"
    # The Box is four deviations wide and begins at the barrier: an eighth, a quarter and the rest of its points.
    assert [abs(part["samples"] - share) <= 1 for part, share in ((near, 32), (shoulder, 64), (far, 160))] == [True] * 3
