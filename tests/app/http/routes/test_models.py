from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from typing import Any

import httpx
import msgspec
import pytest

from app.http.routes.models import prefers_html
from app.registry.registry import Registry
from app.settings import Settings
from surrogate.artifact.environment import Environment
from surrogate.artifact.files import MODEL, REPORT, TRAINING, Artifact, to_json
from surrogate.artifact.manifest import plain_manifest
from surrogate.artifact.sentences import show_r2
from surrogate.report.curves import TrainingCurves, plain_curves
from surrogate.report.report import plain_report
from surrogate.runtime import open_session

pytestmark = pytest.mark.anyio

VERSION = "/v1/models/basket/versions/1"
DOWNLOAD = f"{VERSION}/model.onnx"


def publish_second(settings: Settings, artifact: Artifact) -> None:
    """Version 2, with a float32 variant whose bytes need not be a model here."""
    Registry(settings.registry).publish("basket", replace(artifact, model_float32=b"single"), job_id="second")


async def test_list(client: httpx.AsyncClient, settings: Settings, artifact: Artifact) -> None:
    publish_second(settings, artifact)
    assert (await client.get("/v1/models")).json() == {
        "models": [{"name": "basket", "latest": 2, "versions": [1, 2], "aliases": {"champion": 1, "latest": 2}}]
    }


@pytest.mark.parametrize("version", ["1", "champion", "latest"])
async def test_manifest(client: httpx.AsyncClient, artifact: Artifact, version: str) -> None:
    answer = await client.get(f"/v1/models/basket/versions/{version}")
    manifest: dict[str, Any] = answer.json()
    assert answer.status_code == 200
    for key, value in json.loads(to_json(plain_manifest(artifact.manifest))).items():
        assert manifest[key] == value
    assert manifest["features"][0]["upper"] == [1.5] * 3
    assert (manifest["version"], sorted(manifest["aliases"])) == (1, ["champion", "latest"])
    assert manifest["sha256"] == hashlib.sha256(artifact.model).hexdigest()
    assert manifest["files"][MODEL] == {"bytes": len(artifact.model), "sha256": manifest["sha256"]}
    assert REPORT in manifest["files"]


async def test_where_a_version_comes_from(client: httpx.AsyncClient, settings: Settings, artifact: Artifact) -> None:
    """Who ordered it, on what it was made, and that nobody knows of what was published without."""
    first = (await client.get(VERSION)).json()
    assert (first["submitter"], first["environment"]) == (None, None)
    made = Environment(
        processor="one",
        architecture="x86_64",
        instruction_set={"torch": "AVX2"},
        system="Linux",
        python="CPython 3.11.7",
        threads=1,
    )
    told = replace(artifact, environment=made)
    Registry(settings.registry).publish("basket", told, job_id="told", submitter="HTTP client 192.0.2.7, request f00d")
    second = (await client.get("/v1/models/basket/versions/2")).json()
    assert second["submitter"] == "HTTP client 192.0.2.7, request f00d"
    assert second["environment"] == json.loads(to_json(msgspec.to_builtins(made)))
    assert second["files"]["environment.json"]["bytes"] > 0


@pytest.mark.parametrize(
    "path",
    ["other/versions/1", "basket/versions/2", "basket/versions/0", "basket/versions/none", "basket/versions/-1"],
)
@pytest.mark.parametrize("part", ["", "/model.onnx", "/report", "/training"])
async def test_unknown_is_404(client: httpx.AsyncClient, path: str, part: str) -> None:
    answer = await client.get(f"/v1/models/{path}{part}")
    assert answer.status_code == 404
    assert "basket" in answer.json()["detail"]


async def test_download_is_the_published_model(client: httpx.AsyncClient, artifact: Artifact) -> None:
    answer = await client.get(DOWNLOAD)
    assert answer.content == artifact.model
    digest = hashlib.sha256(artifact.model)
    assert answer.headers["etag"] == f'"{digest.hexdigest()}"'
    assert answer.headers["repr-digest"] == f"sha-256=:{base64.b64encode(digest.digest()).decode()}:"
    session = open_session(answer.content)
    assert [output.name for output in session.get_outputs()] == ["value", "delta", "gamma"]


async def test_head_tells_size_and_hash_without_the_bytes(client: httpx.AsyncClient, artifact: Artifact) -> None:
    answer = await client.head(DOWNLOAD)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(artifact.model))
    assert answer.headers["etag"] == f'"{hashlib.sha256(artifact.model).hexdigest()}"'


async def test_only_a_number_is_cached_for_ever(client: httpx.AsyncClient) -> None:
    assert "immutable" in (await client.get(DOWNLOAD)).headers["cache-control"]
    aliased = await client.get("/v1/models/basket/versions/champion/model.onnx")
    assert aliased.headers["cache-control"] == "no-cache"


async def test_a_known_copy_is_not_sent_again(client: httpx.AsyncClient) -> None:
    etag = (await client.get(DOWNLOAD)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        answer = await client.get(DOWNLOAD, headers={"if-none-match": known})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
    assert (await client.get(DOWNLOAD, headers={"if-none-match": '"other"'})).status_code == 200


@pytest.mark.parametrize(("given", "part"), [("0-9", slice(10)), ("100-", slice(100, None)), ("-7", slice(-7, None))])
async def test_ranges(client: httpx.AsyncClient, artifact: Artifact, given: str, part: slice) -> None:
    answer = await client.get(DOWNLOAD, headers={"range": f"bytes={given}"})
    assert (answer.status_code, answer.content) == (206, artifact.model[part])
    assert answer.headers["content-range"].endswith(f"/{len(artifact.model)}")


@pytest.mark.parametrize(
    ("given", "status"), [("bytes=99999999-", 416), ("bytes=9-5", 400), ("bytes=-", 400), ("rows=1-2", 400)]
)
async def test_bad_ranges(client: httpx.AsyncClient, given: str, status: int) -> None:
    answer = await client.get(DOWNLOAD, headers={"range": given})
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_the_losses_of_the_training_where_published(
    client: httpx.AsyncClient, settings: Settings, artifact: Artifact
) -> None:
    missing = await client.get(f"{VERSION}/training")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:sobolite:problem:unknown-version")
    assert "no record of a training" in missing.json()["detail"]
    curves = TrainingCurves(trainings=())
    Registry(settings.registry).publish("basket", replace(artifact, training=curves), job_id="seen")
    answer = await client.get("/v1/models/basket/versions/latest/training")
    assert (answer.status_code, answer.json()) == (200, json.loads(to_json(plain_curves(curves))))
    assert TRAINING in (await client.get("/v1/models/basket/versions/2")).json()["files"]


async def test_float32_where_published(client: httpx.AsyncClient, settings: Settings, artifact: Artifact) -> None:
    publish_second(settings, artifact)
    answer = await client.get(DOWNLOAD, params={"dtype": "float32"})
    assert answer.status_code == 404
    assert "without float32" in answer.json()["detail"]
    answer = await client.get("/v1/models/basket/versions/2/model.onnx", params={"dtype": "float32"})
    assert answer.content == b"single"
    assert (await client.get(DOWNLOAD, params={"dtype": "float16"})).status_code == 422


async def test_altered_files_are_not_handed_out(client: httpx.AsyncClient, settings: Settings) -> None:
    (settings.registry / "basket" / "1" / MODEL).write_bytes(b"other")
    for path in (VERSION, DOWNLOAD, f"{VERSION}/report"):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["type"]) == (500, "urn:sobolite:problem:corrupt-artifact")


async def test_report_as_json_and_as_a_page(client: httpx.AsyncClient, artifact: Artifact) -> None:
    answer = await client.get(f"{VERSION}/report")
    assert answer.json() == json.loads(to_json(plain_report(artifact.report)))
    page = await client.get(f"{VERSION}/report", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert page.headers["content-type"].startswith("text/html")
    assert page.text.count("whole Box") == 1
    assert "basket, version 1" in page.text
    r2 = artifact.report.accuracy["gamma"].r2
    assert r2 is not None
    assert show_r2(r2) in page.text
    assert "http" not in page.text  # nothing is fetched from elsewhere
    assert answer.headers["vary"] == page.headers["vary"] == "accept"


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html", True),
        ("text/html, application/json", False),
        ("application/json;q=0.5, text/html;q=0.9", True),
        ("text/html;q=0.1, */*", False),
        ("text/html;q=0", False),
    ],
)
def test_content_negotiation(accept: str, html: bool) -> None:
    assert prefers_html(accept) is html


async def test_aliases_move(client: httpx.AsyncClient, settings: Settings, artifact: Artifact) -> None:
    publish_second(settings, artifact)
    answer = await client.put("/v1/models/basket/aliases/champion", json={"version": 2})
    assert answer.json() == {"name": "basket", "alias": "champion", "version": 2}
    assert (await client.get("/v1/models/basket/versions/champion")).json()["version"] == 2


@pytest.mark.parametrize(
    ("alias", "body", "status"),
    [
        ("champion", {"version": 3}, 404),
        ("champion", {"version": "1"}, 422),
        ("champion", {"version": True}, 422),
        ("champion", {"version": 0}, 422),
        ("champion", {"version": 1.5}, 422),
        ("champion", {}, 422),
        ("champion", {"version": 1, "name": "x"}, 422),
        ("latest", {"version": 1}, 422),
        ("2", {"version": 1}, 422),
    ],
)
async def test_bad_aliases(client: httpx.AsyncClient, alias: str, body: dict[str, Any], status: int) -> None:
    answer = await client.put(f"/v1/models/basket/aliases/{alias}", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert (await client.get("/v1/models")).json()["models"][0]["aliases"] == {"champion": 1, "latest": 1}
