"""The report of a surrogate, as a value and as JSON. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from surrogate.errors import CorruptArtifact
from surrogate.report.choices import Choices
from surrogate.report.record import Record, RecordType
from surrogate.report.scores import Accuracy, GammaSize, ImpliedScore, ReferenceQuality, SampleScores, ShapeCheck
from surrogate.report.sources import (
    AxesFacts,
    ExerciseBounds,
    ImportedLabels,
    PruningFacts,
    RidgeFacts,
    SimulatedLabels,
    TaughtLabels,
)

# The fields of an `Accuracy` that hold buckets.
REGIONS = ("buckets", "triggers", "maturities")


class EvaluationFacts(Record, frozen=True, kw_only=True):
    """The samples that a surrogate is judged on.

    Args:
        asked: how many the specification wants, where they are drawn and it says so.
        seconds: that the specification gives the reference.
        reason: why so many, where the specification does not say.
        seed: of the draw.
        points: where they come from.
    """

    samples: int
    asked: int | None = None
    seconds: float | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    seed: int | None = None
    points: str

    @property
    def fewer(self) -> bool:
        """Whether fewer were judged than asked for."""
        return (self.asked or 0) > self.samples


LabelFacts = SimulatedLabels | TaughtLabels | ImportedLabels
Labels = TypeVar("Labels", SimulatedLabels, TaughtLabels, ImportedLabels)


class Report(Record, Generic[Labels], frozen=True, kw_only=True):
    """All that is measured of a surrogate, and what went into it.

    Args:
        noise_floor: root mean square error of the labels, by kind of label or output; None where it is not known.
        shape: empty where the payoff has no such statements.
        gamma_size: where nothing judges gamma.
        implied_volatility: of a call or put on a basket.
        labels: what it was learnt from.
        pruning: None where nothing was pruned.
        axes: None where the surrogate sees all features.
        ridge: where one was chosen.
        bounds: of a Bermudan.
        choices: of a build that chose labels, network and training by itself.
        simulated_paths: that it was learnt from, those of its parents and teachers too, as manifest and card count.
    """

    accuracy: Accuracy
    reference: ReferenceQuality
    noise_floor: dict[str, float] | None
    shape: tuple[ShapeCheck, ...]
    gamma_size: GammaSize | None = None
    implied_volatility: ImpliedScore | None = None
    evaluation: EvaluationFacts
    labels: Labels | UnsetType = UNSET
    pruning: PruningFacts | UnsetType | None = UNSET
    axes: AxesFacts | UnsetType | None = UNSET
    ridge: RidgeFacts | None = None
    bounds: tuple[ExerciseBounds, ...] | None = None
    choices: Choices | None = None
    simulated_paths: int | UnsetType = UNSET


AnyReport = Report[SimulatedLabels] | Report[TaughtLabels] | Report[ImportedLabels]


def plain_report(report: AnyReport) -> dict[str, Any]:
    """The report as plain data for JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(report)
    return plain | {"accuracy": plain_accuracy(report.accuracy)}


def read_report(plain: Mapping[str, Any]) -> AnyReport:
    """A report from plain data.

    Raises:
        CorruptArtifact: it is no report.
    """
    match kind_of(plain.get("labels") or {}):
        case "imported":
            return read(Report[ImportedLabels], plain)
        case "taught":
            return read(Report[TaughtLabels], plain)
        case "simulated":
            return read(Report[SimulatedLabels], plain)


def read_labels(plain: Mapping[str, Any]) -> LabelFacts:
    """The facts of labels from plain data."""
    kinds: dict[str, type[LabelFacts]] = {
        "imported": ImportedLabels,
        "taught": TaughtLabels,
        "simulated": SimulatedLabels,
    }
    return msgspec.convert(plain, kinds[kind_of(plain)])


def kind_of(labels: Mapping[str, Any]) -> Literal["imported", "taught", "simulated"]:
    """Where labels come from: only those of a dataset name one, only those of a model a teacher."""
    if "dataset" in labels:
        return "imported"
    return "taught" if "teacher" in labels else "simulated"


def read(kind: type[RecordType], plain: Mapping[str, Any]) -> RecordType:
    """A record with an ``accuracy`` from plain data.

    Raises:
        CorruptArtifact: it is none.
    """
    try:
        return msgspec.convert({**plain, "accuracy": _nested_accuracy(plain["accuracy"])}, kind)
    except (msgspec.ValidationError, KeyError, TypeError, AttributeError) as error:
        raise CorruptArtifact(f"this is no {kind.__name__.lower()}: {error}") from error


def plain_accuracy(accuracy: Accuracy) -> dict[str, Any]:
    """With the outputs beside their samples."""
    plain = _flat(accuracy)
    return plain | {
        region: [_flat(bucket) for bucket in getattr(accuracy, region)] for region in REGIONS if region in plain
    }


def _flat(scores: SampleScores) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(scores)
    first = {name: plain.pop(name) for name in ("bucket", "samples") if name in plain}
    return {**first, **plain.pop("outputs", {}), **plain}


def _nested_accuracy(plain: Mapping[str, Any]) -> dict[str, Any]:
    regions = {region: [_nested(bucket) for bucket in plain.get(region) or ()] for region in REGIONS if region in plain}
    return _nested(plain) | regions


def _nested(plain: Mapping[str, Any]) -> dict[str, Any]:
    """The scores of outputs, which are those that have a root mean square error, in a mapping of their own."""
    outputs = {name: score for name, score in plain.items() if isinstance(score, Mapping) and "rmse" in score}
    return {name: fact for name, fact in plain.items() if name not in outputs} | {"outputs": outputs}
