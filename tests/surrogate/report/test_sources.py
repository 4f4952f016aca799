"""What went into a surrogate is written in full, and leaves out what there is not."""

from __future__ import annotations

import msgspec
import pytest

from surrogate.report.record import Record, known
from surrogate.report.sources import ExerciseBounds, ImportedLabels, LabelNoise, RidgeFacts, RidgeScore, SimulatedLabels

IMPORTED = ImportedLabels(
    dataset="abc",
    rows=10,
    copies=0,
    least=(0.5,),
    largest=(1.5,),
    learnt_from=8,
    learnt_from_in_box=8,
    held_out=2,
    simulated_paths=0,
    noise={"value": LabelNoise(square=0.1, error=0.01)},
)
SIMULATED = SimulatedLabels(
    simulated_paths=64,
    payoff_evaluations=128,
    standard_error={},
    estimator={"kind": "pathwise"},
    bias={"unstated": ["exercise rule"]},
)
POINT = ExerciseBounds(features=(1.0,), low=0.1, low_error=0.01, exercise_probability=(0.5,))


@pytest.mark.parametrize("facts", [IMPORTED, SIMULATED, POINT, RidgeFacts(ridge=0.1)])
def test_facts_come_back_from_plain_data(facts: Record) -> None:
    assert msgspec.convert(msgspec.to_builtins(facts), type(facts)) == facts


def test_what_there_is_not_is_left_out_and_zero_is_not() -> None:
    assert set(msgspec.to_builtins(POINT)) == {"features", "low", "low_error", "exercise_probability"}
    assert "table" not in msgspec.to_builtins(SIMULATED)
    assert msgspec.to_builtins(IMPORTED)["copies"] == 0
    assert set(msgspec.to_builtins(RidgeFacts(ridge=0.0))) == {"ridge"}
    tried = RidgeFacts(ridge=0.1, tried=(RidgeScore(ridge=0.1, loss=1.0, excess=0.0),))
    assert msgspec.to_builtins(tried)["tried"][0] == {"ridge": 0.1, "loss": 1.0, "excess": 0.0}


def test_labels_of_an_older_file_do_not_say_how_many_were_copies() -> None:
    plain = msgspec.to_builtins(IMPORTED)
    del plain["copies"], plain["learnt_from_in_box"]
    older = msgspec.convert(plain, ImportedLabels)
    assert known(older.copies) is None
    assert msgspec.to_builtins(older) == plain
