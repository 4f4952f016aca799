"""The protocol of a step in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.jobs.child import PARENT_GONE
from app.pipeline.build import build
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.specification.build import BuildSpec
from pricing.specs.base import load

PATIENCE_SECONDS = 60.0


def start(folder: JobFolder, step: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "app.jobs.child", str(folder.path), step]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(folder: JobFolder, step: str) -> tuple[int, list[dict[str, Any]], str]:
    """Exit code, messages and log of a step whose worker waits for it."""
    with start(folder, step) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        messages = [json.loads(line) for line in child.stdout]
        assert child.stdin is not None
        child.stdin.close()
        return child.wait(PATIENCE_SECONDS), messages, child.stderr.read()


@pytest.fixture
def folder(tiny_build: BuildSpec, root: Path, tmp_path: Path) -> JobFolder:
    """A job that has only its order."""
    folder = JobFolder(tmp_path / "job")
    folder.begin(order_of(tiny_build, registry=root, job="a"))
    return folder


def test_a_step_tells_its_progress_and_then_its_result(folder: JobFolder) -> None:
    code, messages, _ = run(folder, "label")
    *progress, result = messages
    assert (code, result) == (0, {"result": None})
    assert all(0.0 <= message["progress"] <= 1.0 for message in progress)
    assert folder.labels.path.exists()


def test_a_training_tells_where_it_stands_and_where_it_ended(folder: JobFolder) -> None:
    assert run(folder, "label")[0] == 0
    code, messages, _ = run(folder, "train")
    *progress, result = messages
    assert (code, result) == (0, {"result": None})
    losses = [message["losses"] for message in progress if "losses" in message]
    (curve,) = folder.training.read().trainings[0].curves
    assert (losses[-1]["optimiser"], losses[-1]["start"]) == ("levenberg_marquardt", 0)
    assert (losses[-1]["iteration"], losses[-1]["loss"]) == (curve.iteration[-1], curve.loss[-1])
    assert set(losses[-1]["held_out"]) == set(losses[-1]["terms"]) == {"value", "delta", "curvature"}


def test_the_last_step_tells_what_it_published(folder: JobFolder, tiny_build: BuildSpec, root: Path) -> None:
    build(tiny_build, folder.path, registry=root)
    folder.begin(order_of(tiny_build, registry=root, job="a"))
    code, messages, _ = run(folder, "publish")
    assert (code, messages[-1]) == (0, {"result": {"model": "tiny", "version": 1}})


def test_what_was_expected_to_fail_says_why_without_a_traceback(folder: JobFolder, tiny_build: BuildSpec) -> None:
    folder.begin(order_of(replace(tiny_build, labels=replace(tiny_build.labels, directions=5))))
    code, messages, log = run(folder, "label")
    assert code == 1
    assert "directions must be at most 2" in messages[-1]["error"]
    assert "Traceback" not in log


def test_what_was_not_expected_is_logged(folder: JobFolder) -> None:
    code, messages, log = run(folder, "sell")
    assert (code, messages) == (1, [{"error": "internal error in step sell: KeyError: 'sell'"}])
    assert "Traceback" in log


def test_a_step_ends_with_its_worker(tiny: dict[str, Any], folder: JobFolder) -> None:
    endless = tiny | {"training": {"optimisers": [{"kind": "adam", "epochs": 1_000_000}]}}
    folder.begin(order_of(load(BuildSpec, endless)))
    assert run(folder, "label")[0] == 0
    with start(folder, "train") as child:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(PATIENCE_SECONDS) == PARENT_GONE
