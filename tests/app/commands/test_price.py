from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.commands.price import header
from app.inference.predictor import GammaForm

Run = Callable[..., Any]


def test_price_agrees_with_the_network(run: Run, built: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("spot[1],spot[0]\n1.1,0.9\n1.2,0.8\n")
    answer = json.loads(run("price", "tiny@1", "--input", rows, "--json").out)
    table = list(csv.reader(run("price", "tiny", "--input", rows).out.splitlines()))
    assert table[0][:3] == ["value", "delta spot[0]", "delta spot[1]"]
    assert np.allclose([float(row[0]) for row in table[1:]], answer["value"], rtol=0.0, atol=0.0)
    rows.write_text("0.9,1.1\n0.8,1.2\n")  # without a header, in the order of the domain
    assert json.loads(run("price", "tiny@1", "--input", rows, "--json").out) == answer
    assert answer["in_domain"] == [True, True]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no rows"),
        ("spot[0],spot[1]\n", "has no rows"),
        ("spot[0],price\n1,1\n", "the header must name spot[0], spot[1]"),
        ("1.0\n", "line 1: need 2 columns"),
        ("1.0,1.0\n1.0,nan\n", "line 2, column 2: need a finite number"),
        ("1.0,1e999\n", "line 1, column 2: need a finite number"),
        ("1.0,high\n", "line 1, column 2: need a finite number, got 'high'"),
        ("1.0,1.0\n1.0,7.0\n", "row 1: spot[1] = 7 is outside its upper bound 1.5"),
    ],
)
def test_bad_rows_are_refused_in_a_sentence(run: Run, built: Any, tmp_path: Path, text: str, reason: str) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text(text)
    result = run("price", "tiny", "--input", rows)
    assert (result.code, result.out) == (2, "")
    assert reason in result.err
    assert len(result.err.splitlines()) == 1


def test_a_file_that_cannot_be_read_is_bad_input(run: Run, built: Any, tmp_path: Path) -> None:
    for source in (tmp_path / "absent.csv", tmp_path):
        result = run("price", "tiny", "--input", source)
        assert (result.code, f"cannot read {source}" in result.err) == (2, True)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeffid,spot[0],spot[1]\nA-1,0.9,1.1\n7,0.8,1.2\n",
        "spot[1];spot[0];ID\n1,1;0,9;A-1\n1,2;0,8;7\n",
        "spot[1]\tid\tspot[0]\n1.1\tA-1\t0.9\n1.2\t7\t0.8\n",
    ],
)
def test_ids_stay_with_their_rows(run: Run, built: Any, tmp_path: Path, text: str) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("0.9,1.1\n0.8,1.2\n")
    plain = list(csv.reader(run("price", "tiny", "--input", rows).out.splitlines()))
    rows.write_text(text, encoding="utf-8")
    table = list(csv.reader(run("price", "tiny", "--input", rows).out.splitlines()))
    assert table == [["id", *plain[0]], ["A-1", *plain[1]], ["7", *plain[2]]]
    assert json.loads(run("price", "tiny", "--input", rows, "--json").out)["id"] == ["A-1", "7"]


def test_gamma_forms(run: Run, built: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("0.9,1.1\n0.8,1.2\n")
    full, diagonal, parallel = (
        list(csv.reader(run("price", "tiny", "--input", rows, "--gamma", form).out.splitlines()))
        for form in ("full", "diagonal", "parallel")
    )
    assert [len(table[0]) for table in (full, diagonal, parallel)] == [8, 6, 5]
    gamma = np.array([row[3:7] for row in full[1:]], dtype=float)
    assert np.allclose(np.array([row[3:5] for row in diagonal[1:]], dtype=float), gamma[:, [0, 3]])
    assert np.allclose([float(row[3]) for row in parallel[1:]], gamma.sum(axis=1))


def test_a_row_outside_may_be_flagged(run: Run, built: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("1.0,1.0\n1.0,1.6\n")
    answer = json.loads(run("price", "tiny", "--input", rows, "--outside", "flag", "--json").out)
    assert answer["in_domain"] == [True, False]


def test_outputs_are_chosen_in_the_order_of_the_model(run: Run, built: Any, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("0.9,1.1\n")
    table = list(csv.reader(run("price", "tiny", "--input", rows, "--outputs", "delta, value").out.splitlines()))
    assert table[0] == ["value", "delta spot[0]", "delta spot[1]", "in_domain"]
    refused = run("price", "tiny", "--input", rows, "--outputs", "value,vega")
    assert (refused.code, "it has spot; build it with volatility among" in refused.err) == (2, True)
    refused = run("price", "tiny", "--input", rows, "--outputs", "value,speed")
    assert (refused.code, "--outputs: choose from value, delta, gamma, " in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("form", "columns"),
    [
        ("full", ["gamma a a", "gamma a b", "gamma b a", "gamma b b"]),
        ("diagonal", ["gamma a", "gamma b"]),
        ("parallel", ["gamma parallel"]),
    ],
)
def test_columns_are_named_by_their_features(form: GammaForm, columns: list[str]) -> None:
    answer = {"gamma": np.zeros((1, 2, 2)), "theta": np.zeros(1), "vega": np.zeros((1, 2))}
    assert header(answer, ("a", "b"), form) == [*columns, "theta", "vega[0]", "vega[1]"]
