from __future__ import annotations

import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from app.commands.line import app as command_line
from app.errors import InvalidRequest
from app.specification import source_files
from pricing.types import Array

Arrays = Callable[..., dict[str, Array]]


def test_the_commands_import_and_build_from_a_file(root: Path, tmp_path: Path, label_arrays: Arrays) -> None:
    file, runner = tmp_path / "labels.npz", CliRunner()
    np.savez(file, **label_arrays())  # type: ignore[arg-type]  # allow_pickle is not among them
    imported = runner.invoke(command_line, ["dataset", "import", str(file), "--registry", str(root), "--json"])
    assert imported.exit_code == 0, imported.output
    identifier = json.loads(imported.stdout)["dataset"]
    listed = runner.invoke(command_line, ["dataset", "list", "--registry", str(root), "--json"])
    assert [facts["dataset"] for facts in json.loads(listed.stdout)] == [identifier]
    assert identifier in runner.invoke(command_line, ["dataset", "show", identifier, "--registry", str(root)]).stdout
    (tmp_path / "spec.toml").write_text(
        'name = "given"\nseed = 1\ndataset = { file = "labels.npz" }\nnetwork = { hidden = [2] }\n'
        'training = { optimisers = [{ kind = "levenberg_marquardt", starts = 1, short = 3, long = 3 }] }\n'
    )
    (empty := tmp_path / "bundled").mkdir()
    environment = {"SOBOLITE_BUNDLED": str(empty)}
    built = runner.invoke(
        command_line, ["build", str(tmp_path / "spec.toml"), "--registry", str(root)], env=environment
    )
    assert built.exit_code == 0, built.output
    assert "published given@1" in built.stdout
    shown = runner.invoke(command_line, ["models", "show", "given", "--registry", str(root)], env=environment)
    assert shown.exit_code == 0, shown.output


def test_an_import_is_shown_as_it_is_later(root: Path, tmp_path: Path, label_arrays: Arrays) -> None:
    file, runner = tmp_path / "labels.npz", CliRunner()
    np.savez(file, **{name: np.repeat(part, 3, axis=0) for name, part in label_arrays(20).items()})  # type: ignore[arg-type]
    imported = runner.invoke(command_line, ["dataset", "import", str(file), "--registry", str(root), "--name", "desk"])
    assert "60 rows at 20 points; 40 are copies of others and tell nothing of noise" in imported.stdout
    identifier = imported.stdout.split()[1].rstrip(":")
    shown = runner.invoke(command_line, ["dataset", "show", identifier, "--registry", str(root)])
    assert shown.stdout == imported.stdout
    listed = runner.invoke(command_line, ["dataset", "list", "--registry", str(root)]).stdout.splitlines()
    assert listed[1].split()[:6] == [identifier, "desk", "60", "x", "(2)", "yes"]


def test_a_dataset_is_deleted(root: Path, stored: str) -> None:
    runner = CliRunner()
    deleted = runner.invoke(command_line, ["dataset", "delete", stored, "--registry", str(root)])
    assert (deleted.exit_code, deleted.stdout) == (0, f"deleted dataset {stored}\n"), deleted.output
    listed = runner.invoke(command_line, ["dataset", "list", "--registry", str(root), "--json"])
    assert json.loads(listed.stdout) == []


def test_names_are_those_of_the_route(root: Path, tmp_path: Path) -> None:
    """Kept from the last import that gave one, printable, and shown as they are."""
    file, runner = tmp_path / "a.csv", CliRunner()
    file.write_text("spot,trade_id,y\n1,7,2\n2,8,5\n")
    for name in ("first", "[/red] :smile:", None):
        given = [] if name is None else ["--name", name]
        done = runner.invoke(command_line, ["dataset", "import", str(file), "--registry", str(root), *given])
        assert done.exit_code == 0, done.output
    assert "features: spot, trade_id\n" in done.stdout
    listed = runner.invoke(command_line, ["dataset", "list", "--registry", str(root)])
    assert "[/red] :smile:" in listed.stdout
    for name in ("a\x1b[2J", "x" * 201):
        refused = runner.invoke(command_line, ["dataset", "import", str(file), "--registry", str(root), "--name", name])
        assert isinstance(refused.exception, InvalidRequest)


def test_a_pipe_is_imported(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runner, stream = CliRunner(), io.BytesIO()
    parquet.write_table(arrow.table({"spot": [1.0, 2.0], "y": [2.0, 5.0]}), stream)
    for path, data in (("-", stream.getvalue()), ("-", b"spot,y\n1,2\n2,5\n")):
        done = runner.invoke(command_line, ["dataset", "import", path, "--registry", str(root), "--json"], input=data)
        assert json.loads(done.stdout)["columns"] == ["spot"]
    listed = runner.invoke(command_line, ["dataset", "list", "--registry", str(root), "--json"])
    assert len(json.loads(listed.stdout)) == 1
    monkeypatch.setattr(source_files, "PATIENCE_SECONDS", 0.05)
    os.mkfifo(tmp_path / "silent")
    refused = runner.invoke(command_line, ["dataset", "import", str(tmp_path / "silent"), "--registry", str(root)])
    assert "no process wrote into this pipe" in str(refused.exception)


def test_a_files_own_words_do_not_reach_the_terminal(run: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("spot\x1b[2J,y\ntwo,1\n")
    done = run("dataset", "import", tmp_path / "a.csv")
    assert (done.code, "spot\\x1b[2J" in done.err, "\x1b" in done.err) == (2, True, False)
