from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from msgspec.structs import replace as change

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.references import reference as references
from pricing.references.methods import RELATIVE_ERRORS, Known
from pricing.references.reference import Reference
from pricing.specs.problem import PricingProblem
from surrogate.evaluation.evaluate import INDEPENDENT, UNJUDGED, evaluate, reference, reference_quality
from surrogate.evaluation.exact import as_prediction
from surrogate.functions.network import Network, initialise
from surrogate.report.record import known as stated
from surrogate.report.scores import FEWEST_POINTS, Accuracy, Bucket, OutputScore, PairScore, ReferenceQuality
from surrogate.spec import USUAL_SAMPLES, EvaluationSpec


def test_report_covers_every_sample_once_and_prints_the_noise_floor(student: Network, call: PricingProblem) -> None:
    report = evaluate(student, call, EvaluationSpec(samples=256), seed=5, label_error={"value": 1e-4})
    assert sum(bucket.samples for bucket in report.accuracy.buckets) == 256
    assert report.noise_floor == {"value": 1e-4}
    assert report.reference.relative_error == RELATIVE_ERRORS["closed form"]
    assert report == evaluate(student, call, EvaluationSpec(samples=256), seed=5, label_error={"value": 1e-4})


def test_every_output_of_every_bucket_has_its_errors(call: PricingProblem, student: Network) -> None:
    """With volatilities beside the spots: first derivatives by name, second by pair, in the Box and its parts."""
    volatility = Feature(name="volatility", lower=(0.1, 0.1), upper=(0.4, 0.4))
    problem = change(call, features=(*call.features, volatility))
    wide = initialise((4, 4, 1), "softplus", generator=torch.Generator().manual_seed(3))
    report = evaluate(wide, problem, EvaluationSpec(samples=256), seed=5)
    pairs = {"spot, volatility", "volatility, volatility"}
    parts: tuple[Accuracy | Bucket, ...] = (report.accuracy, *report.accuracy.parts())
    assert {part.samples for part in parts} >= {256}
    for part in parts:
        assert {"value", "delta", "gamma", "vega"} <= set(part.outputs)
        second = stated(part.second_order)
        assert second is not None
        assert {pair.pair for pair in second} == pairs
        scores: list[OutputScore | PairScore] = [*part.outputs.values(), *second]
        for score in scores:
            if part.samples >= FEWEST_POINTS:
                assert score.unexplained == pytest.approx(1.0 - (score.r2 or 0.0))
                assert list(stated(score.quantiles) or {}) == ["0.5", "0.9", "0.99"]
                sure = stated(score.bounds)
                assert sure
                assert sure[-1].error >= (score.max_error or 0.0)
    assert report.evaluation.points == INDEPENDENT
    again = evaluate(wide, problem, EvaluationSpec(samples=64), seed=5)
    assert again.evaluation.asked == again.accuracy.samples == 64


def test_without_a_number_of_samples_the_report_says_why_so_many(student: Network, call: PricingProblem) -> None:
    facts = evaluate(student, call, EvaluationSpec(), seed=5).evaluation
    assert (facts.samples, facts.asked) == (USUAL_SAMPLES, None)
    assert facts.reason == "the reference takes no time to speak of"


def test_a_simulated_reference_says_what_the_truth_would_score(call: PricingProblem) -> None:
    """Errors of a tenth of the standard deviation leave R2 of 0.99; those by other features than spots do not count."""
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
    quality = reference_quality(found, call.box)
    perfect = stated(quality.perfect_r2)
    assert perfect is not None
    assert quality.value_error == pytest.approx(0.1)
    assert perfect["value"] == pytest.approx(0.99, abs=2e-3)
    assert perfect["delta"] == pytest.approx(0.96, abs=5e-3)
    assert quality.relative_error == pytest.approx(0.2, rel=0.1)
    assert perfect["gamma"] == pytest.approx(1.0 - 1e-4, abs=1e-5)
    sure = replace(found, standard_error=None, gradient_error=None)
    quality = reference_quality(sure, call.box)
    perfect = stated(quality.perfect_r2)
    assert perfect is not None
    assert (quality.relative_error, quality.errors) == (0.01, {})
    assert all(perfect[output] == pytest.approx(1.0 - 1e-4, abs=1e-5) for output in ("value", "delta", "gamma"))
    exact = reference_quality(replace(sure, relative_error=1e-9), call.box)
    assert exact == ReferenceQuality(kind="replicates", relative_error=1e-9, perfect_r2={})
    blind = reference_quality(replace(sure, known="nothing"), call.box)
    assert (stated(blind.perfect_r2) or {}).keys() == {"value", "delta"}


@pytest.mark.parametrize("known", ["spots", "nothing"])
def test_what_the_reference_does_not_know_is_named(call: PricingProblem, known: Known) -> None:
    exact = references.reference(call, np.random.default_rng(10).uniform(0.6, 1.4, (40, 2)))
    assert reference_quality(replace(exact, known=known), call.box).unjudged == UNJUDGED[known]
    assert reference_quality(exact, call.box).unjudged is None
    assert as_prediction(replace(exact, known=known)).judges is (known == "spots")


def test_no_gammas_are_given_out_as_right_that_the_reference_does_not_know(
    monkeypatch: pytest.MonkeyPatch, call: PricingProblem
) -> None:
    features = np.ones((1, 2))
    found = references.reference(call, features)
    monkeypatch.setattr(references, "reference", lambda *_: replace(found, known="nothing"))
    with pytest.raises(InvalidSpec, match="no reference knows the gammas of a call under Bachelier"):
        reference(call, features)
