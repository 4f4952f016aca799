"""The HTTP application: ``uvicorn --factory app.main:create_app``. Torch-free.

A price request takes three hops: `routes.prices` -> `registry` (inside `predictor.Predictors`) -> `batcher`.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

import structlog
from fastapi import Depends, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.telemetry import TelemetryConfig
from starlette.types import ASGIApp

from app.http import problems
from app.http.dependencies import known_query
from app.http.door import Door
from app.http.limits import Admission, BodyLimit
from app.http.observe import Observe
from app.http.openapi import describe
from app.http.routes import datasets, docs, health, jobs, models, prices
from app.http.shutdown import Drain
from app.inference.batcher import Batcher
from app.inference.predictor import Predictors
from app.jobs.queue import Jobs
from app.registry.registry import Registry
from app.settings import Settings
from app.telemetry import Metrics, configure_logging

# Objects made and not yet dropped before the collector looks for cycles. The requests in progress hold thousands and
# leave no cycles; at the default of 700 a collection that finds nothing runs every few requests.
COLLECT_AFTER = 50_000
# What a page of the setting `origins` may say and hear, beyond what every page may.
ASKED = (
    "authorization",
    "content-type",
    "idempotency-key",
    "if-none-match",
    "last-event-id",
    "range",
    "request-timeout",
)
TOLD = ("content-range", "etag", "location", "repr-digest", "retry-after", "x-request-id")
# Otherwise FastAPI asks OpenTelemetry at every request, for microseconds, whether anybody has set it up.
UNTRACED: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}


def create_app(settings: Settings | None = None) -> FastAPI:
    """The application, by default with `Settings` from the environment."""
    settings = settings or Settings()
    configure_logging(settings.log_level)
    app = FastAPI(
        title="Sobolite",
        summary="Option-pricing surrogates with value, delta and gamma.",
        version="1",
        lifespan=lifespan,
        telemetry=UNTRACED,
        dependencies=[Depends(known_query)],
        openapi_url=None,  # `routes.docs` has it, and viewers that load nothing from elsewhere
        redirect_slashes=False,  # a redirect would repeat whatever Host the client gave
    )
    app.state.settings = settings
    app.state.metrics = Metrics()
    app.state.reading = asyncio.Lock()
    app.state.drain = Drain(settings.drain_seconds)
    app.state.admission = Admission(requests=settings.queue_requests, size=settings.queue_bytes)
    app.add_middleware(prices.Shortcut, route=prices.ROUTE)
    uploads = {datasets.PATH: settings.dataset_bytes + datasets.ENVELOPE}
    app.add_middleware(BodyLimit, limit=settings.control_bytes, prices=settings.body_bytes, special=uploads)
    app.add_middleware(Door, settings=settings)
    if settings.origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.origins,
            allow_methods=("GET", "POST", "PUT", "DELETE"),
            allow_headers=ASKED,
            expose_headers=TOLD,
        )
    app.add_middleware(Observe, metrics=app.state.metrics, drain=app.state.drain)
    app.router.routes.append(prices.ROUTE)
    for part in (health, models, jobs, datasets, docs):
        app.include_router(part.router)
    problems.install(app)
    app.openapi = partial(describe, app)  # type: ignore[method-assign]  # the way FastAPI documents
    app.middleware_stack = observed(app)
    return app


def observed(app: FastAPI) -> ASGIApp:
    """The layers from `Observe` inwards: it answers and logs failures, as what FastAPI hangs before it would again."""
    layer: Any = app.build_middleware_stack()
    while not isinstance(layer, Observe):
        layer = layer.app
    return layer


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the registry, load a first model, serve, close."""
    state, settings = app.state, app.state.settings
    state.registry = await asyncio.to_thread(Registry, settings.registry)
    await asyncio.to_thread(state.registry.seed, settings.bundled)
    state.predictors = Predictors(
        state.registry,
        provider=settings.provider,
        capacity=settings.loaded_models,
        tell=state.metrics.loaded.set,
    )
    state.batcher = Batcher(state.metrics, threads=settings.chunk_threads, batch_rows=settings.batch_rows)
    state.jobs = Jobs(settings)
    state.importing = asyncio.Lock()
    with closing(state.registry), closing(state.batcher), closing(state.jobs):
        reason = await health.unready(state)
        structlog.get_logger().info("serving", registry=str(settings.registry), ready=reason or True)
        state.drain.install()
        gc.collect()
        gc.freeze()  # what start-up made lives until the end: no collection need look at it again
        gc.set_threshold(COLLECT_AFTER)
        yield
