from __future__ import annotations

import asyncio
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.commands.jobs import follow
from app.errors import UnknownModel
from app.jobs.database import DATABASE
from app.jobs.job import Job, StepProgress, job_folder
from app.jobs.queue import Jobs
from app.pipeline.plan import plan
from app.registry.recovery import submitter_of
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.jobs import load_spec
from surrogate.artifact.files import load_training

pytestmark = pytest.mark.anyio
# Long enough for a busy machine, short enough to notice a hang.
PATIENCE_SECONDS = 60.0
# Trains for minutes: somebody has to stop it.
ENDLESS = {"kind": "adam", "epochs": 1_000_000}


class Worker:
    """A worker process and its log."""

    def __init__(self, settings: Settings, log: Path, **limits: object) -> None:
        self._log = log
        self._errors = log.open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "app.jobs.worker"],
            stdin=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "SOBOLITE_REGISTRY": str(settings.registry)}
            | {f"SOBOLITE_{name.upper()}": str(limit) for name, limit in limits.items()},
        )

    def stop(self, number: signal.Signals = signal.SIGKILL) -> int:
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        assert self.process.stdin is not None
        self.process.stdin.close()
        self._errors.close()
        return code

    def started_steps(self) -> list[str]:
        lines = [json.loads(line) for line in self._log.read_text().splitlines() if line.startswith("{")]
        return [line["step"] for line in lines if line["event"] == "step started"]


@pytest.fixture
def start(job_settings: Settings, tmp_path: Path) -> Iterator[Callable[..., Worker]]:
    """Starts workers; none survives the test."""
    workers: list[Worker] = []

    def start(**limits: object) -> Worker:
        workers.append(Worker(job_settings, tmp_path / f"worker-{len(workers)}.log", **limits))
        return workers[-1]

    yield start
    for worker in workers:
        if worker.process.poll() is None:
            worker.stop()


def children(job: str, settings: Settings, step: str | None = None) -> list[int]:
    """Process ids of the job's running steps."""
    folder = str(job_folder(settings.registry, job)).encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it ended while we looked
            continue
        if folder in arguments and (step is None or step.encode() in arguments):
            found.append(int(entry.name))
    return found


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.005)


async def end_of(jobs: Jobs, job: str) -> Job:
    """The job when it has ended."""
    events = [event async for event in jobs.events(job)]
    assert isinstance(events[-1].data, Job)
    return events[-1].data


def versions(settings: Settings, name: str) -> list[int]:
    registry = Registry(settings.registry)
    try:
        return registry.versions(name)
    except UnknownModel:
        return []
    finally:
        registry.close()


async def test_a_worker_killed_in_every_step_publishes_once_and_redoes_no_finished_step(
    jobs: Jobs,
    start: Callable[[], Worker],
    job_settings: Settings,
    tiny: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = load_spec("train", tiny | {"pruning": {"method": "magnitude", "sparsity": 0.3}})
    job, steps = (await jobs.submit(spec)).id, plan(spec)
    for number, step in enumerate(steps):
        worker = start()
        await until(lambda step=step: children(job, job_settings, step))  # type: ignore[misc]
        worker.stop()
        await until(lambda: not children(job, job_settings))
        assert worker.started_steps() == list(steps[max(number - 1, 0) : number + 1])
        assert (await jobs.get(job)).state == "running"
    worker = start()
    await until(lambda: versions(job_settings, "tiny"))
    worker.stop()  # published, but most likely not yet recorded as such
    start()
    assert ((end := await end_of(jobs, job)).state, end.version) == ("succeeded", 1)
    assert [step.name for step in end.steps] == list(steps)
    assert await follow(jobs, job) == end
    assert "100%" in capsys.readouterr().err
    await until(lambda: len(list((job_settings.registry / ".workers").iterdir())) == 1)  # of the one that lives
    assert versions(job_settings, "tiny") == [1]


async def test_events_tell_how_the_training_goes_and_the_version_who_wanted_it(
    jobs: Jobs, start: Callable[[], Worker], job_settings: Settings, tiny: dict[str, Any]
) -> None:
    job = (await jobs.submit(load_spec("train", tiny), submitter="somebody")).id
    start()
    progress = [event.data async for event in jobs.events(job) if isinstance(event.data, StepProgress)]
    losses = [data.losses for data in progress if data.losses is not None]
    assert {data.step for data in progress if data.losses is not None} == {"train"}
    registry = Registry(job_settings.registry)
    (training,) = load_training(registry.folder("tiny", 1)).trainings
    assert submitter_of(registry.folder("tiny", 1)) == "somebody"
    registry.close()
    assert losses[-1].iteration == training.curves[0].iteration[-1]
    assert losses[-1].loss == training.curves[0].loss[-1]


async def test_cancel_stops_the_step_and_resume_continues_steps_and_events(
    jobs: Jobs, start: Callable[[], Worker], job_settings: Settings, tiny: dict[str, Any]
) -> None:
    job = (await jobs.submit(load_spec("train", tiny | {"training": {"optimisers": [ENDLESS]}}))).id
    worker = start()
    seen = -1
    for expected in (["label", "train"], ["label", "train", "train"]):
        await until(lambda: children(job, job_settings, "train"))
        started = (await jobs.get(job)).started_at
        cancelled = await jobs.cancel(job)
        assert (cancelled.state, cancelled.started_at) == ("cancelled", started)
        assert started is not None
        await until(lambda: not children(job, job_settings))
        *progress, done = [event async for event in jobs.events(job, after=seen)]
        assert [event.id for event in progress] == list(range(seen + 1, seen + 1 + len(progress)))
        seen += len(progress)
        assert (done.name, done.id) == ("done", seen + 1)
        assert [event async for event in jobs.events(job, after=seen)] == [done]
        assert worker.started_steps() == expected
        await jobs.resume(job)
    await until(lambda: children(job, job_settings, "train"))
    assert worker.stop(signal.SIGTERM) == 0
    await until(lambda: not children(job, job_settings))
    assert (await jobs.get(job)).state == "running"  # for the next worker


async def test_a_failed_job_says_why_and_can_be_resumed(
    jobs: Jobs, start: Callable[[], Worker], job_settings: Settings, tiny: dict[str, Any]
) -> None:
    tiny["labels"]["directions"] = 5
    job = (await jobs.submit(load_spec("train", tiny))).id
    worker = start()
    for attempts in (1, 2):
        end = await end_of(jobs, job)
        assert (end.state, end.version, end.steps) == ("failed", None, ())
        assert end.error == "directions must be at most 2 (features) for 'pca', got 5"
        assert worker.started_steps() == ["label"] * attempts
        await jobs.resume(job)
    assert versions(job_settings, "tiny") == []


async def test_a_step_that_is_killed_fails_its_job(
    jobs: Jobs, start: Callable[[], Worker], job_settings: Settings, tiny: dict[str, Any]
) -> None:
    job = (await jobs.submit(load_spec("train", tiny | {"training": {"optimisers": [ENDLESS]}}))).id
    start()
    await until(lambda: children(job, job_settings, "train"))
    os.kill(children(job, job_settings, "train")[0], signal.SIGKILL)
    end = await end_of(jobs, job)
    assert end.state == "failed"
    assert end.error is not None
    assert "step train: its process ended with exit code -9" in end.error


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"job_seconds": 6.0}, ("stopped after", "the limit is 6 seconds (SOBOLITE_JOB_SECONDS, 6)")),
        ({"job_memory": 64 << 20}, ("of memory, the limit is 64 MiB", "SOBOLITE_JOB_MEMORY")),
    ],
    ids=["time", "memory"],
)
async def test_a_step_beyond_a_limit_fails_its_job_and_so_does_what_is_resumed(
    jobs: Jobs,
    start: Callable[..., Worker],
    job_settings: Settings,
    tiny: dict[str, Any],
    limits: dict[str, Any],
    said: tuple[str, ...],
) -> None:
    job = (await jobs.submit(load_spec("train", tiny | {"training": {"optimisers": [ENDLESS]}}))).id
    worker = start(**limits)
    for _ in range(2):
        end = await asyncio.wait_for(end_of(jobs, job), PATIENCE_SECONDS)
        assert end.state == "failed"
        assert end.error is not None
        assert all(part in end.error for part in said), end.error
        await until(lambda: not children(job, job_settings))
        await jobs.resume(job)
    assert worker.process.poll() is None  # the worker itself goes on


async def test_a_worker_deletes_what_is_past_its_age(
    jobs: Jobs, start: Callable[..., Worker], job_settings: Settings, tiny: dict[str, Any]
) -> None:
    job = (await jobs.submit(load_spec("train", tiny))).id
    await jobs.cancel(job)
    start(job_days=1e-9)
    await until(lambda: "swept" in (job_settings.registry.parent / "worker-0.log").read_text())
    assert not await jobs.knows(job)


async def test_a_job_fails_with_the_reason_when_its_database_can_be_written_again(
    jobs: Jobs, start: Callable[..., Worker], job_settings: Settings, tiny: dict[str, Any]
) -> None:
    """The limit of a file's size stands for a disk's; every line of the worker is JSON, that of libraries too."""
    job = (await jobs.submit(load_spec("train", tiny | {"training": {"optimisers": [ENDLESS]}}))).id
    worker = start()
    await until(lambda: children(job, job_settings, "train"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (4096, hard))
    await until(lambda: not children(job, job_settings))
    await asyncio.sleep(3.0)
    assert (await jobs.get(job)).state == "running"
    resource.prlimit(worker.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
    end = await asyncio.wait_for(end_of(jobs, job), PATIENCE_SECONDS)
    assert (end.state, end.step) == ("failed", "train")
    assert end.error is not None
    assert end.error.startswith("cannot ")
    folder = job_folder(job_settings.registry, job)
    assert [path.name for path in folder.iterdir() if path.suffix[1:].isdigit()] == []
    await jobs.resume(job)
    await until(lambda: children(job, job_settings, "train"))
    assert worker.started_steps() == ["label", "train", "train"]
    assert worker.stop(signal.SIGTERM) == 0
    lines = (job_settings.registry.parent / "worker-0.log").read_text().splitlines()
    changes = [line for line in map(json.loads, lines) if line["event"] == "state changed"]
    assert [line["to"] for line in changes] == ["running", "failed", "running"]


async def test_a_job_database_that_is_gone_for_a_while_stops_no_job(
    jobs: Jobs, start: Callable[..., Worker], job_settings: Settings, tiny: dict[str, Any]
) -> None:
    path = job_settings.registry / DATABASE
    await jobs.submit(load_spec("train", tiny), key="first")
    worker = start()
    await until(lambda: children("first", job_settings))
    path.rename(path.with_name("elsewhere"))
    await asyncio.sleep(3.0)
    assert not path.exists()
    path.with_name("elsewhere").rename(path)
    await jobs.submit(load_spec("train", tiny), key="second")
    end = await asyncio.wait_for(end_of(jobs, "first"), 2 * PATIENCE_SECONDS)
    assert end.state in ("succeeded", "failed")
    await until(lambda: children("second", job_settings))
    assert worker.process.poll() is None
