from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.http import problems
from app.http.routes.jobs import router
from app.jobs.queue import Jobs
from app.registry.registry import Registry
from app.settings import Settings

pytestmark = pytest.mark.anyio

OPTION = {"kind": "call", "weights": [0.5, 0.5], "strike": 1.0}
BERMUDAN = {"kind": "bermudan", "option": OPTION, "dates": [0.5, 1.0]}


@pytest.fixture
async def http(jobs: Jobs, job_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.include_router(router)
    problems.install(app)
    app.state.jobs, app.state.reading = jobs, asyncio.Lock()
    app.state.registry = Registry(job_settings.registry)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
        yield client
    app.state.registry.close()


@asynccontextmanager
async def sse(client: httpx.AsyncClient, path: str, **headers: str) -> AsyncIterator[list[str]]:
    """The non-empty lines of an event stream that ends."""
    async with client.stream("GET", path, headers=headers) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield [line async for line in response.aiter_lines() if line]


async def test_a_job_over_http(http: httpx.AsyncClient, tiny: dict[str, Any]) -> None:
    answer = await http.post("/v1/jobs", json={"kind": "train", "spec": tiny}, headers={"Idempotency-Key": "mine"})
    assert (answer.status_code, answer.headers["location"]) == (202, "/v1/jobs/mine")
    assert (await http.get("/v1/jobs")).json()["jobs"] == [answer.json()]
    assert (await http.get("/v1/jobs/mine")).json()["state"] == "queued"
    assert (await http.post("/v1/jobs/mine/resume")).status_code == 409
    assert (await http.post("/v1/jobs/mine/cancel")).json()["state"] == "cancelled"
    async with sse(http, "/v1/jobs/mine/events") as lines:
        assert lines[0] == "event: done"
        assert '"state": "cancelled"' in lines[1]
    resumed = await http.post("/v1/jobs/mine/resume")
    assert (resumed.status_code, resumed.json()["state"]) == (202, "queued")


async def test_a_body_that_is_not_json_is_told_so(http: httpx.AsyncClient) -> None:
    answer = await http.post("/v1/jobs", content=b"{kind", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (400, "urn:sobolite:problem:not-json")


async def test_a_prune_job_needs_its_model(http: httpx.AsyncClient) -> None:
    spec = {"model": "absent", "pruning": {"method": "magnitude", "sparsity": 0.5}}
    answer = await http.post("/v1/jobs", json={"kind": "prune", "spec": spec})
    assert (answer.status_code, answer.json()["title"]) == (404, "Unknown model")
    assert (await http.get("/v1/jobs")).json() == {"jobs": []}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"name": "../up"}, "spec.name"),
        ({"surprise": 1}, "spec"),
        ({"labels": {"samples": 3}}, "spec.labels.samples"),
        ({"labels": {"samples": "many"}}, "spec.labels.samples"),
        ({"problem": {"maturity": float("1e400")}}, "spec.problem.maturity"),
        ({"problem": {"process": {"volatilities": [-0.2, 0.3]}}}, "spec.problem.process.volatilities[0]"),
        ({"problem": {"process": {"correlation": [[1.0, 2.0], [2.0, 1.0]]}}}, "spec.problem.process.correlation"),
        ({"labels": {"estimator": {"kind": "bridge"}}}, "spec.labels.estimator"),
        ({"labels": {"estimator": {"kind": "frozen"}}}, "spec.labels.estimator"),
        ({"labels": {"estimator": {"kind": "conditional"}}, "problem": {"payoff": BERMUDAN}}, "spec.labels.estimator"),
        ({"labels": {"sampler": {"kind": "diffused", "initial": [1.0]}}}, "spec.labels.sampler.initial"),
        ({"problem": {"maturity": 0.0}}, "spec.labels.sampler"),
        ({"problem": {"process": {"volatilities": [0.0, 0.0]}}}, "spec.labels.sampler"),
        ({"pruning": {"method": "magnitude"}}, "spec.pruning.sparsity"),
        ({"pruning": {"method": "magnitude", "sparsity": 1.5}}, "spec.pruning.sparsity"),
        ({"pruning": {"method": "magic", "sparsity": 0.5}}, "spec.pruning.method"),
        ({"labels": {"sampler": {"kind": "table", "table": "/etc/passwd"}}}, "spec.labels.sampler.table"),
        ({"labels": {"sampler": {"kind": "table", "states": [[1.0], [2.0]]}}}, "spec.labels.sampler.states"),
    ],
)
async def test_a_bad_specification_is_refused_before_anything_is_queued(
    http: httpx.AsyncClient, tiny: dict[str, Any], change: dict[str, Any], path: str
) -> None:
    body = json.dumps({"kind": "train", "spec": merge(tiny, change)}).replace("Infinity", "1e400")
    answer = await http.post("/v1/jobs", content=body, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
    assert answer.json()["path"] == path
    assert (await http.get("/v1/jobs")).json() == {"jobs": []}


def merge(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """The base with nested changes."""
    if change.get("kind", base.get("kind")) != base.get("kind"):
        return change
    return base | {
        key: merge(base[key], value) if isinstance(value, dict) and key in base else value
        for key, value in change.items()
    }


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"kind": "sell", "spec": {}}, "body.kind"),
        ({"kind": "train"}, "body.spec"),
        ({"kind": "train", "spec": {}, "extra": 1}, "body.extra"),
        ({"kind": "train", "spec": {}}, "spec"),
    ],
)
async def test_a_bad_request_names_its_place(http: httpx.AsyncClient, body: dict[str, Any], path: str) -> None:
    answer = await http.post("/v1/jobs", json=body)
    assert (answer.status_code, answer.json()["path"]) == (422, path)


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_unknown_jobs_over_http(http: httpx.AsyncClient, method: str) -> None:
    path = "/v1/jobs/nobody" if method == "GET" else "/v1/jobs/nobody/cancel"
    assert (await http.request(method, path)).status_code == 404
    assert (await http.get("/v1/jobs/nobody/events")).status_code == 404


async def test_an_event_id_must_be_one(http: httpx.AsyncClient) -> None:
    assert (await http.get("/v1/jobs/nobody/events", headers={"Last-Event-ID": "new"})).status_code == 422
