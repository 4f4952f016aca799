from __future__ import annotations

import tomllib

import httpx
import pytest
from fastapi import FastAPI

from app.jobs.lease import lease
from app.main import create_app
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.jobs import load_spec
from surrogate.artifact.files import MODEL, Artifact, write
from tests.app.conftest import TINY

pytestmark = pytest.mark.anyio


async def test_live_and_ready(client: httpx.AsyncClient) -> None:
    assert (await client.get("/healthz")).json() == {"status": "live"}
    answer = await client.get("/readyz")
    assert answer.status_code == 200
    told = answer.json()
    assert told.pop("disk_free_bytes") > 0
    assert told == {
        "status": "ready",
        "provider": "CPUExecutionProvider",
        "loaded": [{"model": "basket", "version": 1, "provider": "CPUExecutionProvider"}],
        "workers_alive": 0,
        "queued": 0,
        "oldest_queued_seconds": 0.0,
        "jobs": {"queued": 0, "running": 0, "succeeded": 0, "failed": 0, "cancelled": 0},
        "steps": {},
    }


@pytest.mark.parametrize("database", ["registry.sqlite", "jobs.sqlite"])
async def test_a_lost_database_is_not_ready_and_refuses_writes_and_prices_go_on(
    client: httpx.AsyncClient, settings: Settings, database: str
) -> None:
    (settings.registry / database).unlink()
    assert (await client.get("/readyz")).status_code == 503
    assert (await client.get("/metrics")).status_code == 200
    alias = await client.put("/v1/models/basket/aliases/shadow", json={"version": 1})
    assert alias.status_code == (503 if database == "registry.sqlite" else 200)
    price = await client.post("/v1/models/basket/price", json={"inputs": [[1.0, 1.0, 1.0]]})
    assert price.status_code == 200


async def test_what_is_around_is_told(client: httpx.AsyncClient, served: FastAPI, settings: Settings) -> None:
    with lease(settings.registry / ".workers", "alive"):
        (settings.registry / ".workers" / "dead.lock").touch()
        await served.state.jobs.submit(load_spec("train", tomllib.loads(TINY)))
        assert (await client.get("/readyz")).json()["workers_alive"] == 1
        text = (await client.get("/metrics")).text
    for line in (
        "workers_alive 1.0",
        "jobs_queued 1.0",
        "oldest_queued_job_seconds ",
        "disk_free_bytes ",
        "loaded_versions 1.0",
    ):
        assert f"\nsobolite_{line}" in text
    assert 'sobolite_jobs{state="queued"} 1.0' in text


async def test_rows_by_model_and_refusals_by_reason(client: httpx.AsyncClient) -> None:
    for inputs, outside in (([[1.0] * 3, [9.0] * 3], "flag"), ([[9.0] * 3], "error"), ([[1.0]], "error")):
        await client.post("/v1/models/basket/price", json={"inputs": inputs, "outside": outside})
    await client.post("/v1/models/absent/price", json={"inputs": [[1.0]]})
    await client.get("/v1/nothing")
    text = (await client.get("/metrics")).text
    for line in (
        'sobolite_price_rows_total{model="basket"} 2.0',
        'sobolite_price_rows_outside_total{model="basket"} 2.0',
        'sobolite_refusals_total{reason="out-of-domain"} 1.0',
        'sobolite_refusals_total{reason="invalid-request"} 1.0',
        'sobolite_refusals_total{reason="unknown-model"} 1.0',
        'sobolite_refusals_total{reason="not-found"} 1.0',
    ):
        assert f"\n{line}\n" in text
    assert "absent" not in text


async def test_health_answers_head(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz"):
        answer = await client.head(path)
        assert (answer.status_code, answer.content) == (200, b"")


async def test_not_ready_while_draining(client: httpx.AsyncClient, served: FastAPI) -> None:
    served.state.drain.draining = True
    answer = await client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (503, "draining")
    assert answer.headers["connection"] == "close"
    assert (await client.get("/healthz")).status_code == 200


async def get_ready(settings: Settings) -> httpx.Response:
    app = create_app(settings)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
    ):
        return await client.get("/readyz")


async def test_an_empty_registry_is_not_ready_until_a_version_is_published(
    job_settings: Settings, artifact: Artifact
) -> None:
    answer = await get_ready(job_settings)
    assert (answer.status_code, answer.json()["status"]) == (503, "no model is published yet")
    Registry(job_settings.registry).publish("basket", artifact, job_id="1")
    assert (await get_ready(job_settings)).status_code == 200


async def test_bundled_models_are_imported(job_settings: Settings, artifact: Artifact) -> None:
    folder = job_settings.bundled / "basket" / "1"
    folder.mkdir(parents=True)
    write(artifact, folder)
    for _ in range(2):
        answer = await get_ready(job_settings)
        assert [(one["model"], one["version"]) for one in answer.json()["loaded"]] == [("basket", 1)]


async def test_a_corrupt_model_is_not_ready(settings: Settings) -> None:
    (settings.registry / "basket" / "1" / MODEL).write_bytes(b"")
    answer = await get_ready(settings)
    assert answer.status_code == 503
    assert "model.onnx differs from its hash" in answer.json()["status"]


async def test_a_lost_registry_is_not_ready(client: httpx.AsyncClient, settings: Settings) -> None:
    settings.registry.rename(settings.registry.with_name("away"))
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "the registry cannot be read" in answer.json()["status"]


async def test_a_failing_database_is_not_ready(client: httpx.AsyncClient, served: FastAPI) -> None:
    served.state.registry.close()
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "the registry cannot be read" in answer.json()["status"]


async def test_metrics(client: httpx.AsyncClient) -> None:
    await client.post("/v1/models/basket/price", json={"inputs": [[1.0, 1.0, 1.0]] * 3})
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    for line in (
        'sobolite_requests_total{handler="price",method="POST",status="200"} 1.0',
        "sobolite_price_batch_rows_sum 3.0",
        "sobolite_price_queue_seconds_count 1.0",
        "sobolite_price_compute_seconds_count 1.0",
    ):
        assert line in answer.text
