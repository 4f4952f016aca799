"""Train, prune and retrain jobs: submit, watch, cancel, resume."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent
from sse_starlette.sse import AppStatus

from app.errors import InvalidRequest
from app.jobs.queue import Event, Job, Jobs
from app.pipeline.settle import settle
from app.specification.jobs import JobKind, load_spec
from pricing.errors import InvalidSpec

# A comment line this often keeps proxies from closing a quiet stream.
PING_SECONDS = 15
# How soon a reader comes back after the last event of a server that stops.
RETRY_MILLISECONDS = 1000
# The library would cut the streams of a server that stops; `until` ends them with an event.
AppStatus.enable_automatic_graceful_drain = False

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


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


@router.post("", status_code=202)
async def submit(
    request: Request,
    response: Response,
    body: JobRequest,
    idempotency_key: Annotated[str | None, Header(description="a repeat with this key returns the same job")] = None,
) -> Job:
    """Queue a job. What it names is looked up and its specification checked first."""
    try:
        spec = settle(load_spec(body.kind, body.spec), request.app.state.registry)
    except InvalidSpec as error:
        place = {"path": ".".join(name for name in ("spec", error.fields.get("path")) if name)}
        raise InvalidRequest(str(error), **error.fields | place) from error
    job = await jobs_of(request).submit(spec, key=idempotency_key)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return job


@router.get("")
async def list_jobs(request: Request) -> dict[str, list[Job]]:
    """The newest jobs first."""
    return {"jobs": await jobs_of(request).list()}


@router.get("/{job}")
async def get(request: Request, job: str) -> Job:
    """State, step, progress, times, and the published version or the error."""
    return await jobs_of(request).get(job)


@router.get("/{job}/events", response_class=EventSourceResponse)
async def events(
    request: Request,
    job: str,
    last_event_id: Annotated[int, Header(ge=-1, description="the last event that the client has seen")] = -1,
) -> EventSourceResponse:
    """Server-sent events: ``progress`` with ids, from after ``Last-Event-ID``, and a final ``done`` with the job.

    While a network is trained a ``progress`` has ``losses``: optimiser, start, iteration and the terms of the loss. A
    server that stops ends the stream with ``stopping``; the job goes on with the next one.
    """
    jobs = jobs_of(request)
    await jobs.get(job)

    async def stream() -> AsyncIterator[ServerSentEvent]:
        async for event in until(request.app.state.drain.stopping, jobs.events(job, after=last_event_id)):
            if event is None:
                detail = json.dumps({"detail": "the server stops; ask again with Last-Event-ID"})
                yield ServerSentEvent(data=detail, event="stopping", retry=RETRY_MILLISECONDS)
                return
            yield ServerSentEvent(data=_json(event), event=event.name, id=None if event.id is None else str(event.id))

    return EventSourceResponse(stream(), ping=PING_SECONDS)


@router.post("/{job}/cancel")
async def cancel(request: Request, job: str) -> Job:
    """Stop a queued or running job within a second; its finished steps are kept."""
    return await jobs_of(request).cancel(job)


@router.post("/{job}/resume", status_code=202)
async def resume(request: Request, job: str) -> Job:
    """Queue a cancelled or failed job again, from its last finished step."""
    return await jobs_of(request).resume(job)


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
