from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from app import cli

Run = Callable[..., Any]


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
    modules = "app.commands.line, app.jobs.worker, app.http.routes.jobs, sys"
    code = f"import {modules}; sys.exit(bool({{'torch', 'scipy', 'onnx'}} & {{*sys.modules}}))"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    "command", [("methods",), ("schema",), ("jobs", "list"), ("models", "list"), ("flow", "learn")]
)
def test_every_command_refuses_a_misspelt_setting(
    run: Run, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOBOLITE_REGSITRY", "/srv")
    result = run(*command)
    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: the environment has SOBOLITE_REGSITRY, which is no setting; did you mean SOBOLITE_REGISTRY?\n"
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("JOB_DAYS", "inf", "SOBOLITE_JOB_DAYS: Input should be a finite number, got 'inf'"),
        ("JOB_THREADS", "5000", "SOBOLITE_JOB_THREADS: Input should be less than or equal to 4096, got '5000'"),
        ("QUEUE_BYTES", "2048", "queue_bytes must hold at least one body_bytes and one response_bytes"),
        (
            "BUNDLED",
            "/nonexistent",
            "SOBOLITE_BUNDLED: bundled must be a folder, and /nonexistent is none; an empty one bundles nothing",
        ),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(f"SOBOLITE_{name}", value)
    monkeypatch.setattr(sys, "argv", ["sobolite", "models", "list"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert (stop.value.code, capsys.readouterr().err) == (2, f"error: {sentence}\n")


def test_what_is_rebuilt_is_a_line_on_stderr(run: Run, built: Any, tmp_path: Path) -> None:
    for file in (tmp_path / "registry").glob("registry.sqlite*"):
        file.unlink()
    result = run("models", "list", "--json")
    assert json.loads(result.out)
    assert result.err.splitlines() == [
        "warning: state changed: who recovery, what version tiny@1, from a folder without a row, to published",
        "warning: state changed: who recovery, what alias champion of tiny, from None, to 1",
    ]
    assert run("models", "list").err == ""
