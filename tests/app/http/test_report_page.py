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


def test_other_second_derivatives_have_a_table() -> None:
    pair = {"pair": "strike, rate", "r2": None, "perfect_r2": 0.5, "rmse": 1.0, "max_error": 1.0}
    page = report_page("basket", 1, read_report(PLAIN | {"accuracy": PLAIN["accuracy"] | {"second_order": [pair]}}))
    assert "<h2>Other second derivatives</h2>" in page
    assert "<td>strike, rate</td>" in page
