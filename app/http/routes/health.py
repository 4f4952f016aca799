"""Liveness, readiness and metrics."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.datastructures import State
from starlette.responses import JSONResponse, Response

from app.errors import AppError
from app.http.surroundings import look
from app.inference.predictor import execution_providers
from app.specification.name import CHAMPION
from surrogate.errors import CorruptArtifact

router = APIRouter(tags=["health"])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", responses={503: {"description": "draining, or no model can be priced"}})
async def readyz(request: Request) -> JSONResponse:
    """Whether to send requests here, by which execution provider they are answered, and the models in memory."""
    state = request.app.state
    reason = "draining" if state.drain.draining else await unready(state)
    loaded = [
        {"model": predictor.name, "version": predictor.version, "provider": predictor.provider}
        for predictor in state.predictors.loaded()
    ]
    provider = loaded[-1]["provider"] if loaded else execution_providers(state.settings.provider)[0]
    answer: dict[str, Any] = {"status": reason or "ready", "provider": provider, "loaded": loaded}
    answer |= asdict(await look(state.registry.root, state.jobs))
    return JSONResponse(answer, status_code=503 if reason else 200)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus text of all API processes together, and of workers, queue and disk."""
    state = request.app.state
    surroundings = await look(state.registry.root, state.jobs)
    return Response(state.metrics.scrape(surroundings), media_type=CONTENT_TYPE_LATEST)


async def unready(state: State) -> str | None:
    """Why no model can be priced, or None; loads a first champion where none is in memory."""
    try:
        # An open database outlives its deleted file or unmounted folder.
        await asyncio.to_thread(state.registry.require_present)
        await state.jobs.require()
        names = state.registry.names()
        if not names:
            return "no model is published yet"
        if not state.predictors.loaded():
            await state.predictors.get(names[0], CHAMPION)
    except (AppError, OSError, CorruptArtifact) as error:
        return f"the registry cannot be read: {error}"
    return None
