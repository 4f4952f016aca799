from __future__ import annotations

import pytest

from surrogate.errors import CorruptArtifact
from surrogate.report.curves import (
    HeldOutLabels,
    LossPoint,
    Training,
    TrainingCurves,
    curves_of,
    plain_curves,
    read_curves,
)


def point(start: int, iteration: int, loss: float | None, held_out: float | None = None) -> LossPoint:
    return LossPoint(
        optimiser="levenberg_marquardt",
        place=0,
        start=start,
        iteration=iteration,
        loss=loss,
        terms={"value": loss, "delta": 2.0},
        held_out=None if held_out is None else {"value": held_out},
    )


def test_points_of_a_start_are_one_curve_wherever_they_come() -> None:
    first, second = curves_of([point(0, 0, 3.0), point(1, 0, 5.0), point(0, 1, None)])
    assert (first.start, first.iteration, first.loss) == (0, (0, 1), (3.0, None))
    assert first.terms == {"value": (3.0, None), "delta": (2.0, 2.0)}
    assert (second.start, second.iteration, second.held_out) == (1, (0,), None)


@pytest.mark.parametrize("held_out", [None, HeldOutLabels(source="simulated", samples=32, simulated_paths=64)])
def test_curves_survive_json(held_out: HeldOutLabels | None) -> None:
    training = Training(
        step="train", shares={"value": 1.0}, measured=4, held_out=2, curves=curves_of([point(0, 0, 1.0, 2.0)])
    )
    curves = TrainingCurves(trainings=(training,), held_out=held_out)
    assert read_curves(plain_curves(curves)) == curves
    assert ("held_out" in plain_curves(curves)) == (held_out is not None)


@pytest.mark.parametrize("data", [{}, {"trainings": [{}]}, {"trainings": 3}])
def test_what_is_no_record_is_refused(data: dict[str, object]) -> None:
    with pytest.raises(CorruptArtifact, match="this is no record of a training"):
        read_curves(data)
