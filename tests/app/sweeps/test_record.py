from __future__ import annotations

import pytest
from msgspec import UNSET

from app.sweeps.record import Failed, Measured, Preserved, Scores, Skipped
from pricing.specs.base import dump, load

GOOD = {"r2": 0.99, "rmse": 0.1, "max_error": 0.2}
DONE = {
    "status": "done",
    "sentence": None,
    "sparsity": 0.5,
    "parameters": 9,
    "weights": 6,
    "widths": [2, 2, 1],
    "onnx_nodes": 30,
    "bound": None,
    "accuracy": {"value": GOOD, "delta": GOOD, "gamma": dict.fromkeys(GOOD)},
    "shifted": {"noise 0.01": {"value": GOOD}},
    "seconds": {"pruning": 0.1, "fine_tuning": 0.2},
    "peak_memory_bytes": None,
}


def test_a_record_on_disk_is_a_measured_one() -> None:
    record = load(Measured, DONE)
    assert record.accuracy["value"] == Scores(r2=0.99, rmse=0.1, max_error=0.2)
    assert record.accuracy["gamma"].r2 is None
    assert dump(record) == DONE
    # Nobody measured it then.
    assert record.preserved is UNSET


def test_what_is_preserved_is_kept_by_domain() -> None:
    preserved = {"nominal": {"r2": {"value": 0.9}, "agreement": {"value": 0.5}, "overlap": 0.8}}
    record = load(Measured, DONE | {"preserved": preserved})
    assert record.preserved == {"nominal": Preserved(r2={"value": 0.9}, agreement={"value": 0.5}, overlap=0.8)}
    assert dump(record)["preserved"] == preserved


@pytest.mark.parametrize(("kind", "status"), [(Skipped, "skipped"), (Failed, "failed")])
def test_what_was_not_made_has_a_sentence(kind: type[Skipped | Failed], status: str) -> None:
    assert dump(kind(sentence="too small")) == {"status": status, "sentence": "too small"}
