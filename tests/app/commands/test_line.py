from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

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
