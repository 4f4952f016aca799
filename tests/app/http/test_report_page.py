from __future__ import annotations

import json

from app.http.report_page import report_page
from app.settings import bundled_models
from surrogate.report.report import read_report

PLAIN = json.loads((bundled_models() / "bachelier-basket-7" / "1" / "report.json").read_bytes())


def test_every_output_of_every_bucket_has_a_row_and_every_section_a_heading() -> None:
    page = report_page("basket", 3, read_report(PLAIN))
    assert "<h1>basket, version 3</h1>" in page
    assert page.count("<td>gamma</td>") == 1 + len(PLAIN["accuracy"]["buckets"])
    assert "0 &lt;= |d| &lt; 0.5" in page
    for heading in ("Labels", "Noise floor", "Reference", "Shape", "Evaluation"):
        assert f"<h2>{heading}</h2>" in page
    assert "Other second derivatives" not in page


def test_what_is_unjudged_is_said_and_has_no_numbers() -> None:
    unknown = dict.fromkeys(("r2", "rmse", "max_error", "frobenius_error", "parallel_r2"))
    accuracy = PLAIN["accuracy"] | {"gamma": unknown, "buckets": []}
    reference = PLAIN["reference"] | {"unjudged": "gamma <for> a reason"}
    page = report_page("basket", 1, read_report(PLAIN | {"accuracy": accuracy, "reference": reference}))
    assert "Unjudged, as no reference knows them: gamma &lt;for&gt; a reason." in page
    assert "parallel gamma 1'H1: R2 &ndash;" in page


def test_errors_have_quantiles_bounds_noise_and_what_is_constant() -> None:
    constant = {"mean": 1e-3, "standard_error": 1e-5, "share": 0.9}
    said = {
        "unexplained": 4e-10,
        "quantiles": {"0.5": 1e-5, "0.9": 2e-5, "0.99": 3e-5},
        "bounds": [{"share": 0.99, "error": 7e-5}, {"share": 0.9993, "error": 1.0}],
        "offset": constant,
    }
    accuracy = PLAIN["accuracy"] | {"value": PLAIN["accuracy"]["value"] | said}
    page = report_page("basket", 1, read_report(PLAIN | {"accuracy": accuracy, "noise_floor": {"value": 2.5e-7}}))
    for cell in ("4.0e-10", "1.0e-05 / 2.0e-05 / 3.0e-05", "99.0 % &lt; 7.0e-05", "2.5e-07"):
        assert f"<td>{cell}</td>" in page
    assert "Value has a constant offset of 1.0e-03 ± 1e-05, 90 % of its mean square error" in page


def test_fewer_points_than_asked_for_are_warned_of() -> None:
    facts = {"samples": 96, "asked": 256, "seconds": 60.0, "points": "in the Box"}
    page = report_page("basket", 1, read_report(PLAIN | {"evaluation": facts}))
    assert "Warning: judged on 96 of the 256 points asked for, as the budget of 60 s was over." in page
    assert "Warning" not in report_page("basket", 1, read_report(PLAIN))


def test_where_no_statement_follows_that_is_said() -> None:
    assert "No statement about the shape follows" in report_page("basket", 1, read_report(PLAIN | {"shape": []}))


def test_other_second_derivatives_have_a_table() -> None:
    pair = {"pair": "strike, rate", "r2": None, "perfect_r2": 0.5, "rmse": 1.0, "max_error": 1.0}
    near = PLAIN["accuracy"]["buckets"][0] | {"second_order": [pair | {"pair": "rate, rate"}]}
    accuracy = PLAIN["accuracy"] | {"second_order": [pair], "buckets": [near]}
    page = report_page("basket", 1, read_report(PLAIN | {"accuracy": accuracy}))
    assert "<h2>Other second derivatives</h2>" in page
    assert "<td>strike, rate</td>" in page
    assert "<td>rate, rate</td>" in page
