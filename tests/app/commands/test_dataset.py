from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from app.cli import app as command_line
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
