"""What FastAPI routes are handed: the parts that the lifespan keeps on ``app.state``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Path, Request

from app.http.schemas import Problem
from app.registry.registry import Registry

# What every documented route may answer besides its success.
PROBLEMS: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": Problem, "description": "what is wrong with the request"},
    "5XX": {"model": Problem, "description": "what is wrong with the server"},
}


def registry(request: Request) -> Registry:
    """The app's registry."""
    kept: Registry = request.app.state.registry
    return kept


RegistryPart = Annotated[Registry, Depends(registry)]
Version = Annotated[str, Path(description="a version number or an alias such as champion or latest")]
