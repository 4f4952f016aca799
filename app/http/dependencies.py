"""What FastAPI routes are handed: the parts that the lifespan keeps on ``app.state``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, Path, Request
from fastapi.dependencies.models import Dependant
from starlette.datastructures import QueryParams

from app.errors import InvalidRequest
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


def mounted(request: Request, path: str) -> str:
    """A path as clients see it: below the prefix that a proxy has taken off (``--root-path``)."""
    root: str = request.scope.get("root_path", "")
    return root.rstrip("/") + path


def require_known(query: QueryParams, known: frozenset[str]) -> None:
    """Refuse a parameter that would change nothing, or that is given twice.

    Raises:
        InvalidRequest: names it and those that there are.
    """
    seen: set[str] = set()
    for name, _ in query.multi_items():
        if name not in known:
            takes = f"takes {', '.join(sorted(known))}" if known else "takes no parameters"
            raise InvalidRequest(f"the query {takes}, got {name[:80]!r}; leave it out", path=name[:80])
        if name in seen:
            raise InvalidRequest(f"the query has {name!r} more than once; give it once", path=name)
        seen.add(name)


async def known_query(request: Request) -> None:
    """For every route: its query holds nothing but its own parameters.

    Raises:
        InvalidRequest: see `require_known`.
    """
    if request.scope["query_string"]:
        require_known(request.query_params, frozenset(_parameters(request.scope["route"].dependant)))


def _parameters(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for below in dependant.dependencies:
        yield from _parameters(below)
