from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from msgspec import UNSET

from app.commands.evaluate import chosen
from surrogate.report.report import read_report
from surrogate.spec import EvaluationSpec

Run = Callable[..., Any]


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_evaluate_measures_on_points_of_its_own_and_leaves_the_version_alone(
    run: Run, built: Any, tmp_path: Path
) -> None:
    before, out = contents(Path(built["folder"])), tmp_path / "more.json"
    first = json.loads(run("evaluate", "tiny", "--samples", 128, "--seed", 1, "--json", "--out", out).out)
    second = json.loads(run("evaluate", "tiny", "--samples", 128, "--seed", 2, "--json").out)
    assert first["accuracy"]["samples"] == first["evaluation"]["asked"] == 128
    assert first["accuracy"]["value"] != second["accuracy"]["value"]
    assert read_report(json.loads(out.read_bytes())) == read_report(first)
    assert contents(Path(built["folder"])) == before
    again = run("evaluate", "tiny", "--out", out)
    assert (again.code, f"--out: {out} exists" in again.err) == (2, True)


def test_a_budget_that_is_over_is_warned_of(run: Run, built: Any) -> None:
    """A second is enough for some of a million points of a formula, and not for all."""
    text = run("evaluate", "tiny", "--samples", 1 << 20, "--seconds", 1, "--workers", 1).out
    assert "of the 1048576 points asked for, as the budget of 1 s was over" in text
    assert "shape statement" in text


def test_options_stand_above_the_specification() -> None:
    spec = EvaluationSpec(samples=64, seconds=5.0, tolerance=1e-3)
    assert chosen(spec, None, None) == spec
    assert chosen(spec, 128, None) == EvaluationSpec(samples=128, tolerance=1e-3)
    assert chosen(spec, None, 9.0) == EvaluationSpec(seconds=9.0, tolerance=1e-3)
    assert chosen(spec, 128, 9.0) == EvaluationSpec(samples=128, seconds=9.0, tolerance=1e-3)
    assert chosen(EvaluationSpec(), None, 9.0).samples is UNSET
