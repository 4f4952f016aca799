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

from app.errors import InvalidRequest
from app.http.control import ControlRoute
from app.jobs.queue import Event, Job, Jobs
from app.pipeline.settle import settle
from app.registry.registry import Registry
from app.specification.jobs import JobKind, JobSpec, load_spec
from pricing.errors import InvalidSpec

# A comment line this often keeps proxies from closing a quiet stream.
PING_SECONDS = 15

router = APIRouter(prefix="/v1/jobs", tags=["jobs"], route_class=ControlRoute)


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


def read_job(body: JobRequest, registry: Registry) -> JobSpec:
    """The job as it can be run; takes long enough to be kept off the event loop.

    Raises:
        AppError, InvalidSpec: it cannot.
    """
    return settle(load_spec(body.kind, body.spec), registry)


@router.post("", status_code=202)
async def submit(
    request: Request,
    response: Response,
    body: JobRequest,
    idempotency_key: Annotated[str | None, Header(description="a repeat with this key returns the same job")] = None,
) -> Job:
    """Queue a job. What it names is looked up and its specification checked first."""
    try:
        async with request.app.state.reading:
            spec = await asyncio.to_thread(read_job, body, request.app.state.registry)
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

    While a network is trained a ``progress`` has ``losses``: optimiser, start, iteration and the terms of the loss.
    """
    jobs = jobs_of(request)
    await jobs.get(job)

    async def stream() -> AsyncIterator[ServerSentEvent]:
        async for event in jobs.events(job, after=last_event_id):
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


def _json(event: Event) -> str:
    return json.dumps(msgspec.to_builtins(event.data))
