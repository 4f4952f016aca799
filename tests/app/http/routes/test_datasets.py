from __future__ import annotations

import asyncio
import io
import resource
from collections import Counter
from collections.abc import Callable
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi import FastAPI

from app.settings import Settings
from pricing.types import Array
from tests.abuse.damage import damaged

# Damaged files that are sent, each read by a process of its own; `tests/abuse/test_files.py` reads thousands.
UPLOADED = 40

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


GOOD = b"x0,y\n1,2\n2,5\n"
FILE = ("a.csv", GOOD)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("parts", "path", "sentence"),
    [
        ([], "file", "file is missing; send it as curl -F file=@labels.csv does"),
        ([("name", (None, "desk"))], "file", "file is missing"),
        ([("other", FILE)], "other", "'other' is no field of this form; it has file and, optional, name"),
        ([("file", FILE), ("other", (None, "1"))], "other", "'other' is no field of this form"),
        ([("file", FILE), ("file", FILE)], "file", "file is there twice"),
        ([("file", FILE), ("name", (None, "a")), ("name", (None, "b"))], "name", "name is there twice"),
        ([("file", (None, GOOD))], "file", "file is text and no file: its part has no filename"),
        ([("file", (None, b"1" * (1 << 21)))], "file", "a part without a filename is too long for text"),
        ([("file", FILE), ("name", FILE)], "name", "name is a file; send it as text"),
        ([("file", FILE), ("name", (None, "a\x1b[2J"))], "name", "at most 200 printable characters"),
        ([("file", FILE), ("name", (None, "x" * 201))], "name", "at most 200 printable characters, got 201"),
    ],
)
async def test_what_is_wrong_with_a_form_is_told(
    client: httpx.AsyncClient, settings: Settings, parts: list[Any], path: str, sentence: str
) -> None:
    empty = {"content": b"--b--\r\n", "headers": {"content-type": "multipart/form-data; boundary=b"}}
    answer = await client.post("/v1/datasets", **({"files": parts} if parts else empty))
    assert (answer.status_code, answer.json()["path"]) == (422, path), answer.text
    assert sentence in answer.json()["detail"]
    assert not list((settings.registry / "datasets").glob("*"))


@pytest.mark.anyio
@pytest.mark.parametrize("kind", ["text/csv", "application/json", "application/x-www-form-urlencoded", None])
async def test_another_content_type_is_415(client: httpx.AsyncClient, kind: str | None) -> None:
    answer = await client.post("/v1/datasets", content=GOOD, headers={} if kind is None else {"content-type": kind})
    assert (answer.status_code, answer.json()["type"]) == (415, "urn:sobolite:problem:unsupported-body")
    assert answer.json()["detail"].endswith(f"got {kind or 'no content type'!r}")


@pytest.mark.anyio
async def test_a_name_that_is_given_is_the_datasets_from_then_on(client: httpx.AsyncClient) -> None:
    names = []
    for name in ({}, {"name": "desk"}, {}, {"name": ""}, {"name": "Händler [/7]"}):
        answer = await client.post("/v1/datasets", files={"file": FILE}, data=name)
        names.append((answer.status_code, answer.json()["name"]))
    assert names == [(201, None), (200, "desk"), (200, "desk"), (200, "desk"), (200, "Händler [/7]")]
    listed = (await client.get("/v1/datasets")).json()["datasets"]
    assert [dataset["name"] for dataset in listed] == ["Händler [/7]"]


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


@pytest.mark.anyio
async def test_damaged_files_over_http(client: httpx.AsyncClient) -> None:
    statuses = Counter[int]()
    for what, data in damaged(UPLOADED, seed=11):
        answer = await client.post("/v1/datasets", files={"file": ("labels", data)})
        assert answer.status_code in (200, 201, 413, 422), (what, answer.text)
        if answer.status_code > 201:
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"]
        statuses[answer.status_code] += 1
        assert (await client.get("/healthz")).status_code == 200
    assert statuses[422] > UPLOADED // 3


@pytest.mark.anyio
async def test_a_dataset_that_nothing_refers_to_can_be_deleted(
    client: httpx.AsyncClient, label_arrays: Arrays, dataset_build: Build
) -> None:
    files = {"file": ("labels.npz", packed(label_arrays()))}
    dataset = (await client.post("/v1/datasets", files=files)).json()["dataset"]
    # A retrain job that is refused, for a model that is not there, leaves its dataset, and nothing that refers to it.
    refused = {"kind": "retrain", "spec": {"model": "absent", "changes": {"dataset.id": dataset}}}
    assert (await client.post("/v1/jobs", json=refused)).status_code == 404
    job = (await client.post("/v1/jobs", json={"kind": "train", "spec": dataset_build(dataset)})).json()["id"]
    used = await client.delete(f"/v1/datasets/{dataset}")
    assert (used.status_code, used.json()["referrers"]) == (409, [f"job {job}"])
    await client.post(f"/v1/jobs/{job}/cancel")
    await client.delete(f"/v1/jobs/{job}")
    assert (await client.delete(f"/v1/datasets/{dataset}")).status_code == 204
    assert (await client.get(f"/v1/datasets/{dataset}")).status_code == 404
    assert (await client.delete(f"/v1/datasets/{dataset}")).status_code == 404
    assert (await client.delete("/v1/datasets/..%2f..%2fregistry")).status_code == 404
    assert (await client.post("/v1/datasets", files=files)).status_code == 201  # it may come back


@pytest.mark.anyio
async def test_a_dataset_without_room_is_507(
    client: httpx.AsyncClient, served: FastAPI, label_arrays: Arrays, settings: Settings
) -> None:
    served.state.settings = settings.model_copy(update={"least_free_disk": 1 << 60})
    answer = await client.post("/v1/datasets", files={"file": ("labels.npz", packed(label_arrays()))})
    assert (answer.status_code, answer.json()["type"]) == (507, "urn:sobolite:problem:storage-full")
    assert (await client.get("/v1/datasets")).json() == {"datasets": []}


@pytest.mark.anyio
async def test_a_full_disk_is_507(client: httpx.AsyncClient) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, before[1]))
    try:
        answer = await client.post("/v1/datasets", files={"file": ("x.csv", b"x0,y\n" + b"1,2\n" * 50_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (answer.status_code, answer.json()["title"]) == (507, "Storage full")
