"""Durable jobs as the API and the command line see them: a thin view on the job database. Torch-free.

The worker (`app.jobs.worker`) runs them in its own process; this side only writes and reads rows.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from dbos import DBOSClient, EnqueueOptions, WorkflowStatus

from app.cost.work import Estimate
from app.errors import InvalidRequest, JobConflict, Overloaded, StorageFull, UnknownJob
from app.jobs import reserve
from app.jobs.database import DATABASE, SECONDS, JobDatabase, JobFigures, JobFilter, open_database
from app.jobs.job import ENDED, STATES, Event, Job, JobAttributes, JobPage, State, StepProgress, StepTime, view
from app.jobs.serializer import JsonSerializer
from app.registry.database import available
from app.settings import Settings
from app.specification.jobs import JobKind, JobSpec, kind_of, load_spec, model_name
from pricing.specs.base import dump

APPLICATION = "sobolite"
# Pinned: by default it is a hash of the sources, and every upgrade would strand the jobs of the version before.
APPLICATION_VERSION = "pipeline-1"
WORKFLOW = "pipeline"
QUEUE = "jobs"
STREAM = "progress"
# How soon a reader sees a new event; the child reports at most every quarter of a second.
POLL_SECONDS = 0.2
# Connections of one API process; each open event stream borrows one now and then.
CONNECTIONS = 10
# Most jobs of one page.
LIST_LIMIT = 200
# An Idempotency-Key is the job's id: a folder name and a URL segment.
JOB_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Jobs:
    """Submit, watch and steer jobs. Every method may be called while workers run, die or are absent.

    Raises:
        RegistryUnavailable, StorageFull: from every method, where the database is gone, locked, or has no room.
    """

    def __init__(self, settings: Settings) -> None:
        self._most = settings.queued_jobs
        self._admission = asyncio.Lock()
        self._client = DBOSClient(
            system_database_url=open_database(settings.registry),
            application_name=APPLICATION,
            serializer=JsonSerializer(),
            system_database_pool_size=CONNECTIONS,
        )
        self._database = JobDatabase(settings.registry / DATABASE, WORKFLOW)
        reserve.keep(settings.registry)

    async def submit(
        self,
        spec: JobSpec,
        *,
        key: str | None = None,
        estimate: Estimate | None = None,
        submitter: str | None = None,
    ) -> Job:
        """Queue a job; the same key returns the same job.

        Args:
            estimate: what it will take, for whoever looks at it.
            submitter: who orders it, for the version that it publishes.

        Raises:
            InvalidRequest: a malformed key, or one that names a job with another specification.
            Overloaded: too many jobs wait.
        """
        job = uuid.uuid4().hex if key is None else key
        if not JOB_ID.fullmatch(job):
            raise InvalidRequest(
                f"must be 1 to 128 of A-Z, a-z, 0-9, '.', '_', '-' and start with a letter or digit, got {key!r}",
                path="Idempotency-Key",
            )
        attributes = JobAttributes(
            kind=kind_of(spec),
            model=model_name(spec),
            step=None,
            progress=0.0,
            estimate=estimate,
            submitter=submitter,
        )
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "app_version": APPLICATION_VERSION,
            "workflow_id": job,
            "attributes": msgspec.to_builtins(attributes),
        }
        async with self._admission, self._usable(writing=True):
            if not await self.knows(job):
                await self._require_place()
            await self._client.enqueue_async(options, kind_of(spec), dump(spec))
            status = await self._status(job)
        if status.input is None or load_spec(*status.input["args"]) != spec:
            raise InvalidRequest(
                f"job {job!r} exists with another specification; use a new key", path="Idempotency-Key"
            )
        return view(status)

    async def page(
        self,
        *,
        limit: int = LIST_LIMIT,
        cursor: str | None = None,
        state: State | None = None,
        kind: JobKind | None = None,
        model: str | None = None,
    ) -> JobPage:
        """At most ``limit`` jobs, the newest first, without their steps' times.

        Raises:
            InvalidRequest: ``cursor`` is not the ``next`` of a page of this list.
        """
        statuses = None if state is None else tuple(name for name, shown in STATES.items() if shown == state)
        wanted = JobFilter(statuses=statuses, kind=kind, model=model)
        async with self._usable():
            ids, after = await asyncio.to_thread(self._database.page, wanted, limit=limit, cursor=cursor)
            found = await self._client.list_workflows_async(workflow_ids=ids, load_input=False) if ids else []
        known = {status.workflow_id: view(status) for status in found}
        return JobPage(jobs=[known[job] for job in ids if job in known], next=after)

    async def figures(self) -> JobFigures:
        """Counts and times of all jobs."""
        async with self._usable():
            return await asyncio.to_thread(self._database.figures)

    async def get(self, job: str) -> Job:
        """One job with its steps' times.

        Raises:
            UnknownJob: no such job.
        """
        async with self._usable():
            status = await self._status(job)
            return view(status, await self._step_times(status))

    async def has_seen_all(self, job: str, after: int) -> bool:
        """Whether a reader whose last event was ``after`` has nothing more to come.

        Raises:
            UnknownJob: no such job.
            InvalidRequest: the job has had no such event.
        """
        state = (await self.get(job)).state
        last = await asyncio.to_thread(self._database.last_event, job, STREAM)
        if after > last + 1:  # the one after the last progress is `done`
            raise InvalidRequest(
                f"Last-Event-ID must be at most {last + 1}, as many events the job has had, got {after}; leave it out "
                "to read from the beginning",
                path="Last-Event-ID",
                bound=last + 1,
            )
        return after == last + 1 and state in ENDED

    async def events(self, job: str, *, after: int = -1) -> AsyncIterator[Event]:
        """Progress after the event ``after`` as it comes, and `done` when the job has ended.

        Raises:
            UnknownJob: no such job.
        """
        await self.get(job)
        values = self._client.read_stream_async(job, STREAM, offset=after + 1, polling_interval_sec=POLL_SECONDS)
        number = after
        async for value in values:
            number += 1
            yield Event(name="progress", data=msgspec.convert(value, StepProgress), id=number)
        yield Event(name="done", data=await self.get(job), id=number + 1)

    async def cancel(self, job: str) -> Job:
        """Stop a queued or running job; its finished steps are kept for `resume`.

        Raises:
            UnknownJob: no such job.
            JobConflict: it has succeeded or failed.
        """
        await self._freeing(self._cancel, job)
        return await self.get(job)

    async def resume(self, job: str) -> Job:
        """Queue a cancelled or failed job again, from its last finished step.

        Raises:
            UnknownJob: no such job.
            JobConflict: it is queued, running or has succeeded.
            Overloaded: too many jobs wait.
        """
        state = (await self.get(job)).state
        if state not in ("cancelled", "failed"):
            raise JobConflict(f"job {job} is {state}; only a cancelled or failed job can be resumed")
        async with self._admission, self._usable(writing=True):
            await self._require_place()
            if state == "cancelled":
                await self._client.resume_workflow_async(job, queue_name=QUEUE)
            else:
                await self._client.rewind_workflow_async(
                    job,
                    start_step=await self._first_failed(job),
                    application_version=APPLICATION_VERSION,
                    queue_name=QUEUE,
                )
        return await self.get(job)

    async def knows(self, job: str) -> bool:
        """Whether there is such a job."""
        return bool(await self.rows(workflow_ids=[job], load_input=False, load_output=False))

    async def forget(self, job: str) -> None:
        """Delete the row of a job with its steps and events, in one transaction; its folder is the caller's."""
        await self._freeing(self._client.delete_workflow_async, job)

    async def rows(self, **which: Any) -> tuple[WorkflowStatus, ...]:
        """Rows of the job database, as `DBOSClient.list_workflows` chooses them."""
        async with self._usable():
            return tuple(await self._client.list_workflows_async(name=WORKFLOW, **which))

    async def require(self) -> None:
        """See that jobs can be submitted.

        Raises:
            RegistryUnavailable: the database is gone, damaged or locked.
        """
        async with self._usable(writing=True):
            pass

    def close(self) -> None:
        """Close the database."""
        self._client.destroy()

    async def _require_place(self) -> None:
        """Raise Overloaded where as many jobs wait as may; several API processes may each add one at a time."""
        waiting = [status for status, state in STATES.items() if state == "queued"]
        rows = await self.rows(status=waiting, limit=self._most, load_input=False, load_output=False)
        if len(rows) >= self._most:
            raise Overloaded(
                f"{len(rows)} jobs wait, the limit (SOBOLITE_QUEUED_JOBS); submit again when some have run, or cancel "
                "some"
            )

    @asynccontextmanager
    async def _usable(self, *, writing: bool = False) -> AsyncIterator[None]:
        await asyncio.to_thread(self._database.require, writing=writing)
        with available(self._database.path):
            yield

    async def _freeing(self, write: Callable[[str], Awaitable[object]], job: str) -> None:
        """Write what makes room in the end; where the disk is full, into the room that is kept back for it."""
        try:
            async with self._usable(writing=True):
                await write(job)
        except StorageFull:
            reserve.release(self._database.path.parent)
            async with self._usable(writing=True):
                await write(job)

    async def _cancel(self, job: str) -> None:
        status = await self._status(job)
        state = STATES[status.status]
        if state in ("succeeded", "failed"):
            raise JobConflict(f"job {job} has {state}; only a queued or running job can be cancelled")
        if state != "cancelled":
            if status.dequeued_at is not None:  # cancelling forgets when the job started
                started = {"started": status.dequeued_at}
                await self._client.update_workflow_attributes_async(job, started, merge=True)
            await self._client.cancel_workflow_async(job)

    async def _status(self, job: str) -> WorkflowStatus:
        known = await self.rows(workflow_ids=[job])
        if not known:
            raise UnknownJob(f"no job {job!r}; GET /v1/jobs or `sobolite jobs list` shows them")
        return known[0]

    async def _step_times(self, status: WorkflowStatus) -> tuple[StepTime, ...]:
        """Seconds by the worker's monotonic clock; by the time of day for jobs of before that was written down."""
        measured = status.attributes or {}
        steps = await self._client.list_workflow_steps_async(status.workflow_id)
        return tuple(
            StepTime(
                name=step["function_name"],
                seconds=measured.get(SECONDS + step["function_name"], (finished - started) / 1000),
            )
            for step in steps
            if step["error"] is None
            and (started := step["started_at_epoch_ms"]) is not None
            and (finished := step["completed_at_epoch_ms"]) is not None
        )

    async def _first_failed(self, job: str) -> int:
        steps = await self._client.list_workflow_steps_async(job)
        failed = [step["function_id"] for step in steps if step["error"] is not None]
        return min(failed, default=len(steps) + 1)
