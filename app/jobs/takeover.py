"""Jobs whose rows do not say what has become of them.

An end that cannot be written down waits until it can. A job that nobody runs, though its row says so, goes back into
the queue and on from its last finished step.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import structlog
from dbos import DBOS, error

from app.errors import StorageFull, Unavailable
from app.jobs.database import JobDatabase
from app.jobs.lease import bury
from app.jobs.queue import QUEUE

# What has begun or ended is written down sooner, unless the database takes no writes.
STRANDED_SECONDS = 3.0
# How soon a database that can be written again is noticed.
AGAIN_SECONDS = 1.0

log = structlog.get_logger()


class Running:
    """What this worker runs, and which of its rows it does not: the database took no writes when they ended."""

    def __init__(self) -> None:
        self._runs = Counter[str]()
        self._stranded: dict[str, float] = {}

    def begin(self, job: str) -> None:
        """A job runs from now on."""
        self._runs[job] += 1

    def end(self, job: str) -> None:
        """It runs no longer."""
        self._runs[job] -= 1

    def stranded(self, pending: Iterable[str], now: float) -> list[str]:
        """Those of the jobs that run by their rows and, for some seconds by now, not here."""
        self._stranded = {job: self._stranded.get(job, now) for job in pending if self._runs[job] <= 0}
        return [job for job, since in self._stranded.items() if now - since >= STRANDED_SECONDS]


def reap(workers: Path, me: str, running: Running) -> None:
    """Requeue the running jobs of workers that have died, and remove their locks; then those that this one has lost."""

    def bury_jobs(worker: str) -> None:
        for job in DBOS.list_workflows(status="PENDING", executor_id=worker, load_input=False):
            requeue(job.workflow_id, me, f"worker {worker} has died")

    pending = DBOS.list_workflows(status="PENDING", load_input=False)
    known = {job.executor_id for job in pending if job.executor_id} | {lock.stem for lock in workers.glob("*.lock")}
    for worker in known - {me}:
        bury(workers, worker, bury_jobs)
    mine = [job.workflow_id for job in pending if job.executor_id == me]
    for job in running.stranded(mine, time.monotonic()):
        requeue(job, me, "its end could not be written down")


def requeue(job: str, me: str, reason: str) -> None:
    """Put a job back; without its queue it would run beside the others instead of after them."""
    DBOS.resume_workflow(job, queue_name=QUEUE)
    tell_change(me, job, "running", "queued", reason=reason)


async def until_written(database: JobDatabase, job: str, me: str) -> None:
    """Wait until the end of a job can be written down, so that its row and the log say the same.

    Raises:
        DBOSWorkflowCancelledError: somebody has cancelled it meanwhile, or another worker runs it.
    """
    reason = ""
    while True:
        try:
            if await asyncio.to_thread(database.still_runs, job, me):
                return
        except (Unavailable, StorageFull) as failure:
            if str(failure) != reason:
                reason = str(failure)
                log.warning("the end of a job cannot be written down yet", job=job, reason=reason)
            await asyncio.sleep(AGAIN_SECONDS)
        else:
            raise error.DBOSWorkflowCancelledError(f"job {job} was cancelled")


def tell_change(who: str, job: str, before: str, after: str, **more: Any) -> None:
    """Log that a worker has moved a job from one state to another."""
    log.info("state changed", who=who, what=f"job {job}", **{"from": before, "to": after}, **more)
