"""`kill -9` of the service leaves no process behind, whatever runs."""

from __future__ import annotations

import os
import signal
import tomllib
from pathlib import Path

import pytest

from benchmarks.cases.service import alive, service, until

EXAMPLE = Path(__file__).parents[2] / "examples" / "bachelier_basket_7.toml"
# Steps end at once, API processes and worker after two seconds.
LONGEST_SECONDS = 15.0


def step_of(family: set[int]) -> list[int]:
    """Processes that run a job's step."""
    return [one for one in family if b"app.jobs.child" in Path(f"/proc/{one}/cmdline").read_bytes()]


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_outlives_a_killed_service(tmp_path: Path, workers: int) -> None:
    with service(tmp_path, "--workers", str(workers), drain_seconds=5.0) as served:
        spec = tomllib.loads(EXAMPLE.read_text())
        status, job = served.ask("POST", "/v1/jobs", {"kind": "train", "spec": spec})
        assert status == 202, job
        until(lambda: step_of(served.family()))
        family = served.family()
        assert len(family) >= workers + 3  # the service, API processes, the worker, its step
        os.kill(served.process.pid, signal.SIGKILL)
        served.process.wait()
        until(lambda: not [one for one in family if alive(one)], LONGEST_SECONDS)
