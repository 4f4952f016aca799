from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from surrogate.artifact.files import MODEL, verify

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


def test_models_are_listed_shown_pulled_and_renamed(run: Run, built: Any, tmp_path: Path) -> None:
    assert json.loads(run("models", "list", "--json").out)[0]["aliases"] == {"champion": 1, "latest": 1}
    assert json.loads(run("models", "show", "tiny@latest", "--json").out)["version"] == 1
    shown = run("models", "show", "tiny").out
    assert "2-3-1 (silu)" in shown
    assert "value >= intrinsic" in shown
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


@pytest.fixture(params=["file", "garbage", "read-only"])
def broken(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A registry of the commands' that cannot be used."""
    root = tmp_path / "registry"
    if request.param == "file":
        root.touch()
        return root
    root.mkdir()
    if request.param == "garbage":
        for name in ("registry.sqlite", "jobs.sqlite"):
            (root / name).write_text("no database")
    else:
        root.chmod(0o555)
        if os.access(root, os.W_OK):
            pytest.skip("root may write everywhere")
    return root


@pytest.mark.parametrize("command", [("models", "list"), ("jobs", "list"), ("price", "tiny", "--input", "-")])
def test_a_broken_registry_is_one_sentence(run: Run, broken: Path, command: tuple[str, ...]) -> None:
    result = run(*command)
    assert (result.code, result.out) == (1, "")
    (line,) = result.err.splitlines()
    assert line.startswith(f"error: cannot use {broken}")
    assert "must be a writable folder" in line


def test_the_version_is_the_packages(run: Run) -> None:
    assert run("--version").out.strip() == version("sobolite")


@pytest.mark.parametrize(
    "arguments",
    [
        ("build", "absent.toml"),
        ("build",),
        ("price", "tiny", "--input", "rows.csv"),
        ("prune", "tiny", "--method", "magnitude", "--sparsity", "0.5"),
        ("models", "show", "tiny@"),
        ("sell",),
    ],
)
def test_bad_usage_is_code_2(run: Run, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert (result.code, result.out) == (2, "")
    assert result.err


def test_only_commands_that_learn_import_torch() -> None:
    modules = "app.cli, app.jobs.worker, app.http.routes.jobs, sys"
    code = f"import {modules}; sys.exit(bool({{'torch', 'scipy', 'onnx'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0
