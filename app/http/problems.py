"""Every error answer as ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from functools import cache
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.errors import STATUS, InvalidRequest, TooLarge, disk_full
from pricing.errors import clipped

MEDIA_TYPE = "application/problem+json"
# Seconds after which a client refused for overload may come back: a full queue drains in about a second.
RETRY_AFTER = {"retry-after": "1"}
# What a client without a token is to bring.
CHALLENGE = {"www-authenticate": "Bearer"}
# Faults that are told of one request, and characters of each one's sentence and path: an answer is a few kB.
MAXIMUM_ERRORS, MAXIMUM_TOLD = 10, 400


def problem(
    kind: type[Exception], status: int, detail: str, *, fields: Mapping[str, Any], headers: Mapping[str, str] | None
) -> Response:
    """The problem document of an error class."""
    name = _kind(kind)
    document = {
        "type": f"urn:sobolite:problem:{name}",
        "title": name.replace("-", " ").capitalize(),
        "status": status,
        "detail": clipped(detail),
        **{field: clipped(value, MAXIMUM_TOLD) if isinstance(value, str) else value for field, value in fields.items()},
    }
    return Response(orjson.dumps(document, default=str), status, headers, MEDIA_TYPE)


def _kind(kind: type[Exception]) -> str:
    """An error class as problem documents and metrics call it.

    >>> _kind(TooLarge)
    'too-large'
    """
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", kind.__name__).lower()


async def answer(request: Request, error: Exception) -> Response:
    """The problem document of an exception that `app.errors.STATUS` or the framework foresees, or of a full disk."""
    error = disk_full(error) or error
    if isinstance(error, HTTPException):
        return _http(request, error)
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if status is None:
        raise error
    request.scope["refusal"] = _kind(type(error))
    headers = {HTTPStatus.SERVICE_UNAVAILABLE: RETRY_AFTER, HTTPStatus.UNAUTHORIZED: CHALLENGE}.get(HTTPStatus(status))
    return problem(type(error), status, str(error), fields=getattr(error, "fields", {}), headers=headers)


def _http(request: Request, error: HTTPException) -> Response:
    phrase = HTTPStatus(error.status_code).phrase
    kind = TooLarge if error.status_code == STATUS[TooLarge] else _named(phrase)
    request.scope["refusal"] = _kind(kind)
    detail = error.detail if error.detail != phrase else f"{request.method} {request.url.path}: {phrase.lower()}"
    return problem(kind, error.status_code, detail, fields={}, headers=error.headers)


@cache
def _named(phrase: str) -> type[Exception]:
    """An error class of a status that no exception of ours stands for; one made for each answer would pile up."""
    return type(phrase.title().replace(" ", ""), (Exception,), {})


async def _invalid(request: Request, error: Exception) -> Response:
    """FastAPI's validation error: one sentence for each field, the first one's path as ``path``."""
    assert isinstance(error, RequestValidationError)
    request.scope["refusal"] = _kind(InvalidRequest)
    wrong = [_fault(e) for e in error.errors()[:MAXIMUM_ERRORS]]
    more = len(error.errors()) - len(wrong)
    detail = "; ".join(f"{e['path']}: {e['message']}" for e in wrong) + (f"; and {more} more" if more else "")
    return problem(InvalidRequest, 422, detail, fields={"path": wrong[0]["path"], "errors": wrong}, headers=None)


def _fault(error: Mapping[str, Any]) -> dict[str, str]:
    """Where pydantic found a fault, and its sentence with what was there."""
    given, sentence = error.get("input"), str(error["msg"])
    if error["type"] == "missing":
        sentence = "is missing; give it"
    elif isinstance(given, str | int | float | bool | None):
        sentence = f"{sentence[:1].lower()}{sentence[1:]}, got {given!r:.80}"
    elif isinstance(given, list | tuple | dict):
        sentence = f"{sentence[:1].lower()}{sentence[1:]}, got {'an object' if isinstance(given, dict) else 'a list'}"
    return {"path": clipped(".".join(map(str, error["loc"])), MAXIMUM_TOLD), "message": clipped(sentence, MAXIMUM_TOLD)}


def unseen(status: int, detail: str, request_id: str) -> tuple[bytes, str]:
    """The bytes that answer a request which the application has not seen, and the kind of its problem."""
    kind = _named(HTTPStatus(status).phrase)
    headers = {"x-request-id": request_id, "x-content-type-options": "nosniff", "connection": "close"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers |= RETRY_AFTER
    response = problem(kind, status, detail, fields={}, headers=headers)
    fields = b"".join(b"%b: %b\r\n" % pair for pair in response.raw_headers)
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode()
    return head + fields + b"\r\n" + bytes(response.body), _kind(kind)


def unexpected() -> Response:
    """The answer to a failure of ours, which tells nothing of its reason."""
    detail = "the server failed; its log has the reason under this answer's X-Request-ID"
    return problem(RuntimeError, 500, detail, fields={}, headers=None)


def install(app: FastAPI) -> None:
    """Answer what ``app`` foresees with problem documents; the rest is for `app.http.observe.Observe`."""
    for kind in (*STATUS, HTTPException, OSError, sqlite3.Error, DBAPIError):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(RequestValidationError, _invalid)
