"""How a surrogate was trained: the terms of its loss on the way, as they are published. Torch-free.

A term is the mean squared error of one kind of label in the units of the loss (`surrogate.learning.losses`): value in
units of the labels' variance, each delta and the curvature in units of their own mean square. So 1 is what a network of
zeros leaves, and the loss is the sum of the terms by their shares, which add up to 1; the ridge is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from surrogate.errors import CorruptArtifact
from surrogate.report.record import Record


class LossPoint(Record, frozen=True, kw_only=True):
    """The loss at one moment of the training, None where it is not finite.

    Args:
        optimiser: its kind.
        place: of the optimiser among those of the specification, from 0.
        start: of the optimiser, from 0: the given network, then random ones.
        iteration: epochs of adam, iterations of the others, from 0.
        loss: the terms by their shares, on the samples that are learnt from.
        terms: on the samples that are learnt from, by kind of label.
        held_out: the same on samples that are not learnt from.
    """

    optimiser: str
    place: int
    start: int
    iteration: int
    loss: float | None
    terms: dict[str, float | None]
    held_out: dict[str, float | None] | None = None


class Curve(Record, frozen=True, kw_only=True):
    """The losses of one start of one optimiser, a column a fact of `LossPoint`."""

    optimiser: str
    place: int
    start: int
    iteration: tuple[int, ...]
    loss: tuple[float | None, ...]
    terms: dict[str, tuple[float | None, ...]]
    held_out: dict[str, tuple[float | None, ...]] | None = None


class Training(Record, frozen=True, kw_only=True):
    """One training from a network to the next.

    Args:
        step: of the job: "train", or "prune" for a fine-tuning.
        shares: of the terms in the loss.
        measured: samples that are learnt from on which the terms are measured, always the same.
        held_out: samples that are not learnt from.
    """

    step: Literal["train", "prune"]
    shares: dict[str, float]
    measured: int
    held_out: int
    curves: tuple[Curve, ...]


class HeldOutLabels(Record, frozen=True, kw_only=True):
    """What the held-out terms are measured on.

    Args:
        source: rows of the dataset; labels simulated as those that are learnt from, by draws of their own; or answers
            of the model that gave those.
        simulated_paths: for them alone, and in no count of what a surrogate was learnt from.
    """

    source: Literal["dataset", "simulated", "model"]
    samples: int
    simulated_paths: int = 0


class TrainingCurves(Record, frozen=True, kw_only=True):
    """All trainings of a job, in order: after a prune job only its own."""

    trainings: tuple[Training, ...]
    held_out: HeldOutLabels | None = None


def curves_of(points: list[LossPoint]) -> tuple[Curve, ...]:
    """The points of a training as a curve for each start of each optimiser."""
    runs: dict[tuple[int, int], list[LossPoint]] = {}
    for point in points:
        runs.setdefault((point.place, point.start), []).append(point)
    return tuple(column_wise(runs[run]) for run in sorted(runs))


def column_wise(points: list[LossPoint]) -> Curve:
    """Points of one start as a curve."""
    first = points[0]
    held_out = [point.held_out for point in points if point.held_out is not None]
    return Curve(
        optimiser=first.optimiser,
        place=first.place,
        start=first.start,
        iteration=tuple(point.iteration for point in points),
        loss=tuple(point.loss for point in points),
        terms=_columns([point.terms for point in points]),
        held_out=_columns(held_out) if held_out else None,
    )


def _columns(rows: list[dict[str, float | None]]) -> dict[str, tuple[float | None, ...]]:
    return {name: tuple(row[name] for row in rows) for name in rows[0]}


def plain_curves(curves: TrainingCurves) -> dict[str, Any]:
    """Curves as plain data."""
    plain: dict[str, Any] = msgspec.to_builtins(curves)
    return plain


def read_curves(data: Mapping[str, Any]) -> TrainingCurves:
    """Curves from plain data.

    Raises:
        CorruptArtifact: these are none.
    """
    try:
        return msgspec.convert(data, TrainingCurves)
    except msgspec.ValidationError as error:
        raise CorruptArtifact(f"this is no record of a training: {error}") from error
