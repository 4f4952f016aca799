from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.http.report_page import report_page
from app.pipeline.build import build
from app.pipeline.evaluate import enough
from app.specification.build import BuildSpec
from pricing.references import resimulated
from pricing.specs.base import load
from surrogate.artifact import files
from surrogate.artifact.manifest import plain_manifest
from surrogate.report.report import plain_report
from surrogate.requirement import Accuracy
from surrogate.spec import EvaluationSpec


@pytest.mark.slow
def test_early_exercise_is_reported_between_bounds(tiny: dict[str, Any], tmp_path: Path) -> None:
    """The report's points, a quarter, a half and three quarters of the way, are those of Andersen & Broadie's table."""
    tiny["problem"] |= {
        "maturity": 3.0,
        "process": {
            "kind": "black_scholes",
            "volatilities": [0.2, 0.2],
            "correlation": [[1.0, 0.0], [0.0, 1.0]],
            "rate": 0.05,
            "dividend_yields": [0.1, 0.1],
        },
        "payoff": {
            "kind": "bermudan",
            "option": {"kind": "best_of", "initial": [1.0, 1.0], "strike": 100.0},
            "dates": [(k + 1) / 9 for k in range(9)],
        },
        "features": [{"name": "spot", "lower": [80.0, 80.0], "upper": [120.0, 120.0]}],
    }
    made = build(load(BuildSpec, tiny), tmp_path)
    points = plain_report(made.report)["bounds"]
    assert plain_report(files.read(tmp_path / "artifact").report)["bounds"] == points
    table = Path(__file__).parents[2] / "reference" / "andersen_broadie.csv"
    rows = [row for row in csv.DictReader(table.read_text().splitlines()) if row["assets"] == "2"]
    for point, row in zip(points, rows, strict=True):
        assert [*point["features"]] == [float(row["spot"])] * 2
        assert point["low"] <= float(row["high"]) + 4.0 * point["low_error"]
        assert point["high"] >= float(row["low"]) - 4.0 * point["high_error"]
        assert 0.0 < point["low_error"] < 0.02 * point["low"]
        assert point["low"] > 0.97 * point["high"]
        assert len(point["exercise_probability"]) == 9
        assert min(point["exercise_probability"]) >= 0.0
    chances = [sum(point["exercise_probability"]) for point in points]
    assert 0.0 < chances[0] < chances[1] < chances[2] < 1.0


def test_a_gamma_that_no_reference_knows_is_unjudged(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resimulated, "MOST_PATHS", resimulated.LEAST_PATHS)
    tiny["problem"] |= {
        "process": {
            "kind": "heston",
            "initial_variances": [0.04],
            "mean_reversions": [2.0],
            "long_variances": [0.05],
            "variance_volatilities": [0.4],
            "spot_variance_correlations": [-0.6],
            "correlation": [[1.0]],
            "steps": 4,
        },
        "payoff": {"kind": "barrier", "strike": 1.0, "barrier": 0.7, "direction": "down", "knock": "out"},
        "features": [{"name": "spot", "lower": [0.7], "upper": [1.3]}],
    }
    tiny["labels"] |= {"order": 1}
    tiny["training"]["loss"] = {"order": 1}
    tiny["evaluation"] = {"samples": 16}
    made = build(load(BuildSpec, tiny), tmp_path)
    accuracy = plain_manifest(made.manifest)["accuracy"]
    assert {part["gamma"]["rmse"] for part in (accuracy, *accuracy["buckets"], *accuracy["triggers"])} == {None}
    assert accuracy["value"]["r2"] is not None
    assert accuracy["delta"]["r2"] is not None
    reason = plain_report(made.report)["reference"]["unjudged"]
    assert reason.startswith("gamma and all other second derivatives, which")
    assert "| gamma | unjudged | - | - |" in made.card
    assert reason in made.card
    page = report_page("tiny", 1, made.report)
    assert f"Unjudged, as no reference knows them: {reason}." in page


def test_what_has_one_date_has_no_bounds(tiny: dict[str, Any], tmp_path: Path) -> None:
    assert "bounds" not in plain_report(build(load(BuildSpec, tiny), tmp_path).report)


def test_where_nothing_is_said_there_are_as_many_points_as_are_required(tiny_build: BuildSpec) -> None:
    build = replace(tiny_build, evaluation=EvaluationSpec(), accuracy="high")
    assert enough(build, build.pricing) == EvaluationSpec()  # a closed form judges more of them
    many = replace(build, accuracy=Accuracy(points=1 << 13))
    assert enough(many, many.pricing) == EvaluationSpec(samples=1 << 13)
    said = replace(many, evaluation=EvaluationSpec(samples=64))
    assert enough(said, said.pricing) == said.evaluation
