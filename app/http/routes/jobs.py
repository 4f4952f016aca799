"""Train, prune and retrain jobs: submit, watch, cancel, resume."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import orjson
import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus

from app.cost.limits import require_affordable, require_room
from app.cost.work import Estimate
from app.errors import InvalidRequest, TooCostly, UnknownJob
from app.http.control import ControlRoute
from app.http.dependencies import PROBLEMS, mounted
from app.http.schemas import Problem
from app.jobs.ended import delete_job
from app.jobs.job import Event, Job, JobPage, State, job_folder
from app.jobs.queue import LIST_LIMIT, Jobs
from app.pipeline.cost import job_cost
from app.pipeline.folder import JobFolder
from app.pipeline.settle import settle
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.build import BuildSpec, require_points
from app.specification.client_text import plain
from app.specification.jobs import JobKind, JobSpec, load_spec
from app.telemetry import REQUEST
from pricing.errors import InvalidSpec

# A comment line this often keeps proxies from closing a quiet stream.
PING_SECONDS = 15
# The number of an event.
EVENT_ID = r"^(0|[1-9][0-9]{0,18})$"

# What a submission may be answered besides its success and what is wrong with its specification.
REFUSALS: dict[int | str, dict[str, Any]] = {
    422: {"model": Problem, "description": "a specification that does not fit, or costs too much: see `estimate`"},
    503: {"model": Problem, "description": "too many jobs wait; see Retry-After"},
    507: {"model": Problem, "description": "its files would leave too little room on the disk"},
}
DELETION: dict[int | str, dict[str, Any]] = {
    404: {"model": Problem, "description": "no such job"},
    409: {"model": Problem, "description": "it is queued or running; cancel it first"},
}
# How soon a reader comes back after the last event of a server that stops.
RETRY_MILLISECONDS = 1000
# The library would cut the streams of a server that stops; `until` ends them with an event.
AppStatus.enable_automatic_graceful_drain = False

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], responses=PROBLEMS, route_class=ControlRoute)


class JobRequest(BaseModel):
    """What to run.

    ``train`` takes a whole build specification, ``prune`` a published model and how to prune it, ``retrain`` a
    published model and what changes of its specification.
    """

    model_config = ConfigDict(extra="forbid")

    kind: JobKind
    spec: dict[str, Any] = Field(
        description="for train a BuildSpec, the tables of examples/*.toml as JSON; for prune a PruneJobSpec; "
        "for retrain a RetrainJobSpec"
    )


def jobs_of(request: Request) -> Jobs:
    """The application's job database."""
    jobs: Jobs = request.app.state.jobs
    return jobs


def submitter() -> str | None:
    """Who has sent the request that is answered, as its log line says."""
    asked = REQUEST.get(None)
    return None if asked is None else f"HTTP client {asked[1]}, request {asked[0]}"


def read_job(body: JobRequest, registry: Registry) -> JobSpec:
    """The job as it can be run; takes long enough to be kept off the event loop.

    Raises:
        AppError, InvalidSpec: it cannot.
    """
    spec = load_spec(body.kind, body.spec)
    if isinstance(spec, BuildSpec):
        require_points(spec)
    return settle(spec, registry)


@router.post("", status_code=202, responses=REFUSALS)
async def submit(
    request: Request,
    response: Response,
    body: JobRequest,
    idempotency_key: Annotated[str | None, Header(description="a repeat with this key returns the same job")] = None,
) -> Job:
    """Queue a job. What it names is looked up, its specification checked and its cost estimated first."""
    jobs, state = jobs_of(request), request.app.state
    try:
        async with state.reading:
            spec = await asyncio.to_thread(read_job, body, state.registry)
    except InvalidSpec as error:
        raise InvalidRequest(str(error), **error.fields | within_spec(error)) from error
    estimate = None
    if idempotency_key is None or not await jobs.knows(idempotency_key):  # a repeat was let in before
        require_unused(idempotency_key, state.registry)
        estimate = afforded(spec, state.registry, state.settings)
    job = await jobs.submit(spec, key=idempotency_key, estimate=estimate, submitter=submitter())
    response.headers["Location"] = mounted(request, f"/v1/jobs/{job.id}")
    tell_change(job, None)
    return job


def within_spec(error: InvalidSpec | TooCostly) -> dict[str, str]:
    """The place of an error in a specification as one in the request."""
    return {"path": ".".join(name for name in ("spec", error.fields.get("path")) if name)}


def afforded(spec: JobSpec, registry: Registry, settings: Settings) -> Estimate:
    """What a job will take, if this deployment gives it as much.

    Raises:
        TooCostly: it would take too long or too much memory.
        StorageFull: its files would leave too little room.
    """
    cost = job_cost(spec, registry)
    try:
        require_affordable(cost, settings)
    except TooCostly as error:
        raise TooCostly(str(error), **error.fields | within_spec(error)) from error
    require_room(registry.root, needed=cost.estimate.disk_bytes, least=settings.least_free_disk)
    return cost.estimate


def require_unused(key: str | None, registry: Registry) -> None:
    """Raise InvalidRequest for the key of a job that was deleted after it had published: it would publish nothing."""
    published = None if key is None else registry.published_by(key)
    if published is not None:
        raise InvalidRequest(
            f"job {key!r} was deleted after it had published {published}; use a new key", path="Idempotency-Key"
        )


@router.get("", response_model=JobPage)
async def list_jobs(
    request: Request,
    limit: Annotated[
        int, BeforeValidator(plain), Query(ge=1, le=LIST_LIMIT, description="most jobs of the page")
    ] = LIST_LIMIT,
    cursor: Annotated[str | None, Query(max_length=512, description="`next` of the page before")] = None,
    state: Annotated[State | None, Query(description="only jobs in this state")] = None,
    kind: Annotated[JobKind | None, Query(description="only jobs of this kind")] = None,
    model: Annotated[str | None, Query(max_length=200, description="only jobs that make this model")] = None,
) -> Response:
    """The newest jobs first, a page of them; `next` is the cursor of the page after it, and the last page has none."""
    page = await jobs_of(request).page(limit=limit, cursor=cursor, state=state, kind=kind, model=model)
    rest = {} if page.next is None else {"next": page.next}
    return Response(orjson.dumps({"jobs": page.jobs, **rest}), media_type="application/json")


@router.get("/{job}")
async def get(request: Request, job: str) -> Job:
    """State, step, progress, times, and the published version or the error."""
    return await jobs_of(request).get(job)


@router.get("/{job}/report")
async def report(request: Request, job: str) -> Response:
    """The report of a job that has judged its result and not published it, or not yet."""
    state = (await jobs_of(request).get(job)).state
    path = JobFolder(job_folder(request.app.state.settings.registry, job)).report.path
    try:
        plain = await asyncio.to_thread(path.read_bytes)
    except FileNotFoundError as error:
        if state == "succeeded":
            raise UnknownJob(f"job {job} has published its report with its version; ask that for it") from error
        raise UnknownJob(f"job {job} is {state} and has no report: it did not come to judge its result") from error
    return Response(plain, media_type="application/json")


@router.delete("/{job}", status_code=204, responses=DELETION)
async def delete(request: Request, job: str) -> None:
    """Delete a job that has ended, with its events and files; the version that it has published stays."""
    state = await delete_job(jobs_of(request), request.app.state.settings.registry, job)
    structlog.get_logger().info("state changed", what=f"job {job}", **{"from": state, "to": "deleted"})


@router.get(
    "/{job}/events",
    response_class=EventSourceResponse,
    responses={204: {"description": "the job has ended and the reader has seen `done`: do not come again"}},
)
async def events(
    request: Request,
    job: str,
    last_event_id: Annotated[
        str | None, Header(pattern=EVENT_ID, description="the last event that the client has seen")
    ] = None,
) -> Response:
    """Server-sent events with ids: ``progress``, from after ``Last-Event-ID``, and a final ``done`` with the job.

    While a network is trained a ``progress`` has ``losses``: optimiser, start, iteration and the terms of the loss. A
    server that stops ends the stream with ``stopping``; the job goes on with the next one.
    """
    jobs, after = jobs_of(request), -1 if last_event_id is None else int(last_event_id)
    if await jobs.has_seen_all(job, after):
        return Response(status_code=204)

    async def stream() -> AsyncIterator[ServerSentEvent]:
        async for event in until(request.app.state.drain.stopping, jobs.events(job, after=after)):
            if event is None:
                detail = json.dumps({"detail": "the server stops; ask again with Last-Event-ID"})
                yield ServerSentEvent(data=detail, event="stopping", retry=RETRY_MILLISECONDS)
                return
            yield ServerSentEvent(data=_json(event), event=event.name, id=str(event.id))

    return EventSourceResponse(stream(), ping=PING_SECONDS)


@router.post("/{job}/cancel")
async def cancel(request: Request, job: str) -> Job:
    """Stop a queued or running job within a second; its finished steps are kept."""
    before = (await jobs_of(request).get(job)).state
    after = await jobs_of(request).cancel(job)
    tell_change(after, before)
    return after


@router.post("/{job}/resume", status_code=202)
async def resume(request: Request, job: str) -> Job:
    """Queue a cancelled or failed job again, from its last finished step."""
    before = (await jobs_of(request).get(job)).state
    after = await jobs_of(request).resume(job)
    tell_change(after, before)
    return after


def tell_change(job: Job, before: State | None) -> None:
    """Log that a client has moved a job, if it has; the line says who by what is bound to the request."""
    if job.state != before:
        structlog.get_logger().info("state changed", what=f"job {job.id}", **{"from": before, "to": job.state})


async def until(stopping: asyncio.Event, events: AsyncIterator[Event]) -> AsyncIterator[Event | None]:
    """The events as they come; None and no more as soon as ``stopping`` is set."""
    stop = asyncio.ensure_future(stopping.wait())
    following: asyncio.Future[Event] | None = None
    try:
        while True:
            following = asyncio.ensure_future(anext(events))
            await asyncio.wait({stop, following}, return_when=asyncio.FIRST_COMPLETED)
            if not following.done():
                yield None
                return
            try:
                event = following.result()
            except StopAsyncIteration:
                return
            yield event
    finally:
        stop.cancel()
        if following is not None and not following.done():
            following.cancel()


def _json(event: Event) -> str:
    return json.dumps(msgspec.to_builtins(event.data))
