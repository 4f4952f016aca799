from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import UnknownModel
from app.http.shortcut import Shortcut

pytestmark = pytest.mark.anyio

PRICE = "/v1/models/basket/price"
ROW = {"inputs": [[1.0, 1.0, 1.0]]}


class Endpoint:
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path_params"]["name"] == "unknown":
            raise UnknownModel("no model 'unknown'")
        await PlainTextResponse("endpoint")(scope, receive, send)


def client_of(app: ASGIApp, root_path: str = "") -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, root_path=root_path), base_url="http://test")


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
        for body in (ROW, {"inputs": [[1.0, 1.0]]}):
            one, other = await straight.post(PRICE, json=body), await mounted.post(f"/api{PRICE}", json=body)
            assert (one.status_code, one.content) == (other.status_code, other.content)
        metrics = (await straight.get("/metrics")).text
    for status in (200, 422):
        assert f'sobolite_requests_total{{handler="price",method="POST",status="{status}"}} 2.0' in metrics
