from __future__ import annotations

import getpass
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.commands.models import show_accuracy, show_certificate
from surrogate.artifact.files import MODEL, verify
from surrogate.artifact.manifest import Certificate, ShapeProof
from surrogate.report.report import read_report

Run = Callable[..., Any]


def test_models_are_listed_shown_pulled_and_renamed(run: Run, built: Any, tmp_path: Path) -> None:
    assert json.loads(run("models", "list", "--json").out)[0]["aliases"] == {"champion": 1, "latest": 1}
    assert json.loads(run("models", "show", "tiny@latest", "--json").out)["version"] == 1
    shown = run("models", "show", "tiny").out
    assert "2-3-1 (silu)" in shown
    assert "call under bachelier" in shown
    assert "2 of 0.5 to 1.5 in currency" in shown
    assert "value >= intrinsic" in shown
    assert "Implied volatility (normal, currency / sqrt(year))" in shown
    assert f"user {getpass.getuser()}, command line" in shown
    assert "threads" in shown
    told = json.loads(run("models", "show", "tiny", "--json").out)
    assert (told["submitter"], told["environment"]["threads"] > 0) == (f"user {getpass.getuser()}, command line", True)
    assert run("models", "alias", "tiny", "stable", "1").code == 0
    assert run("models", "pull", "tiny@stable", "--output", tmp_path / "copy").code == 0
    assert verify(tmp_path / "copy")


def test_the_list_of_models_has_the_shape_of_the_routes(run: Run, built: Any) -> None:
    assert json.loads(run("models", "list", "--json").out) == [
        {"name": "tiny", "latest": 1, "versions": [1], "aliases": {"champion": 1, "latest": 1}}
    ]


def test_a_corrupt_version_is_not_pulled(run: Run, built: Any, tmp_path: Path) -> None:
    (Path(built["folder"]) / MODEL).write_bytes(b"other")
    result = run("models", "pull", "tiny", "--output", tmp_path / "new" / "copy")
    assert (result.code, result.out, MODEL in result.err) == (1, "", True)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_table_of_scores_has_every_output_that_has_errors(capsys: pytest.CaptureFixture[str]) -> None:
    score = {"r2": 0.5, "rmse": 1.0, "max_error": 2.0, "unexplained": 4e-10}
    part = {"delta": score, "gamma": dict.fromkeys(score), "samples": 3, "theta": score, "value": score, "vega": score}
    few = {**part, "bucket": "1.5 <= |d|", "value": score | {"r2": None, "rmse": 3.0}}
    report = {
        "accuracy": {**part, "buckets": [few], "triggers": [{**part, "bucket": "|b| < 0.5"}], "second_order": []},
        "noise_floor": {"delta": 7.0},
        "reference": {"kind": "closed form", "relative_error": 1e-12, "unjudged": "gamma, for a reason"},
        "shape": [],
        "evaluation": {"samples": 3, "asked": 8, "seconds": 20.0, "points": "in the Box"},
    }
    show_accuracy(read_report(report))
    lines = capsys.readouterr().out.splitlines()
    assert re.split("  +", lines[0].strip()) == [
        *("where", "points", "output", "R2", "1 - R2", "RMSE", "largest error", "95 % sure of")
    ]
    assert [line.split()[-6:] for line in lines[1:5]] == [
        [name, "0.5000000", "4.0e-10", "1.00e+00", "2.00e+00", "-"] for name in ("value", "delta", "theta", "vega")
    ]
    assert lines[5].split() == ["1.5", "<=", "|d|", "3", "value", "4.0e-10", "3.00e+00", "2.00e+00", "-"]
    assert lines[9].split()[:5] == ["|b|", "<", "0.5", "3", "value"]
    assert lines[13:] == [
        "warning: judged on 3 of the 8 points asked for, as the budget of 20 s was over",
        "noise of the labels (root mean square): 7.0e+00 in delta",
        "reference: closed form, relative error 1e-12",
        "unjudged, as no reference knows them: gamma, for a reason",
    ]


def test_what_is_proven_is_shown_where_anything_is(capsys: pytest.CaptureFixture[str]) -> None:
    proof = ShapeProof(
        statement="value >= intrinsic",
        tolerance=1e-4,
        scale=1.0,
        proven=False,
        share=0.25,
        share_is="estimate",
        smallest_tolerance=None,
        sub_boxes=3,
    )
    show_certificate(Certificate(shape=(proof,), pruning=None, arithmetic="exact"))
    head, row = capsys.readouterr().out.splitlines()
    assert head.split("  ")[0].strip() == "proven"
    assert row.split() == ["value", ">=", "intrinsic", "0.25", "0.0001"]
    show_certificate(None)
    show_certificate(Certificate(shape=None, pruning=None, arithmetic="exact", no_shape="unknown payoff"))
    assert capsys.readouterr().out.splitlines() == [
        "nothing was proven of the shape",
        "nothing was proven of the shape: unknown payoff",
    ]
