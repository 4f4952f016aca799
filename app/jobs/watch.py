"""Who watches a running step: how much memory its processes hold, how long its job has run, and who killed it.

A step's memory is what is resident, its children's too: torch reserves far more addresses than it uses, so that a limit
of the address space would stop small jobs. What is looked at four times a second may overshoot by what a process can
fill meanwhile, half a GiB or so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import structlog

from app.cost.work import SIZES, TIMES, said
from app.pipeline.facts import SpentSeconds
from app.pipeline.folder import JobFolder

LOOK_SECONDS = 0.25
# How much of its time a job may forget if its worker is killed.
SAVE_SECONDS = 5.0
# Where Linux counts the processes that it has killed for lack of memory, in containers too.
COUNTERS = Path("/proc/vmstat")
OOM_KILLS = "oom_kill "

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Of a job: seconds over all of its steps, bytes of any one of them."""

    seconds: float
    memory: int


class Clock:
    """The seconds that a job has run, in this step and in those before it, whatever workers they ran on."""

    def __init__(self, folder: JobFolder) -> None:
        self._folder = folder
        before = folder.spent.read_if_there()
        self._before = 0.0 if before is None else before.seconds
        self._start = self._saved = time.monotonic()

    @property
    def seconds(self) -> float:
        """Until now."""
        return self._before + time.monotonic() - self._start

    def save(self) -> None:
        """Leave it in the job's folder, for the next step."""
        self._saved = time.monotonic()
        try:
            self._folder.spent.write(SpentSeconds(seconds=self.seconds))
        except OSError as error:  # the disk is full, or the job was deleted: the step itself will say so
            log.warning("the time of a job is not kept", folder=str(self._folder.path), reason=str(error))

    def save_at_times(self) -> None:
        """`save`, not more often than the interval."""
        if time.monotonic() - self._saved > SAVE_SECONDS:
            self.save()


class Watch:
    """Looks at a step until it is stopped or done.

    Args:
        child: process id of the step, the leader of its session.
        counters: where the system counts whom it kills.
    """

    def __init__(self, child: int, step: str, clock: Clock, limits: Limits, *, counters: Path = COUNTERS) -> None:
        self._child, self._step, self._clock, self._limits = child, step, clock, limits
        self._counters, self._killed_before = counters, killed_for_memory(counters)
        self.largest = 0
        self.reason: str | None = None

    async def run(self) -> None:
        """Look until a limit is broken, and then kill the step and everything that it has started."""
        while (reason := self._broken()) is None:
            self._clock.save_at_times()
            await asyncio.sleep(LOOK_SECONDS)
        self.reason = reason
        with suppress(ProcessLookupError):  # it ended while it was looked at
            os.killpg(self._child, signal.SIGKILL)

    def _broken(self) -> str | None:
        """Which limit is broken."""
        self.largest = max(self.largest, resident(self._child))
        limits, seconds = self._limits, self._clock.seconds
        if self.largest > limits.memory:
            return (
                f"step {self._step}: stopped at {said(self.largest, SIZES)} of memory, the limit is "
                f"{said(limits.memory, SIZES)} (SOBOLITE_JOB_MEMORY, {limits.memory} bytes); lower what the job asks "
                "for, or raise the setting and resume it"
            )
        if seconds > limits.seconds:
            return (
                f"step {self._step}: stopped after {said(seconds, TIMES)} of the job, the limit is "
                f"{said(limits.seconds, TIMES)} (SOBOLITE_JOB_SECONDS, {limits.seconds:g}); lower what the job asks "
                "for, or raise the setting and resume it"
            )
        return None

    def death(self, code: int) -> str:
        """Why a step is gone that has said neither result nor error."""
        if self.reason is not None:
            return self.reason
        said_of = f"step {self._step}: its process ended with exit code {code}"
        if code != -signal.SIGKILL:
            return said_of
        held = f"it held {said(self.largest, SIZES)} when last looked at"
        if killed_for_memory(self._counters) > self._killed_before:
            return f"{said_of}: the system had no memory left and killed it; {held}. Lower what the job asks for"
        return f"{said_of}: somebody killed it, or the system did for lack of memory; {held}"


def resident(process: int) -> int:
    """Bytes that a process and its descendants hold; 0 of one that is gone."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(process)
        for each in (parent, *parent.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += each.memory_info().rss
    return total


def killed_for_memory(counters: Path = COUNTERS) -> int:
    """Processes that this machine has killed for lack of memory; 0 where it does not say."""
    try:
        lines = counters.read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.removeprefix(OOM_KILLS)) for line in lines if line.startswith(OOM_KILLS)), 0)
