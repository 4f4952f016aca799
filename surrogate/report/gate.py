"""Whether a report meets what is required of a surrogate before it is published. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from msgspec import UNSET

from surrogate.report.record import Record
from surrogate.report.report import AnyReport
from surrogate.report.scores import Accuracy, OutputScore, SampleScores
from surrogate.requirement import Requirement

# Of the variance of gamma over the Box: a bucket with less of it, a wing, is held to errors of this share.
QUIET = 1e-4
# What helps, by output and for too few points.
REMEDIES = {
    "value": "more labels.samples or a larger network",
    "delta": "more labels.samples or a larger network",
    "gamma": "more samples and paths of labels with order = 2, or a larger network",
    "bucket": "more paths, samples that go there, a larger network, or a Box without that place",
    "points": "more evaluation.samples",
    "seconds": "more evaluation.seconds, for their budget was over before the points were",
}
# What helps where an error is for a good part the same everywhere, which no network and no number of samples mends.
OFFSET = "more labels.paths, and more process.steps where it has time steps, for its error is a constant offset"


class Gate(Record, frozen=True, kw_only=True):
    """What was required and what was missed of it.

    Args:
        required: least R2 by output and of the worst bucket of gamma, and least number of points.
        missed: a sentence each, the worst first; empty where all is met.
        unjudged: of what is required, what no reference knows.
    """

    required: dict[str, float]
    missed: tuple[str, ...]
    unjudged: tuple[str, ...] = ()

    @property
    def met(self) -> bool:
        """Whether nothing was missed."""
        return not self.missed


class Miss(NamedTuple):
    """One shortfall: how many times the error is larger than allowed, and its sentence."""

    factor: float
    sentence: str


def judge(report: AnyReport, requirement: Requirement) -> Gate:
    """Hold a report to a requirement."""
    ended = report.evaluation.seconds is not UNSET and report.evaluation.fewer
    points = REMEDIES["seconds" if ended else "points"]
    misses = sorted(shortfalls(report.accuracy, requirement, points), reverse=True)
    outputs = report.accuracy.outputs
    return Gate(
        required=dict(requirement._asdict()),
        missed=tuple(miss.sentence for miss in misses),
        unjudged=tuple(name for name in ("value", "delta", "gamma") if name in outputs and outputs[name].rmse is None),
    )


def shortfalls(accuracy: Accuracy, requirement: Requirement, points: str) -> Iterator[Miss]:
    """What falls short, in no order; ``points`` is what helps against too few of them."""
    if accuracy.samples < requirement.points:
        yield Miss(
            requirement.points / accuracy.samples,
            f"{accuracy.samples} points say so, and {requirement.points} are required; try {points}",
        )
    for name in ("value", "delta", "gamma"):
        least = getattr(requirement, name)
        score = accuracy.outputs.get(name)
        if score is not None and score.r2 is not None and not score.r2 >= least:
            yield missed(f"{name} R2", score.r2, least, REMEDIES[name] if score.offset is UNSET else OFFSET)
    whole = accuracy.outputs.get("gamma")
    for bucket in accuracy.parts():
        r2 = None if whole is None else bucket_r2(whole, bucket)
        if r2 is not None and not r2 >= requirement.worst_bucket:
            place = f"gamma R2 where {bucket.bucket} ({bucket.samples} points)"
            yield missed(place, r2, requirement.worst_bucket, REMEDIES["bucket"])


def missed(what: str, r2: float, least: float, remedy: str) -> Miss:
    """The sentence of an R2 that is too low; NaN is as low as can be."""
    factor = (1.0 - r2) / max(1.0 - least, 1e-12) if r2 == r2 else float("inf")
    return Miss(factor, f"{what} is {r2:.6g}, below {least:g}; try {remedy}")


def bucket_r2(whole: OutputScore, bucket: SampleScores) -> float | None:
    """R2 of gamma in a bucket against its own variance, but no less than `QUIET` of the Box's.

    1 - e^2 / max(v, QUIET V), with e the root mean square error, v the variance in the bucket and V that of the Box.
    """
    score = bucket.outputs.get("gamma")
    if score is None or score.r2 is None or score.rmse is None or whole.r2 is None or whole.rmse is None:
        return None
    if score.r2 == 1.0 or score.rmse == 0.0:
        return 1.0
    here, everywhere = variance(score.rmse, score.r2), variance(whole.rmse, whole.r2)
    return 1.0 - score.rmse**2 / max(here, QUIET * everywhere)


def variance(rmse: float, r2: float) -> float:
    """What R2 compares the mean square error with."""
    return rmse**2 / (1.0 - r2) if r2 < 1.0 else 0.0
