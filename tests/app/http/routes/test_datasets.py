from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from app.settings import Settings
from pricing.types import Array

Arrays = Callable[..., dict[str, Array]]
Build = Callable[..., dict[str, Any]]


def packed(parts: dict[str, Array]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **parts)  # type: ignore[arg-type]  # allow_pickle is not among them
    return file.getvalue()


@pytest.mark.anyio
async def test_datasets_over_http(
    client: httpx.AsyncClient,
    label_arrays: Arrays,
    dataset_build: Build,
) -> None:
    content = packed(label_arrays())
    first = await client.post("/v1/datasets", files={"file": ("labels.npz", content)}, data={"name": "desk"})
    assert first.status_code == 201
    facts = first.json()
    assert (facts["rows"], facts["distinct_rows"], facts["copies"], facts["name"]) == (200, 200, 0, "desk")
    assert first.headers["location"] == f"/v1/datasets/{facts['dataset']}"
    assert (await client.get(first.headers["location"])).json() == facts
    second = await client.post("/v1/datasets", files={"file": ("other name", content)})
    assert (second.status_code, second.json()) == (200, facts)
    listed = (await client.get("/v1/datasets")).json()["datasets"]
    assert [dataset["dataset"] for dataset in listed] == [facts["dataset"]]
    job = await client.post("/v1/jobs", json={"kind": "train", "spec": dataset_build(facts["dataset"])})
    assert job.status_code == 202
    unknown = await client.post("/v1/jobs", json={"kind": "train", "spec": dataset_build("0" * 64)})
    assert (unknown.status_code, "0" * 64 in unknown.json()["detail"]) == (404, True)
    assert (await client.get("/v1/datasets/" + "0" * 64)).status_code == 404


@pytest.mark.anyio
async def test_what_is_wrong_with_an_upload_is_told(client: httpx.AsyncClient, settings: Settings) -> None:
    bad = await client.post("/v1/datasets", files={"file": ("a.csv", b"x0,y\n1,nan\n2,3\n")})
    assert (bad.status_code, bad.json()["path"]) == (422, "line 2.y")
    missing = await client.post("/v1/datasets", files={"other": ("a.csv", b"x0,y\n1,2\n")})
    assert missing.status_code == 422
    assert not list((settings.registry / "datasets").glob("*"))


@pytest.mark.anyio
async def test_imports_wait_for_each_other(served: FastAPI, client: httpx.AsyncClient, label_arrays: Arrays) -> None:
    """Together they take no more memory than one, and each gets its own answer."""
    async with served.state.importing:
        files = [packed(label_arrays(rows)) for rows in (30, 40, 40)]
        sent = [asyncio.create_task(client.post("/v1/datasets", files={"file": ("a", file)})) for file in files]
        _, pending = await asyncio.wait(sent, timeout=0.2)
        assert len(pending) == 3
    answers = await asyncio.gather(*sent)
    assert sorted(answer.status_code for answer in answers) == [200, 201, 201]
    assert [answer.json()["rows"] for answer in answers] == [30, 40, 40]


@pytest.mark.anyio
async def test_an_upload_may_be_larger_than_a_price_request_but_not_endless(
    settings: Settings, label_arrays: Arrays
) -> None:
    from app.main import create_app

    small = settings.model_copy(update={"body_bytes": 1024, "dataset_bytes": 4096})
    app = create_app(small)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            fits = await client.post("/v1/datasets", files={"file": ("a.npz", packed(label_arrays(40)))})
            assert fits.status_code == 201
            too_long = await client.post("/v1/datasets", files={"file": ("a.csv", b"1," * (1 << 16))})
            assert too_long.status_code == 413
