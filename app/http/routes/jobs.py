"""Train, prune and retrain jobs: submit, watch, cancel, resume."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
import orjson
import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse, ServerSentEvent

from app.errors import InvalidRequest
from app.http.dependencies import mounted
from app.jobs.queue import LIST_LIMIT, Event, Job, JobPage, Jobs, State
from app.pipeline.settle import settle
from app.specification.jobs import JobKind, load_spec
from pricing.errors import InvalidSpec

# A comment line this often keeps proxies from closing a quiet stream.
PING_SECONDS = 15
# The number of an event.
EVENT_ID = r"^(0|[1-9][0-9]{0,18})$"

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
    response.headers["Location"] = mounted(request, f"/v1/jobs/{job.id}")
    tell_change(job, None)
    return job


@router.get("", response_model=JobPage)
async def list_jobs(
    request: Request,
    limit: Annotated[int, Query(ge=1, le=LIST_LIMIT, description="most jobs of the page")] = LIST_LIMIT,
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

    While a network is trained a ``progress`` has ``losses``: optimiser, start, iteration and the terms of the loss.
    """
    jobs, after = jobs_of(request), -1 if last_event_id is None else int(last_event_id)
    if await jobs.has_seen_all(job, after):
        return Response(status_code=204)

    async def stream() -> AsyncIterator[ServerSentEvent]:
        async for event in jobs.events(job, after=after):
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


def _json(event: Event) -> str:
    return json.dumps(msgspec.to_builtins(event.data))
