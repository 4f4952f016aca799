"""Runtimes in folders of their own, installed once and kept in ``.cache/runtimes``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "runtimes"
# By name: what pip puts into the folder. The oldest that this Python's wheels go back to; one before and one after
# numpy 2; the last that has no FusedMatMul of doubles.
PACKAGES = {
    "onnxruntime 1.15": ("onnxruntime==1.15.0", "numpy==1.26.4"),
    "onnxruntime 1.20": ("onnxruntime==1.20.1",),
    "onnxruntime 1.25": ("onnxruntime==1.25.0",),
    "onnxslim": ("onnxslim==0.1.98",),
    "onnx2torch": ("onnx2torch==1.5.15",),
}
UNREACHED = ("ConnectionError", "NewConnectionError", "Temporary failure", "Network is unreachable", "ENOTFOUND")


def require(done: subprocess.CompletedProcess[str]) -> None:
    """Skip where nobody could be asked for the package; fail where the answer was no."""
    if done.returncode and any(word in done.stderr for word in UNREACHED):
        pytest.skip("the package index can't be reached, and the runtime isn't in .cache/runtimes")
    assert done.returncode == 0, done.stderr[-2000:]


def python_folder(name: str) -> Path:
    """The folder of a runtime, for PYTHONPATH."""
    folder = CACHE / name.replace(" ", "-")
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            fresh = folder.with_suffix(".fresh")
            shutil.rmtree(fresh, ignore_errors=True)
            command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(fresh)]
            require(subprocess.run([*command, *PACKAGES[name]], capture_output=True, text=True, check=False))
            fresh.rename(folder)
    return folder


def node_folder() -> Path:
    """The folder whose node_modules has onnxruntime-node and onnxruntime-web."""
    if shutil.which("npm") is None:
        pytest.skip("node and npm aren't installed")
    folder = CACHE / "node"
    CACHE.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not (folder / "done").exists():
            folder.mkdir(exist_ok=True)
            for file in ("package.json", "package-lock.json"):
                shutil.copy(HERE / file, folder)
            # The package would fetch a GPU's libraries after it is installed, from elsewhere.
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            require(subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False))
            (folder / "done").touch()
        shutil.copy(HERE / "answer.mjs", folder)
    return folder


def ask(command: list[str], inputs: object, **environment: str) -> dict[str, Any]:
    """What a program answers to the inputs."""
    done = subprocess.run(
        command,
        input=json.dumps(inputs),
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found
