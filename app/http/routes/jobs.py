"""Train, prune and retrain jobs: submit, watch, cancel, resume."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Header, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.cost.limits import require_affordable, require_room
from app.cost.work import Estimate
from app.errors import InvalidRequest, TooCostly
from app.http.schemas import Problem
from app.jobs.ended import delete_job
from app.jobs.queue import Event, Job, Jobs
from app.pipeline.cost import job_cost
from app.pipeline.settle import settle
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.jobs import JobKind, JobSpec, load_spec
from pricing.errors import InvalidSpec

# A comment line this often keeps proxies from closing a quiet stream.
PING_SECONDS = 15

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
        spec = settle(load_spec(body.kind, body.spec), state.registry)
    except InvalidSpec as error:
        raise InvalidRequest(str(error), **error.fields | within_spec(error)) from error
    estimate = None
    if idempotency_key is None or not await jobs.knows(idempotency_key):  # a repeat was let in before
        require_unused(idempotency_key, state.registry)
        estimate = afforded(spec, state.registry, state.settings)
    job = await jobs.submit(spec, key=idempotency_key, estimate=estimate)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
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


@router.get("")
async def list_jobs(request: Request) -> dict[str, list[Job]]:
    """The newest jobs first."""
    return {"jobs": await jobs_of(request).list()}


@router.get("/{job}")
async def get(request: Request, job: str) -> Job:
    """State, step, progress, times, and the published version or the error."""
    return await jobs_of(request).get(job)


@router.delete("/{job}", status_code=204, responses=DELETION)
async def delete(request: Request, job: str) -> None:
    """Delete a job that has ended, with its events and files; the version that it has published stays."""
    await delete_job(jobs_of(request), request.app.state.settings.registry, job)


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
