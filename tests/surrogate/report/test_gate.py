from __future__ import annotations

from msgspec.structs import replace

from surrogate.report.gate import QUIET, bucket_r2, judge
from surrogate.report.report import EvaluationFacts, Report
from surrogate.report.scores import Accuracy, Bucket, Offset, OutputScore, ReferenceQuality
from surrogate.report.sources import SimulatedLabels
from surrogate.requirement import Requirement

REQUIREMENT = Requirement(value=0.999, delta=0.99, gamma=0.9, worst_bucket=0.8, points=100)


def score(r2: float | None, rmse: float | None = 0.1) -> OutputScore:
    return OutputScore(r2=r2, rmse=rmse, max_error=rmse)


def report(
    *, value: float = 1.0, delta: float = 1.0, gamma: OutputScore, buckets: tuple[Bucket, ...] = (), samples: int = 100
) -> Report[SimulatedLabels]:
    outputs = {"value": score(value), "delta": score(delta), "gamma": gamma}
    return Report(
        accuracy=Accuracy(samples=samples, outputs=outputs, buckets=buckets),
        reference=ReferenceQuality(kind="closed form", relative_error=0.0),
        noise_floor=None,
        shape=(),
        evaluation=EvaluationFacts(samples=samples, points="somewhere"),
    )


def bucket(r2: float | None, rmse: float) -> Bucket:
    return Bucket(bucket="0 <= |d| < 0.5", samples=9, outputs={"gamma": score(r2, rmse)})


def test_what_meets_everything_misses_nothing() -> None:
    gate = judge(report(gamma=score(0.95), buckets=(bucket(0.85, 0.1),)), REQUIREMENT)
    assert gate.met
    assert gate.required == REQUIREMENT._asdict()


def test_the_worst_shortfall_comes_first_and_names_its_place_and_what_helps() -> None:
    gate = judge(report(value=0.9, gamma=score(0.85), buckets=(bucket(0.7, 0.1),)), REQUIREMENT)
    assert not gate.met
    value, *others = gate.missed
    assert "value R2 is 0.9, below 0.999" in value
    assert len(others) == 2
    assert any("0 <= |d| < 0.5 (9 points)" in sentence for sentence in others)
    assert all("try " in sentence for sentence in gate.missed)


def test_no_number_is_worse_than_any_number() -> None:
    gate = judge(report(value=0.0, delta=float("nan"), gamma=score(0.95)), REQUIREMENT)
    assert "delta" in gate.missed[0]


def test_too_few_points_say_nothing() -> None:
    assert "99 points say so, and 100" in judge(report(gamma=score(0.95), samples=99), REQUIREMENT).missed[0]


def test_what_helps_against_too_few_points_is_what_ended_them() -> None:
    few = report(gamma=score(0.95), samples=99)
    timed = replace(few.evaluation, asked=128, seconds=15.0)
    assert "try more evaluation.samples" in judge(few, REQUIREMENT).missed[0]
    assert "try more evaluation.seconds" in judge(replace(few, evaluation=timed), REQUIREMENT).missed[0]


def test_what_no_reference_knows_is_named_and_not_held_against_it() -> None:
    gate = judge(report(gamma=score(None, None)), REQUIREMENT)
    assert gate.met
    assert gate.unjudged == ("gamma",)


def test_a_quiet_bucket_is_held_to_a_share_of_the_whole_box() -> None:
    whole = score(0.99, 0.1)  # variance 1
    assert bucket_r2(whole, bucket(-8.0, 1e-5)) == 1.0 - 1e-10 / QUIET
    loud = bucket_r2(whole, bucket(0.5, 0.5))
    assert loud is not None
    assert abs(loud - 0.5) < 1e-12


def test_a_bucket_without_errors_or_without_r2_misses_nothing() -> None:
    assert bucket_r2(score(0.99), bucket(1.0, 0.0)) == 1.0
    assert bucket_r2(score(0.99), bucket(None, 0.1)) is None
    whole = replace(score(0.99), r2=None)
    assert bucket_r2(whole, bucket(0.5, 0.1)) is None


def test_an_error_that_is_the_same_everywhere_is_the_labels_and_not_the_networks() -> None:
    shifted = OutputScore(r2=0.5, rmse=0.1, max_error=0.1, offset=Offset(mean=0.1, standard_error=1e-3, share=0.9))
    (constant,) = judge(report(gamma=shifted), REQUIREMENT).missed
    (other,) = judge(report(gamma=score(0.5)), REQUIREMENT).missed
    assert "try more labels.paths, and more process.steps" in constant
    assert "larger network" not in constant
    assert "larger network" in other
