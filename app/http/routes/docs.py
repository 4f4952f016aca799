"""The HTTP reference: the OpenAPI document and two viewers of it, served from here and asking no other host."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse

from app.http.dependencies import mounted
from app.pages import render

STATIC = Path(__file__).parents[2] / "static"
Asset = Literal["swagger-ui.css", "swagger-ui-bundle.js", "swagger-init.js", "redoc-init.js", "redoc.standalone.js"]
# Both viewers write styles into the page, and ReDoc searches in a worker that it makes of text; no more is allowed.
POLICY = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; worker-src blob:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
}

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
def openapi(request: Request) -> JSONResponse:
    """The OpenAPI document; behind a proxy with the prefix that clients see as its server."""
    document, root = request.app.openapi(), mounted(request, "")
    return JSONResponse(document | {"servers": [{"url": root}]} if root else document)


@router.get("/docs")
def swagger(request: Request) -> HTMLResponse:
    """The reference with forms to try it."""
    return HTMLResponse(render("swagger.html", root=mounted(request, "")), headers=POLICY)


@router.get("/redoc")
def redoc(request: Request) -> HTMLResponse:
    """The reference to read."""
    return HTMLResponse(render("redoc.html", root=mounted(request, "")), headers=POLICY)


@router.get("/docs/assets/{file}")
def asset(file: Asset) -> FileResponse:
    """A file that the viewers load."""
    return FileResponse(STATIC / file, headers={"cache-control": "no-cache"})
