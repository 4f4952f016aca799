"""The worker process: takes jobs from the queue and runs each step of their plan in a child process. Torch-free.

A job is a durable workflow: a finished step is recorded and never redone; a step that was interrupted is run again,
which is safe because steps write under a temporary name and publishing is idempotent on the job's id.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
import time
import uuid
from asyncio.subprocess import PIPE, Process
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import structlog
from dbos import DBOS, error

from app.errors import INSTALL_TRAINING, Unavailable
from app.jobs.database import DATABASE, SECONDS, JobDatabase, open_database, worker_engine
from app.jobs.job import StepProgress, job_folder
from app.jobs.lease import lease
from app.jobs.queue import APPLICATION, APPLICATION_VERSION, QUEUE, STREAM, WORKFLOW
from app.jobs.rounds import Rounds
from app.jobs.serializer import JobFailed, JsonSerializer
from app.jobs.takeover import Running, tell_change, until_written
from app.jobs.uncaught import log_uncaught
from app.jobs.watch import Clock, Limits, Watch
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.plan import done, plan
from app.registry.database import DATABASE_ERRORS, available, refused
from app.settings import Settings
from app.specification.jobs import JobKind, load_spec
from app.telemetry import configure_logging, take_lines_of_libraries
from surrogate.report.curves import LossPoint

# How soon a queued job starts.
QUEUE_POLL_SECONDS = 0.2
# How soon a cancelled job's child is stopped: well within a second.
CANCEL_POLL_SECONDS = 0.25
# How soon the jobs of a dead worker are taken over.
REAP_SECONDS = 1.0
# After the parent's death nobody kills a worker that does not end; and a stop waits no longer for a database in use.
ORPHAN_SECONDS = 2.0

Report = Callable[[float, LossPoint | None], Awaitable[None]]
log = structlog.get_logger()


def require_training() -> None:
    """Refuse where jobs could only fail; asks without the second that importing torch takes.

    Raises:
        Unavailable: this installation has no torch.
    """
    if importlib.util.find_spec("torch") is None:
        raise Unavailable(f"jobs need torch: {INSTALL_TRAINING}, or start with --no-worker")


def define_workflow(settings: Settings, database: JobDatabase, running: Running) -> None:
    """Register the one workflow: the steps of a job's plan, one after the other."""
    limits = Limits(seconds=settings.job_seconds, memory=settings.job_memory)

    @DBOS.workflow(name=WORKFLOW)
    async def pipeline(kind: JobKind, spec: dict[str, Any]) -> Any:
        job = current_job()
        folder, given = job_folder(settings.registry, job), load_spec(kind, spec)
        tell_change(DBOS.executor_id, job, "queued", "running")
        running.begin(job)
        try:
            submitter = await asyncio.to_thread(database.submitter, job)
            order = order_of(given, registry=settings.registry, job=job, submitter=submitter)
            JobFolder(folder).begin(order)
            steps, result = plan(given), None
            for step in steps:
                run = partial(run_step, limits=limits)
                result = await DBOS.run_step_async({"name": step, "preemptible": True}, run, folder, step, steps)
            await until_written(database, job, DBOS.executor_id)
        except error.DBOSWorkflowCancelledError as failure:
            tell_change(DBOS.executor_id, job, "running", "cancelled", reason=str(failure))
            raise
        except Exception as failure:
            await until_written(database, job, DBOS.executor_id)
            told = refused(database.path, failure) if isinstance(failure, DATABASE_ERRORS) else failure
            tell_change(DBOS.executor_id, job, "running", "failed", reason=str(told))
            if told is failure:
                raise
            raise JobFailed(str(told)) from failure
        finally:
            running.end(job)
        tell_change(DBOS.executor_id, job, "running", "succeeded", result=result)
        shutil.rmtree(folder, ignore_errors=True)
        return result


def current_job() -> str:
    """Id of the job that this coroutine runs."""
    job = DBOS.workflow_id
    assert job is not None
    return job


async def run_step(folder: Path, step: str, steps: tuple[str, ...], *, limits: Limits) -> Any:
    """Run one step in a child process, telling its progress.

    Raises:
        JobFailed: the step failed or broke a limit; the message is for people.
    """

    async def report(share: float, losses: LossPoint | None) -> None:
        event = StepProgress(step=step, progress=done(steps, step, share), losses=losses)
        # The stream refuses a writer that no longer owns the job, so a worker that woke up too late stops here.
        await DBOS.write_stream_async(STREAM, msgspec.to_builtins(event))
        attributes = {"step": event.step, "progress": event.progress}
        await DBOS.update_workflow_attributes_async(current_job(), attributes, merge=True)

    log.info("step started", job=current_job(), step=step)
    await report(0.0, None)
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", "app.jobs.child", str(folder), step),
        stdin=PIPE,
        stdout=PIPE,
        start_new_session=True,
    )
    clock = Clock(JobFolder(folder))
    watch = Watch(child.pid, step, clock, limits)
    watching = asyncio.create_task(watch.run())
    begun = time.monotonic()
    try:
        result = await follow(child, watch, report)
        seconds = {SECONDS + step: round(time.monotonic() - begun, 3)}
        await DBOS.update_workflow_attributes_async(current_job(), seconds, merge=True)
        return result
    except JobFailed as failure:
        log.warning("step failed", job=current_job(), step=step, reason=str(failure))
        raise
    finally:
        watching.cancel()
        await end(child)
        clock.save()


async def follow(child: Process, watch: Watch, report: Report) -> Any:
    """Relay a child's progress until it says its result, fails or is stopped."""
    assert child.stdout is not None
    while True:
        try:
            line = await asyncio.wait_for(child.stdout.readline(), CANCEL_POLL_SECONDS)
        except TimeoutError:
            await stop_if_cancelled()
            continue
        match json.loads(line or "null"):
            case {"progress": share, **rest}:
                await report(share, msgspec.convert(rest.get("losses"), LossPoint | None))
            case {"result": result}:
                return result
            case {"error": sentence}:
                raise JobFailed(sentence)
            case _:
                raise JobFailed(watch.death(await child.wait()))


async def end(child: Process) -> None:
    """Kill a child and wait until it is gone, though this task may be cancelled once more meanwhile."""
    assert child.stdin is not None
    child.stdin.close()
    if child.returncode is None:
        child.kill()
    gone = asyncio.ensure_future(child.wait())
    while not gone.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(gone)


async def stop_if_cancelled() -> None:
    """Raise unless this worker still runs the job. DBOS itself looks once a second, which is late."""
    job = current_job()
    running = await DBOS.list_workflows_async(
        workflow_ids=[job], status="PENDING", executor_id=DBOS.executor_id, load_input=False, load_output=False
    )
    if not running:
        raise error.DBOSWorkflowCancelledError(f"job {job} was cancelled")


def unexpected(record: logging.LogRecord) -> bool:
    """Whether a message of DBOS says more than that a job has failed or was cancelled or taken over."""
    reason = record.exc_info[1] if record.exc_info else None
    return not isinstance(reason, JobFailed | error.DBOSAwaitedWorkflowCancelledError)


def launch(settings: Settings, me: str, running: Running) -> JobDatabase:
    """Start taking jobs; the database that they are in."""
    url = open_database(settings.registry)
    database = JobDatabase(settings.registry / DATABASE, WORKFLOW)
    define_workflow(settings, database, running)
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": url,
            "system_database_engine": worker_engine(database.path),
            "serializer": JsonSerializer(),
            "application_version": APPLICATION_VERSION,
            "executor_id": me,
            "log_level": "ERROR",
        }
    )
    lines = logging.getLogger("dbos")
    lines.handlers.clear()  # its own writes no JSON
    lines.propagate = True
    lines.addFilter(unexpected)
    DBOS.listen_queues([QUEUE])
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=settings.jobs_at_once, polling_interval_sec=QUEUE_POLL_SECONDS)
    return database


def stop_with_parent(stop: threading.Event) -> None:
    """Set ``stop`` when stdin says so or ends; after its end, that of the parent, this process ends for certain."""
    if os.read(0, 1):
        stop.set()
        os.read(0, 1)
    stop.set()
    end_for_certain()


def end_for_certain() -> None:
    """End this process soon; the jobs in progress are for the next worker, whatever they wait for."""
    time.sleep(ORPHAN_SECONDS)
    os._exit(0)


def run(settings: Settings, *, attached: bool = False) -> None:
    """Work until SIGTERM or SIGINT, or, if ``attached``, until stdin ends because the parent process has died.

    A job in progress is left as it is; the next worker continues it from its last finished step.

    Raises:
        Unavailable: this installation has no torch, or the registry cannot be used.
    """
    require_training()
    configure_logging(settings.log_level)
    take_lines_of_libraries()
    os.environ["OMP_NUM_THREADS"] = str(settings.job_threads)  # for the children
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if attached:
        threading.Thread(target=stop_with_parent, args=(stop,), daemon=True).start()
    me = f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:6]}"
    workers = settings.registry / ".workers"
    # Taken before the launch, so that there is no moment in which this worker looks dead.
    with available(settings.registry), lease(workers, me):
        running = Running()
        rounds = Rounds(settings, launch(settings, me, running), running, me)
        log.info("worker ready", worker=me)
        rounds.go()
        while not stop.wait(REAP_SECONDS):
            rounds.go()
        log.info("worker stops", worker=me)
        threading.Thread(target=end_for_certain, daemon=True).start()
        DBOS.destroy()
    (workers / f"{me}.lock").unlink(missing_ok=True)


if __name__ == "__main__":
    configure_logging("info")
    log_uncaught()
    run(Settings(), attached=True)
