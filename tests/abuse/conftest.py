"""One valid example of a request to every route: the tables of abuse are made from it, and a new route must join."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from starlette.routing import Route

from app.main import create_app
from app.settings import Settings
from tests.app.conftest import TINY, artifact, client, network, own_environment, problem, served, settings, template

# Fixtures of the app's tests.
__all__ = [
    "TINY", "artifact", "client", "network", "own_environment", "problem", "served", "settings", "template"
]  # fmt: skip


@dataclass(frozen=True)
class Example:
    """A request that a route takes, and the status of its answer in a registry of one model."""

    path: str
    status: int = 200
    body: Any = None
    file: bytes | None = None

    @property
    def sent(self) -> dict[str, Any]:
        """What `httpx` sends with it."""
        if self.file is not None:
            return {"files": {"file": ("labels.csv", self.file)}}
        return {} if self.body is None else {"json": self.body}


VERSION = "/v1/models/basket/versions/1"
RETRAIN = {"kind": "retrain", "spec": {"model": "basket", "changes": {}}}
EXAMPLES: dict[tuple[str, str], Example] = {
    ("GET", "/openapi.json"): Example("/openapi.json"),
    ("GET", "/docs"): Example("/docs"),
    ("GET", "/docs/assets/{file}"): Example("/docs/assets/swagger-init.js"),
    ("GET", "/redoc"): Example("/redoc"),
    ("POST", "/v1/models/{name}/price"): Example(
        "/v1/models/basket/price", body={"inputs": [[1.0, 1.0, 1.0]], "outputs": ["value"]}
    ),
    ("GET", "/healthz"): Example("/healthz"),
    ("GET", "/readyz"): Example("/readyz"),
    ("GET", "/metrics"): Example("/metrics"),
    ("GET", "/v1/models"): Example("/v1/models"),
    ("GET", "/v1/models/{name}/versions/{version}"): Example(VERSION),
    ("GET", "/v1/models/{name}/versions/{version}/model.onnx"): Example(f"{VERSION}/model.onnx"),
    ("GET", "/v1/models/{name}/versions/{version}/report"): Example(f"{VERSION}/report"),
    ("GET", "/v1/models/{name}/versions/{version}/training"): Example(f"{VERSION}/training", 404),
    ("PUT", "/v1/models/{name}/aliases/{alias}"): Example("/v1/models/basket/aliases/champion", body={"version": 1}),
    ("POST", "/v1/jobs"): Example("/v1/jobs", 422, body=RETRAIN),  # whose model was made without a build
    ("GET", "/v1/jobs"): Example("/v1/jobs"),
    ("GET", "/v1/jobs/{job}"): Example("/v1/jobs/none", 404),
    ("GET", "/v1/jobs/{job}/report"): Example("/v1/jobs/none/report", 404),
    ("GET", "/v1/jobs/{job}/events"): Example("/v1/jobs/none/events", 404),
    ("POST", "/v1/jobs/{job}/cancel"): Example("/v1/jobs/none/cancel", 404),
    ("POST", "/v1/jobs/{job}/resume"): Example("/v1/jobs/none/resume", 404),
    ("DELETE", "/v1/jobs/{job}"): Example("/v1/jobs/none", 404),
    ("DELETE", "/v1/datasets/{dataset}"): Example("/v1/datasets/none", 404),
    ("POST", "/v1/datasets"): Example("/v1/datasets", 201, file=b"x0,y\n1,2\n2,3\n"),
    ("GET", "/v1/datasets"): Example("/v1/datasets"),
    ("GET", "/v1/datasets/{dataset}"): Example("/v1/datasets/none", 404),
}
CHANGING = [route for route in EXAMPLES if route[0] not in ("GET", "HEAD")]
READING_JSON = [route for route, example in EXAMPLES.items() if example.body is not None]


def table(app: FastAPI) -> set[tuple[str, str]]:
    """Method and path of every route, without HEAD beside GET."""
    found = set()
    for route in routes(app.routes):
        methods = set(route.methods or ())
        found |= {(method, route.path) for method in methods - ({"HEAD"} if "GET" in methods else set())}
    return {(method, path) for method, path in found if method != "HEAD"}


def routes(tree: Any) -> list[Route]:
    """Every route, those of included routers too."""
    found: list[Route] = []
    for route in tree:
        inner = getattr(route, "original_router", None)
        if isinstance(route, Route):
            found.append(route)
        elif inner is not None:
            found += routes(inner.routes)
    return found


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Service:
    """The running application and its client."""

    app: FastAPI
    client: httpx.AsyncClient
    headers: dict[str, str] = field(default_factory=dict)

    async def send(self, route: tuple[str, str], **other: Any) -> httpx.Response:
        """The example of a route with changes."""
        example = EXAMPLES[route]
        return await self.client.request(route[0], example.path, **(example.sent | other))


@pytest.fixture
async def service(settings: Settings) -> AsyncIterator[Service]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as client:
            yield Service(app, client)


@pytest.fixture
async def bundled(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application with default limits and the bundled model."""
    app = create_app(Settings(registry=tmp_path / "registry", drain_seconds=0.0, least_free_disk=0))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as asking:
            yield asking
