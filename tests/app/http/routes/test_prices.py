from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import numpy as np
import pytest
import torch
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import UnknownModel
from app.http.routes.prices import Shortcut
from app.main import create_app
from app.registry.registry import Registry
from app.settings import Settings
from pricing.specs.problem import PricingProblem
from surrogate.artifact.files import Artifact
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import Network, value_gradient_hessian

pytestmark = pytest.mark.anyio
JSON = {"content-type": "application/json"}

PRICE = "/v1/models/basket/price"
INSIDE = [1.0, 0.9, 1.1]


async def refused(client: httpx.AsyncClient, body: Any, **parameters: Any) -> tuple[int, dict[str, Any]]:
    answer = await client.post(PRICE, json=body, **parameters)
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == answer.status_code
    return answer.status_code, document


@pytest.mark.parametrize("rows", [1, 5, 1300])
async def test_answers_are_the_networks(client: httpx.AsyncClient, network: Network, rows: int) -> None:
    """Small requests in one call and large ones in chunks give the rows of the network, in order."""
    features = np.random.default_rng(2).uniform(0.5, 1.5, (rows, 3))
    answer = (await client.post(PRICE, json={"inputs": features.tolist()})).json()
    assert (answer["model"], answer["version"], answer["in_domain"]) == ("basket", 1, [True] * rows)
    value, delta, gamma = (part.numpy() for part in value_gradient_hessian(network, torch.from_numpy(features)))
    np.testing.assert_allclose(answer["value"], value, rtol=1e-12)
    np.testing.assert_allclose(answer["delta"], delta, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(answer["gamma"], gamma, rtol=1e-12, atol=1e-14)


async def test_columns_outputs_and_gamma_forms(client: httpx.AsyncClient) -> None:
    full = (await client.post(PRICE, json={"inputs": [INSIDE]})).json()
    columns = (await client.post(PRICE, json={"inputs": {"spot": [INSIDE]}})).json()
    assert columns == full
    part = (await client.post(PRICE, json={"inputs": [INSIDE], "outputs": ["gamma"], "gamma": "diagonal"})).json()
    assert set(part) == {"model", "version", "gamma", "in_domain"}
    assert part["gamma"] == [np.diag(full["gamma"][0]).tolist()]
    parallel = (await client.post(PRICE, json={"inputs": [INSIDE], "gamma": "parallel"})).json()
    np.testing.assert_allclose(parallel["gamma"], [np.sum(full["gamma"])], rtol=1e-12)


async def test_outside_is_refused_by_place_or_flagged(client: httpx.AsyncClient) -> None:
    inputs = [INSIDE, [1.0, 1.6, 1.0], INSIDE]
    status, problem = await refused(client, {"inputs": inputs})
    assert status == 422
    assert (problem["path"], problem["feature"], problem["bound"], problem["value"]) == (
        "inputs[1][1]",
        "spot[1]",
        1.5,
        1.6,
    )
    assert problem["detail"].startswith("row 1: spot[1] = 1.6 is outside its upper bound 1.5")
    answer = await client.post(PRICE, json={"inputs": inputs, "outside": "flag"})
    assert answer.json()["in_domain"] == [True, False, True]
    assert np.isfinite(answer.json()["value"]).all()


@pytest.fixture
def steep(settings: Settings, network: Network, artifact: Artifact, problem: PricingProblem) -> None:
    """Version 2 has weights so large that finite inputs overflow."""
    network = replace(network, weights=tuple(1e6 * weight for weight in network.weights))
    model = to_onnx(network, box=problem.box, metadata={})
    Registry(settings.registry).publish("basket", replace(artifact, model=model), job_id="steep")


@pytest.mark.usefixtures("steep")
@pytest.mark.parametrize("outputs", [["value"], ["delta"], ["gamma"]])
async def test_wild_inputs_get_no_nan(client: httpx.AsyncClient, outputs: list[str]) -> None:
    body = {"inputs": [INSIDE, [1e308, 1e308, -1e308]], "outside": "flag", "outputs": outputs}
    status, problem = await refused(client, body, params={"version": "2"})
    assert (status, problem["path"]) == (422, "inputs[1]")
    assert "not finite" in problem["detail"]


@pytest.mark.usefixtures("steep")
async def test_a_wild_request_does_not_spoil_its_neighbours(client: httpx.AsyncClient) -> None:
    bodies = ({"inputs": [INSIDE]}, {"inputs": [[1e308, 1e308, -1e308]], "outside": "flag"}) * 3
    answers = await asyncio.gather(*(client.post(PRICE, params={"version": "2"}, json=body) for body in bodies))
    assert [answer.status_code for answer in answers] == [200, 422] * 3


@pytest.mark.parametrize("version", ["1", "champion", "latest"])
async def test_versions(client: httpx.AsyncClient, version: str) -> None:
    answer = await client.post(PRICE, params={"version": version}, json={"inputs": [INSIDE]})
    assert answer.json()["version"] == 1


async def test_a_version_published_later_is_priced_at_once(
    client: httpx.AsyncClient, settings: Settings, artifact: Artifact
) -> None:
    assert (await refused(client, {"inputs": [INSIDE]}, params={"version": "2"}))[0] == 404
    elsewhere = Registry(settings.registry)
    elsewhere.publish("basket", artifact, job_id="second")
    priced = await client.post(PRICE, params={"version": "2"}, json={"inputs": [INSIDE]})
    assert priced.json()["version"] == 2
    assert (await client.post(PRICE, json={"inputs": [INSIDE]})).json()["version"] == 1
    elsewhere.set_alias("basket", "champion", 2)
    assert (await client.post(PRICE, json={"inputs": [INSIDE]})).json()["version"] == 2


async def test_a_misspelt_query_does_not_price_the_champion(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/models/basket/price?verson=2", json={"inputs": [[1.0, 1.0, 1.0]]})
    assert (answer.status_code, answer.json()["path"]) == (422, "verson")


async def test_unknown_models_and_methods(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/models/other/price", json={"inputs": [INSIDE]})
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:sobolite:problem:unknown-model")
    assert "the registry has basket" in answer.json()["detail"]
    answer = await client.get(PRICE)
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


@pytest.mark.parametrize(
    ("body", "status"),
    [(b"", 400), (b"{", 400), (b'{"inputs": [[NaN, 1, 1]]}', 422), (b'{"inputs": [[1, 1]]}', 422), (b"[]", 422)],
)
async def test_bad_bodies(client: httpx.AsyncClient, body: bytes, status: int) -> None:
    answer = await client.post(PRICE, content=body, headers=JSON)
    assert (answer.status_code, answer.json()["status"]) == (status, status)


async def test_compressed_bodies_are_refused(client: httpx.AsyncClient) -> None:
    assert (await refused(client, {"inputs": [INSIDE]}, headers={"content-encoding": "gzip"}))[0] == 415


@pytest.mark.parametrize("seconds", ["0", "-1", "soon", "nan", "inf", "1_0"])
async def test_a_deadline_is_a_positive_number(client: httpx.AsyncClient, seconds: str) -> None:
    status, problem = await refused(client, {"inputs": [INSIDE]}, headers={"request-timeout": seconds})
    assert (status, problem["path"]) == (422, "request-timeout")


async def test_a_deadline_is_kept(client: httpx.AsyncClient) -> None:
    answer = await client.post(PRICE, json={"inputs": [INSIDE]}, headers={"request-timeout": "30"})
    assert answer.status_code == 200
    assert (await refused(client, {"inputs": [INSIDE] * 1000}, headers={"request-timeout": "1e-9"}))[0] == 504


class TestLimits:
    """With limits so small that a few rows meet them."""

    @pytest.fixture
    async def app(self, settings: Settings) -> AsyncIterator[FastAPI]:
        small = {
            "max_rows": 3,
            "body_bytes": 2048,
            "control_bytes": 2048,
            "response_bytes": 1024,
            "queue_bytes": 3072,
            "queue_requests": 4,
        }
        app = create_app(settings.model_copy(update=small))
        async with app.router.lifespan_context(app):
            yield app

    @pytest.fixture
    async def client(self, app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            yield client

    async def test_rows(self, client: httpx.AsyncClient) -> None:
        status, problem = await refused(client, {"inputs": [INSIDE] * 4})
        assert (status, problem["bound"]) == (413, 3)
        assert (await client.post(PRICE, json={"inputs": [INSIDE] * 3, "outputs": ["value"]})).status_code == 200

    async def test_answer(self, client: httpx.AsyncClient) -> None:
        status, problem = await refused(client, {"inputs": [INSIDE] * 3})
        assert (status, problem["bound"]) == (413, 1024)
        assert "fewer outputs" in problem["detail"]

    async def test_body_by_its_announced_length_and_while_reading(self, client: httpx.AsyncClient) -> None:
        read = 0

        async def pieces() -> AsyncIterator[bytes]:
            nonlocal read
            for _ in range(100):
                read += 100
                yield b" " * 100

        for content in (b" " * 2049, pieces()):
            answer = await client.post(PRICE, content=content, headers=JSON)
            assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
            assert "the limit of 2048 bytes" in answer.json()["detail"]
            assert answer.json()["type"] == "urn:sobolite:problem:too-large"
        assert read < 3000
        answer = await client.put("/v1/models/basket/aliases/champion", content=b" " * 2049, headers=JSON)
        assert answer.status_code == 413

    async def test_overload(self, client: httpx.AsyncClient, app: FastAPI) -> None:
        """Clients that do not finish their bodies hold no place; requests in progress send the next one away."""
        release = asyncio.Event()

        async def stuck() -> AsyncIterator[bytes]:
            yield b'{"inputs":'
            await release.wait()
            yield json.dumps([INSIDE]).encode() + b"}"

        waiting = [asyncio.create_task(client.post(PRICE, content=stuck(), headers=JSON)) for _ in range(4)]
        await asyncio.sleep(0.1)
        assert (await client.post(PRICE, json={"inputs": [INSIDE]})).status_code == 200
        app.state.admission.in_progress += 4
        answer = await client.post(PRICE, json={"inputs": [INSIDE]})
        app.state.admission.in_progress -= 4
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert answer.json()["type"] == "urn:sobolite:problem:overloaded"
        release.set()
        assert [(await one).status_code for one in waiting] == [200] * 4
        assert (app.state.admission.in_progress, app.state.admission.held) == (0, 0)
        assert (await client.post(PRICE, json={"inputs": [INSIDE]})).status_code == 200


class Endpoint:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path_params"]["name"] == "unknown":
            raise UnknownModel("no model 'unknown'")
        await PlainTextResponse("endpoint")(scope, receive, send)


def client_of(app: ASGIApp, root_path: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, root_path=root_path), base_url="http://localhost")


async def test_only_the_route_skips_the_app() -> None:
    route = Route("/{name}/price", Endpoint(), methods=["POST"])
    async with client_of(Shortcut(PlainTextResponse("app"), route)) as client:
        assert (await client.post("/a/price")).text == "endpoint"
        for method, path in (("GET", "/a/price"), ("POST", "/a/b/price"), ("POST", "/a/price/"), ("POST", "/a")):
            assert (await client.request(method, path)).text == "app"
        refused = await client.post("/unknown/price")
    assert (refused.status_code, refused.headers["content-type"]) == (404, "application/problem+json")
    assert refused.json()["type"] == "urn:sobolite:problem:unknown-model"


async def test_under_a_root_path_the_router_answers_the_same(served: FastAPI) -> None:
    async with client_of(served) as straight, client_of(served, root_path="/api") as mounted:
        for body in ({"inputs": [INSIDE]}, {"inputs": [[1.0, 1.0]]}):
            one, other = await straight.post(PRICE, json=body), await mounted.post(f"/api{PRICE}", json=body)
            assert (one.status_code, one.content) == (other.status_code, other.content)
        metrics = (await straight.get("/metrics")).text
    for status in (200, 422):
        assert f'sobolite_requests_total{{handler="price",method="POST",status="{status}"}} 2.0' in metrics
