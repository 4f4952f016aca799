"""A report goes to JSON and comes back, of this version and of others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.settings import bundled_models
from surrogate.artifact.files import to_json
from surrogate.errors import CorruptArtifact
from surrogate.report.report import plain_report, read_report
from surrogate.report.sources import ImportedLabels, SimulatedLabels

BUNDLED = bundled_models() / "bachelier-basket-7" / "1" / "report.json"
SCORE = {"r2": 0.5, "rmse": 1.0, "max_error": 2.0}
STAGE = {"budget": 9, "unit": "weights", "kept": 9, "parameters": 12, "widths": [2, 3, 1], "bound": None, "loss": 0.1}
PRUNING = {
    "method": "chita",
    "granularity": "weights",
    "sparsity": 0.3,
    "parameters": {"before": 13, "after": 12, "compact": 12},
    "widths": {"before": [2, 3, 1], "after": [2, 3, 1], "compact": [2, 3, 1]},
    "inputs_removed": [],
    "bound": None,
    "stages": [STAGE],
}
MILESTONE = {"network": "final", "parameters": 12, "loss": None, "value_rmse": 0.1, "held_out_loss": 0.2}
IMPORTED = {
    "dataset": "0" * 64,
    "rows": 20,
    "copies": 0,
    "least": [0.5],
    "largest": [1.5],
    "learnt_from": 18,
    "learnt_from_in_box": 18,
    "held_out": 2,
    "simulated_paths": 0,
    "noise": {"value": {"square": 0.1, "error": 0.01}},
}
FACTS: list[dict[str, Any]] = [
    {"labels": IMPORTED, "gamma_size": {"rms": 1.0, "largest": 2.0}},
    {"pruning": PRUNING, "axes": {"count": 1, "lost_gradient": 0.0, "lost_value": 0.0}},
    {"pruning": PRUNING | {"milestones": [MILESTONE], "warning": "trained", "unread": ["ridge"]}},
    {
        "pruning": PRUNING
        | {"milestones": [{"network": "init", "parameters": 9, "loss": 1.0, "top1": 0.1, "top5": 0.5}]}
    },
    {"ridge": {"ridge": 0.1}},
    {"ridge": {"ridge": 0.1, "tried": [{"ridge": 0.1, "loss": 1.0, "excess": 0.0}]}},
    {"bounds": [{"features": [1.0], "low": 0.1, "low_error": 0.01, "exercise_probability": [0.5]}]},
    {"reference": {"kind": "replicates", "relative_error": 0.1, "value_error": 0.1, "perfect_r2": {"value": 0.9}}},
]


def bundled() -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(BUNDLED.read_bytes())
    return plain


def test_the_bundled_report_comes_back_byte_for_byte() -> None:
    report = read_report(bundled())
    assert to_json(plain_report(report)) == BUNDLED.read_bytes()
    assert isinstance(report.labels, SimulatedLabels)


@pytest.mark.parametrize("facts", FACTS)
def test_every_section_comes_back(facts: dict[str, Any]) -> None:
    plain = bundled() | facts
    report = read_report(plain)
    assert json.loads(to_json(plain_report(report))) == plain
    assert isinstance(report.labels, ImportedLabels) == ("labels" in facts)


def test_every_kind_of_bucket_comes_back() -> None:
    plain = bundled()
    bucket = {"bucket": "somewhere", "samples": 3, "value": SCORE, "theta": SCORE}
    pair = {"pair": "strike, spot", "r2": None, "perfect_r2": None, "rmse": 1.0, "max_error": 1.0}
    plain["accuracy"] |= {"triggers": [bucket], "maturities": [bucket], "second_order": [pair], "theta": SCORE}
    report = read_report(plain)
    assert json.loads(to_json(plain_report(report))) == plain
    assert [bucket.bucket for bucket in report.accuracy.parts()][-2:] == ["somewhere"] * 2
    assert list(plain_report(report)["accuracy"]["triggers"][0]) == ["bucket", "samples", "value", "theta"]


@pytest.mark.parametrize("missing", ["axes", "pruning", "labels"])
def test_an_older_report_may_lack_what_came_later(missing: str) -> None:
    plain = bundled()
    del plain[missing], plain["labels" if missing != "labels" else "axes"]
    del plain["evaluation"]["asked"], plain["reference"]["perfect_r2"]
    assert json.loads(to_json(plain_report(read_report(plain)))) == plain


def test_the_first_labels_did_not_name_their_estimator() -> None:
    plain = bundled()
    del plain["labels"]["estimator"]
    assert json.loads(to_json(plain_report(read_report(plain)))) == plain


def test_what_a_newer_report_says_besides_is_ignored() -> None:
    plain = bundled()
    plain["weather"] = plain["labels"]["weather"] = plain["accuracy"]["buckets"][0]["weather"] = "fine"
    assert read_report(plain) == read_report(bundled())


@pytest.mark.parametrize("plain", [{}, {"accuracy": 3}, {"accuracy": {}}, {"accuracy": {"samples": 1}}])
def test_what_is_no_report_is_refused(plain: dict[str, Any]) -> None:
    with pytest.raises(CorruptArtifact, match="this is no report"):
        read_report(plain)
