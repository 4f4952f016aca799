"""Every route refuses query parameters that it does not have or that are given twice; a new one joins by itself."""

from __future__ import annotations

import re
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from app.main import create_app
from app.settings import Settings

pytestmark = pytest.mark.anyio

# One value for every parameter of a path; none needs to exist: a query is looked at first.
PLACES = {"file": "swagger-ui.css", "version": "1", "name": "basket"}
STRANGE = ["?verison=1", "?a", "?=", "?%76ersion%00=1", "?limit[]=1", "?__proto__=1", "?" + "x" * 5000, "?a=1&a=2"]


def routes() -> list[tuple[str, str]]:
    """Method and address of every route."""
    app = create_app(Settings())
    found = set(walk(app))
    assert ("GET", "/v1/jobs") in found
    assert ("GET", "/docs") in found
    return sorted(found)


def walk(app: FastAPI) -> Iterator[tuple[str, str]]:
    for path, methods in app.openapi()["paths"].items():
        yield from ((method.upper(), filled(path)) for method in methods)
    for route in app.router.routes:
        included = getattr(route, "original_router", None)
        for one in included.routes if included is not None else [route]:
            if isinstance(one, Route):
                yield from ((method, filled(one.path)) for method in one.methods or ())


def filled(path: str) -> str:
    return re.sub(r"\{(\w+)(:\w+)?\}", lambda match: PLACES.get(match[1], "some"), path)


@pytest.mark.parametrize(("method", "path"), routes())
async def test_a_query_that_a_route_does_not_have_is_refused(client: httpx.AsyncClient, method: str, path: str) -> None:
    for query in STRANGE:
        # JSON that routes take as such: what is wrong is the query.
        inputs, changes = {"inputs": [[1.0, 1.0, 1.0]]}, {"version": 1, "kind": "train", "spec": {}}
        body = {"json": inputs if path.endswith("/price") else changes} if method in ("POST", "PUT") else {}
        answer = await client.request(method, path + query, **body)  # type: ignore[arg-type]
        assert answer.status_code == 422, (query, answer.text)
        if method != "HEAD":
            assert answer.headers["content-type"] == "application/problem+json"
            assert len(answer.content) < 1000


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=" + "1" + "0" * 30,
        "limit=9" + "9" * 5000,
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "cursor=garbage",
        "cursor=" + "A" * 600,
        "state=done",
        "kind=sell",
        "state=queued&state=failed",
        "model=" + "m" * 300,
    ],
)
async def test_impossible_pages_are_refused(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@pytest.mark.parametrize("query", ["state=queued", "mod%65l=none", "model=%F0%9F%92%A9", "limit=200&kind=prune", ""])
async def test_possible_pages_are_answered(client: httpx.AsyncClient, query: str) -> None:
    answer = await client.get(f"/v1/jobs?{query}")
    assert (answer.status_code, answer.json()) == (200, {"jobs": []})
