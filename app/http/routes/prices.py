"""POST /v1/models/{name}/price: the hot route, plain ASGI. Its OpenAPI page is in `app.http.openapi`."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from functools import partial
from typing import Any

from starlette.datastructures import QueryParams, State
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from app.errors import STATUS, DeadlineExceeded, InvalidRequest, TooLarge
from app.http.control import require_json, require_plain_coding
from app.http.dependencies import require_known
from app.http.limits import SMALL_BYTES, Ticket, route_path
from app.http.price_json import Query, answer_bytes, assemble, encode, parse
from app.http.problems import answer
from app.inference.predictor import Predictor
from app.settings import Settings
from app.specification.client_text import to_float
from app.specification.name import CHAMPION
from app.telemetry import Metrics
from pricing.types import BoolArray

PATH = "/v1/models/{name}/price"
TIMEOUT = "request-timeout"
# Below this a body is read sooner than it is handed to a thread; one of many megabytes would hold up the event loop.
INLINE_BYTES = SMALL_BYTES
JSON = (b"content-type", b"application/json")
# What the endpoint raises that has an answer of its own.
FORESEEN: tuple[type[Exception], ...] = (*STATUS, HTTPException)


class Price:
    """ASGI endpoint; an object rather than a function so that the answer counts as held until it is sent."""

    __name__ = "price"  # what metrics and logs call it

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        headers = dict(scope["headers"])
        if headers.get(b"content-type") != JSON[1]:
            require_json(scope)
        if b"content-encoding" in headers:
            require_plain_coding(headers)
        seconds = timeout(headers[b"request-timeout"]) if b"request-timeout" in headers else None
        state = scope["app"].state
        with state.admission.ticket() as ticket:
            work = price(scope, receive, state, ticket)
            pieces = await (work if seconds is None else within(seconds, work))
            ticket.leave()
            length = (b"content-length", b"%d" % sum(map(len, pieces)))
            await send({"type": "http.response.start", "status": 200, "headers": [JSON, length]})
            for piece in pieces[:-1]:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": pieces[-1]})


def asked_version(query_string: bytes) -> str:
    """The one parameter of the query string.

    Raises:
        InvalidRequest: it has another one, which would silently price the champion, or two of it.
    """
    query = QueryParams(query_string)
    require_known(query, frozenset({"version"}))
    return query.get("version", CHAMPION)


async def within(seconds: float, work: Coroutine[Any, Any, list[bytes]]) -> list[bytes]:
    """The result of ``work``.

    Raises:
        DeadlineExceeded: it was not there in time.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError as error:
        raise DeadlineExceeded(f"not answered within the {TIMEOUT} of {seconds} s") from error


ROUTE = Route(PATH, Price(), methods=["POST"], name="price")


class Shortcut:
    """ASGI middleware: what ``route`` matches goes past FastAPI's stack, which costs several times what a price does.

    The app's router has the route as well, for other methods. This is the innermost
    middleware, so the endpoint is observed and limited like any other.
    """

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self.app = app
        self.route = route
        self.methods = route.methods or ()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the route's endpoint or the app."""
        match = scope["type"] == "http" and self.route.path_regex.match(route_path(scope))
        if not match or scope["method"] not in self.methods:
            await self.app(scope, receive, send)
            return
        scope["endpoint"], scope["path_params"] = self.route.endpoint, match.groupdict()
        try:
            await self.route.app(scope, receive, send)
        except FORESEEN as error:
            response = await answer(Request(scope), error)
            await response(scope, receive, send)


async def price(scope: Scope, receive: Receive, state: State, ticket: Ticket) -> list[bytes]:
    """Registry, body, domain, batch, answer in pieces.

    Raises:
        AppError, OutOfDomain: see `app.errors.STATUS`.
    """
    name, query_string = scope["path_params"]["name"], scope["query_string"]
    version = asked_version(query_string) if query_string else CHAMPION
    predictor = await state.predictors.get(name, version)
    body = await read(receive, ticket)
    ticket.enter()
    work = body, predictor, state.settings, state.metrics
    query, in_domain, size = (
        understand(*work) if len(body) < INLINE_BYTES else await asyncio.to_thread(understand, *work)
    )
    ticket.charge(size)
    outputs = predictor.needed(query.outputs, query.derived) if query.derived else query.outputs
    parts = await state.batcher.run(predictor, query.features, partial(encode, query), outputs)
    return assemble(name, predictor.version, query, parts, in_domain=in_domain)


def understand(body: bytes, predictor: Predictor, settings: Settings, metrics: Metrics) -> tuple[Query, BoolArray, int]:
    """The query, which of its rows lie in the Box, and a bound on the answer's bytes. Shape: -> query; batch; size.

    Args:
        metrics: count the rows that do not.

    Raises:
        NotJson, InvalidRequest, TooLarge: see `parse`; also TooLarge for too large an answer.
        OutOfDomain: rows lie outside and the request does not say ``outside="flag"``.
    """
    box = predictor.box
    query = parse(body, box, max_rows=settings.max_rows, known=predictor.sizes, find=predictor.further.find)
    size = answer_bytes(query, predictor.sizes)
    if size > settings.response_bytes:
        raise TooLarge(
            f"{len(query.features)} rows of these outputs make an answer of up to {size} bytes, the "
            f"limit is {settings.response_bytes}; send fewer rows or ask for fewer outputs",
            path="inputs",
            bound=settings.response_bytes,
        )
    in_domain = box.contains(query.features)
    if not in_domain.all():
        metrics.of_model(predictor.name)[1].inc(len(in_domain) - int(in_domain.sum()))
        if query.outside == "error":
            box.check(query.features)
    return query, in_domain, size


async def read(receive: Receive, ticket: Ticket) -> bytes:
    """The whole body, charged as it comes in."""
    chunks, more, uncharged = [], True, 0
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        uncharged += len(chunks[-1])
        if uncharged >= SMALL_BYTES:
            ticket.charge(uncharged)
            uncharged = 0
        more = message.get("more_body", False)
    return b"".join(chunks)


def timeout(given: bytes) -> float:
    """Seconds of the client's deadline.

    Raises:
        InvalidRequest: not a positive number.
    """
    text = given.decode("latin-1")
    seconds = to_float(text)
    if seconds is None or not 0.0 < seconds < math.inf:
        raise InvalidRequest(f"{TIMEOUT} must be a positive number of seconds, got {text!r}", path=TIMEOUT)
    return seconds
