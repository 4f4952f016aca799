from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from app.http import problems
from app.http.routes.jobs import router
from app.http.shutdown import Drain
from app.jobs.queue import Jobs
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.jobs import load_spec
from app.telemetry import REQUEST
from surrogate.artifact.files import Artifact

pytestmark = pytest.mark.anyio

OPTION = {"kind": "call", "weights": [0.5, 0.5], "strike": 1.0}
BERMUDAN = {"kind": "bermudan", "option": OPTION, "dates": [0.5, 1.0]}


@pytest.fixture
def app(jobs: Jobs, job_settings: Settings) -> FastAPI:
    """The routes of jobs, with nobody who runs them."""
    app = FastAPI()
    app.include_router(router)
    problems.install(app)
    app.state.jobs, app.state.reading = jobs, asyncio.Lock()
    app.state.settings = job_settings
    app.state.drain = Drain(0.0)
    return app


@pytest.fixture
async def http(app: FastAPI, job_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
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
        assert lines[:2] == ["id: 0", "event: done"]
        assert '"state": "cancelled"' in lines[2]
    assert (await http.get("/v1/jobs/mine/events", headers={"Last-Event-ID": "0"})).status_code == 204
    resumed = await http.post("/v1/jobs/mine/resume")
    assert (resumed.status_code, resumed.json()["state"]) == (202, "queued")


async def test_a_job_says_which_client_has_ordered_it(http: httpx.AsyncClient, tiny: dict[str, Any]) -> None:
    """By what the log calls it; the middleware that observes requests sets it."""
    token = REQUEST.set(("f00d", "192.0.2.7"))
    try:
        answer = await http.post("/v1/jobs", json={"kind": "train", "spec": tiny})
    finally:
        REQUEST.reset(token)
    assert answer.json()["submitter"] == "HTTP client 192.0.2.7, request f00d"
    assert (await http.get(answer.headers["location"])).json()["submitter"] == answer.json()["submitter"]


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
        ({"evaluation": {"samples": 32}, "accuracy": {"points": 48}}, "spec.accuracy.points"),
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


async def test_an_ended_job_can_be_deleted(http: httpx.AsyncClient, tiny: dict[str, Any]) -> None:
    await http.post("/v1/jobs", json={"kind": "train", "spec": tiny}, headers={"Idempotency-Key": "mine"})
    early = await http.delete("/v1/jobs/mine")
    assert (early.status_code, early.json()["type"]) == (409, "urn:sobolite:problem:job-conflict")
    await http.post("/v1/jobs/mine/cancel")
    gone = await http.delete("/v1/jobs/mine")
    assert (gone.status_code, gone.content) == (204, b"")
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/events"), ("POST", "/resume")):
        assert (await http.request(method, f"/v1/jobs/mine{path}")).status_code == 404
    again = await http.post("/v1/jobs", json={"kind": "train", "spec": tiny}, headers={"Idempotency-Key": "mine"})
    assert again.status_code == 202


async def test_the_key_of_a_deleted_job_that_has_published_is_not_used_again(
    http: httpx.AsyncClient, jobs: Jobs, job_settings: Settings, artifact: Artifact, tiny: dict[str, Any]
) -> None:
    registry = Registry(job_settings.registry)
    registry.publish("tiny", artifact, job_id="mine")
    registry.close()
    body, headers = {"kind": "train", "spec": tiny}, {"Idempotency-Key": "mine"}
    refused = await http.post("/v1/jobs", json=body, headers=headers)
    assert (refused.status_code, refused.json()["path"]) == (422, "Idempotency-Key")
    assert "published tiny@1" in refused.json()["detail"]
    known = await jobs.submit(load_spec("train", tiny), key="mine")  # as if it had never been deleted
    assert (await http.post("/v1/jobs", json=body, headers=headers)).json()["id"] == known.id


@pytest.mark.parametrize("key", ["", " ", ".hidden", "../up", "a/b", "a b", "x" * 129])
async def test_a_key_that_names_no_folder_is_refused(http: httpx.AsyncClient, tiny: dict[str, Any], key: str) -> None:
    answer = await http.post("/v1/jobs", json={"kind": "train", "spec": tiny}, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["path"]) == (422, "Idempotency-Key")
    assert (await http.get("/v1/jobs")).json()["jobs"] == []


async def test_a_full_queue_is_503_and_a_repeat_is_none(
    http: httpx.AsyncClient, app: FastAPI, job_settings: Settings, tiny: dict[str, Any]
) -> None:
    few = Jobs(job_settings.model_copy(update={"queued_jobs": 1}))
    app.state.jobs = few
    body = {"kind": "train", "spec": tiny}
    first = await http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "mine"})
    full = await http.post("/v1/jobs", json=body)
    assert (full.status_code, "SOBOLITE_QUEUED_JOBS" in full.json()["detail"]) == (503, True)
    assert int(full.headers["retry-after"]) >= 1
    repeat = await http.post("/v1/jobs", json=body, headers={"Idempotency-Key": "mine"})
    assert (repeat.status_code, repeat.json()["id"]) == (202, first.json()["id"])
    few.close()


async def test_a_disk_with_too_little_room_is_507(
    http: httpx.AsyncClient, app: FastAPI, job_settings: Settings, tiny: dict[str, Any]
) -> None:
    app.state.settings = job_settings.model_copy(update={"least_free_disk": 1 << 60})
    answer = await http.post("/v1/jobs", json={"kind": "train", "spec": tiny})
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:sobolite:problem:storage-full")
    assert "SOBOLITE_LEAST_FREE_DISK" in answer.json()["detail"]
    assert (await http.get("/v1/jobs")).json() == {"jobs": []}


@pytest.mark.parametrize("given", ["new", "-1", "", "1.0", "1", "1_0", "+0", "9223372036854775807", "9" * 400])
async def test_an_event_id_must_be_one_of_the_job(http: httpx.AsyncClient, tiny: dict[str, Any], given: str) -> None:
    await http.post("/v1/jobs", json={"kind": "train", "spec": tiny}, headers={"Idempotency-Key": "mine"})
    answer = await http.get("/v1/jobs/mine/events", headers={"Last-Event-ID": given})
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


async def test_pages_and_filters(http: httpx.AsyncClient, tiny: dict[str, Any]) -> None:
    for number in range(5):
        spec = tiny | {"name": "even" if number % 2 == 0 else "odd"}
        await http.post("/v1/jobs", json={"kind": "train", "spec": spec}, headers={"Idempotency-Key": str(number)})
    await http.post("/v1/jobs/2/cancel")
    assert [page async for page in pages(http, limit=2)] == [["4", "3"], ["2", "1"], ["0"]]
    assert [page async for page in pages(http, limit=1, model="even", state="queued")] == [["4"], ["0"]]
    for filters, expected in (
        ({"state": "cancelled"}, ["2"]),
        ({"model": "odd", "kind": "train"}, ["3", "1"]),
        ({"kind": "prune"}, []),
        ({"model": "nobody's"}, []),
    ):
        assert [job["id"] for job in (await http.get("/v1/jobs", params=filters)).json()["jobs"]] == expected
    assert (await http.get("/v1/jobs?limit=1_0")).status_code == 422
    cursor = (await http.get("/v1/jobs?limit=2")).json()["next"]
    for query in ({"cursor": cursor, "state": "queued"}, {"cursor": "garbage"}, {"cursor": ""}, {"cursor": "é"}):
        answer = await http.get("/v1/jobs", params=query)
        assert (answer.status_code, answer.json()["path"]) == (422, "cursor")


async def pages(http: httpx.AsyncClient, **query: Any) -> AsyncIterator[list[str]]:
    """Ids page by page, each asked for with the cursor of the one before."""
    while True:
        answer = (await http.get("/v1/jobs", params=query)).json()
        yield [job["id"] for job in answer["jobs"]]
        if "next" not in answer:
            return
        query["cursor"] = answer["next"]


@pytest.mark.parametrize("loss", ["removed", "locked"])
async def test_a_job_database_that_is_away_is_503(
    http: httpx.AsyncClient, tiny: dict[str, Any], job_settings: Settings, loss: str
) -> None:
    await http.post("/v1/jobs", json={"kind": "train", "spec": tiny}, headers={"Idempotency-Key": "mine"})
    database = job_settings.registry / "jobs.sqlite"
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        if loss == "removed":
            database.unlink()
        else:
            other.execute("BEGIN IMMEDIATE")
        for path, body in (
            ("/v1/jobs/mine/cancel", None),
            ("/v1/jobs", {"kind": "train", "spec": tiny}),
        ):
            answer = await http.post(path, json=body)
            assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
        for path in ("/v1/jobs", "/v1/jobs/mine"):
            assert (await http.get(path)).status_code == (503 if loss == "removed" else 200)


async def test_a_deletion_is_logged(http: httpx.AsyncClient, tiny: dict[str, Any]) -> None:
    await http.post("/v1/jobs", json={"kind": "train", "spec": tiny}, headers={"Idempotency-Key": "mine"})
    await http.post("/v1/jobs/mine/cancel")
    with capture_logs() as told:
        assert (await http.delete("/v1/jobs/mine")).status_code == 204
    (line,) = [line for line in told if line["event"] == "state changed"]
    assert (line["what"], line["from"], line["to"]) == ("job mine", "cancelled", "deleted")
