"""A step that is watched: real processes, real memory, real time."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.jobs.watch import Clock, Limits, Watch, killed_for_memory, resident
from app.pipeline.facts import SpentSeconds
from app.pipeline.folder import JobFolder

pytestmark = pytest.mark.anyio
PATIENCE_SECONDS = 30.0
MEBIBYTE = 1 << 20
# Holds so many MiB, says so, and waits.
HOLD = "import sys, time; held = bytearray({0} << 20); print('held', flush=True); time.sleep(600)"
# The same in a child of its own.
HOLD_BELOW = "import subprocess, sys; subprocess.run([sys.executable, '-c', '''{0}'''])"
AMPLE = Limits(seconds=600.0, memory=1 << 40)


@asynccontextmanager
async def started(script: str) -> AsyncIterator[Process]:
    """A process that leads its session and holds its memory already."""
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=PIPE, start_new_session=True)
    assert child.stdout is not None
    assert (await asyncio.wait_for(child.stdout.readline(), PATIENCE_SECONDS)) == b"held\n"
    yield child
    if child.returncode is None:
        child.kill()
        await child.wait()


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    return JobFolder(tmp_path)


@pytest.mark.parametrize("script", [HOLD.format(200), HOLD_BELOW.format(HOLD.format(200))], ids=["own", "child's"])
async def test_a_step_that_holds_too_much_is_killed_and_says_how_much(folder: JobFolder, script: str) -> None:
    limits = Limits(seconds=600.0, memory=100 * MEBIBYTE)
    async with started(script) as child:
        watch = Watch(child.pid, "train", Clock(folder), limits)
        await asyncio.wait_for(watch.run(), PATIENCE_SECONDS)
        code = await asyncio.wait_for(child.wait(), PATIENCE_SECONDS)
    assert code == -signal.SIGKILL
    assert 200 * MEBIBYTE < watch.largest < 400 * MEBIBYTE
    sentence = watch.death(code)
    for told in ("step train", "of memory, the limit is 100 MiB", "SOBOLITE_JOB_MEMORY", str(100 * MEBIBYTE)):
        assert told in sentence


async def test_a_job_that_runs_too_long_is_killed_and_so_is_what_is_resumed(folder: JobFolder) -> None:
    limits = Limits(seconds=1.0, memory=1 << 40)
    for least in (0.5, 0.0):  # the second finds its time spent
        async with started(HOLD.format(1)) as child:
            clock, begun = Clock(folder), time.monotonic()
            watch = Watch(child.pid, "train", clock, limits)
            await asyncio.wait_for(watch.run(), PATIENCE_SECONDS)
            assert await asyncio.wait_for(child.wait(), PATIENCE_SECONDS) == -signal.SIGKILL
            assert time.monotonic() - begun >= least
            clock.save()
        sentence = watch.death(-signal.SIGKILL)
        for told in ("step train", "of the job, the limit is 1 seconds", "SOBOLITE_JOB_SECONDS"):
            assert told in sentence
    assert folder.spent.read().seconds > 1.0


async def test_a_step_within_its_limits_is_left_alone(folder: JobFolder) -> None:
    async with started(HOLD.format(10)) as child:
        watch = Watch(child.pid, "train", Clock(folder), AMPLE)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(watch.run(), 0.6)
        assert (watch.reason, child.returncode) == (None, None)
        assert resident(child.pid) > 10 * MEBIBYTE


async def test_who_is_killed_from_outside_is_told_so(folder: JobFolder) -> None:
    async with started(HOLD.format(10)) as child:
        watch = Watch(child.pid, "train", Clock(folder), AMPLE)
        watching = asyncio.create_task(watch.run())
        await asyncio.sleep(0.1)
        child.kill()
        code = await asyncio.wait_for(child.wait(), PATIENCE_SECONDS)
        watching.cancel()
    assert "step train: its process ended with exit code -9: somebody killed it, or the system" in watch.death(code)
    assert resident(child.pid) == 0
    assert watch.death(3) == "step train: its process ended with exit code 3"


async def test_the_system_counts_whom_it_kills_for_memory(folder: JobFolder) -> None:
    counters = folder.path / "vmstat"
    assert killed_for_memory(counters) == 0  # where it does not say
    counters.write_text("pgfault 7\noom_kill 2\nthp 1\n")
    watch = Watch(1, "label", Clock(folder), AMPLE, counters=counters)
    assert "somebody killed it, or the system did" in watch.death(-signal.SIGKILL)
    counters.write_text("pgfault 9\noom_kill 3\nthp 1\n")
    assert killed_for_memory(counters) == 3
    assert "the system had no memory left and killed it" in watch.death(-signal.SIGKILL)


def test_a_clock_goes_on_where_the_last_one_stopped(folder: JobFolder) -> None:
    folder.spent.write(SpentSeconds(seconds=100.0))
    clock = Clock(folder)
    assert 100.0 <= clock.seconds < 110.0
    clock.save_at_times()
    assert folder.spent.read().seconds == 100.0  # saved only now and then
    clock.save()
    assert folder.spent.read().seconds > 100.0


def test_a_clock_whose_folder_is_gone_goes_on(tmp_path: Path) -> None:
    Clock(JobFolder(tmp_path / "deleted")).save()
    assert not (tmp_path / "deleted").exists()
