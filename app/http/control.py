"""JSON of control routes: read strictly, off the event loop and one at a time, before FastAPI sees it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.types import Scope

from app.errors import InvalidRequest, NotJson, UnsupportedBody
from pricing.errors import InvalidSpec
from pricing.specs.plain import MAXIMUM_INTEGER, require_plain

MEDIA_TYPE = b"application/json"
IDENTITY = b"identity"
# Digits of an integer that are read; Python's own time grows with their square.
MAXIMUM_DIGITS = len(str(MAXIMUM_INTEGER)) + 1


class ControlRoute(APIRoute):
    """A FastAPI route whose JSON body is read by `read_document` in a thread."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's handler with the document in its hands."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle

        async def handled(request: Request) -> Response:
            require_json(request.scope)
            body = await request.body()
            async with request.app.state.reading:  # threads that parse share one interpreter with the event loop
                request._json = await asyncio.to_thread(read_document, body)  # what `Request.json` keeps
            return await handle(request)

        return handled


def require_json(scope: Scope) -> None:
    """Raise UnsupportedBody unless the body is said to be JSON, as it is: a foreign page cannot say so unasked."""
    headers = dict(scope["headers"])
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() != MEDIA_TYPE:
        raise UnsupportedBody("send JSON with the header Content-Type: application/json", path="Content-Type")
    require_plain_coding(headers)


def require_plain_coding(headers: Mapping[bytes, bytes]) -> None:
    """Raise UnsupportedBody for a body that is compressed."""
    if headers.get(b"content-encoding", IDENTITY).strip().lower() != IDENTITY:
        raise UnsupportedBody(
            "send the body without Content-Encoding: compressing it costs more than it saves", path="Content-Encoding"
        )


def read_document(body: bytes) -> object:
    """The JSON document of a body, in time linear in its length.

    Raises:
        NotJson: it is none.
        InvalidRequest: it repeats a name, or holds what no field of a request takes.
    """
    try:
        document = json.loads(body.decode("utf-8"), parse_int=integer, parse_constant=constant, object_pairs_hook=table)
    except UnicodeDecodeError as error:
        raise NotJson("the body is not UTF-8") from error
    except json.JSONDecodeError as error:
        raise NotJson(f"the body is not valid JSON: {error}") from error
    except RecursionError as error:
        raise InvalidRequest("the body nests far deeper than any request") from error
    try:
        require_plain(document)
    except InvalidSpec as error:
        raise InvalidRequest(str(error), **error.fields) from error
    return document


def integer(digits: str) -> int:
    """An integer of at most 64 bits."""
    if len(digits) > MAXIMUM_DIGITS:
        raise InvalidRequest(f"an integer has at most 64 bits, got one of {len(digits)} digits")
    return int(digits)


def constant(name: str) -> NoReturn:
    """Refuse NaN and Infinity, which JSON does not have."""
    raise InvalidRequest(f"a number must be finite, got {name}")


def table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, every name in it once."""
    whole = dict(pairs)
    if len(whole) < len(pairs):
        seen = set[str]()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise InvalidRequest(f"an object names each field once, got {twice[:40]!r} again")
    return whole
