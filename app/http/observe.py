"""The ASGI middleware that observes requests: ids, metrics, log lines, failures."""

from __future__ import annotations

import os
import re
import time
from http import HTTPStatus

import structlog
from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.http.door import NOSNIFF
from app.http.problems import unexpected, unseen
from app.http.shutdown import Drain
from app.telemetry import REQUEST, Metrics

# A client's own request id is kept when it can do no harm in a log or a header.
GIVEN_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# The route that answers tens of thousands of requests a second; only its failures get a log line.
UNLOGGED = frozenset({"price"})
# The route or method of what no route has seen.
UNSEEN = "none"
# Who asked, where the connection does not say.
UNKNOWN = "unknown"


class Observe:
    """ASGI middleware: request id, metrics, one log line a request, failures, closing connections while draining."""

    def __init__(self, app: ASGIApp, metrics: Metrics, drain: Drain) -> None:
        self.app = app
        self.metrics = metrics
        self.drain = drain
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app and observe its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0
        request_id = _request_id(scope)
        client = scope.get("client")
        REQUEST.set((request_id, client[0] if client else UNKNOWN))

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = [NOSNIFF, (b"x-request-id", request_id.encode())]
                if self.drain.draining:
                    added.append((b"connection", b"close"))
                message["headers"] = [*message["headers"], *added]
            await send(message)

        try:
            await self.app(scope, receive, observed)
        except Exception:
            structlog.get_logger().exception("request failed")
            if status:  # an answer cut off must look cut off
                raise
            await unexpected()(scope, receive, observed)
        finally:
            self._record(scope, status, time.perf_counter() - start)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        handler = getattr(scope.get("endpoint"), "__name__", UNSEEN)
        self._count(handler, scope["method"], status, seconds)
        if status >= HTTPStatus.BAD_REQUEST:
            self.metrics.refusals.labels(scope.get("refusal", f"http-{status}")).inc()
        if handler not in UNLOGGED or status >= HTTPStatus.BAD_REQUEST:
            line = {"method": scope["method"], "path": scope["path"], "status": status, "seconds": round(seconds, 6)}
            structlog.get_logger().info("request", **line)

    def _count(self, handler: str, method: str, status: int, seconds: float) -> None:
        key = (handler, method, status)
        if key not in self._series:  # looking a series up by its labels costs more than counting
            requests = self.metrics.requests.labels(handler, method, status)
            self._series[key] = requests, self.metrics.seconds.labels(handler)
        count, duration = self._series[key]
        count.inc()
        duration.observe(seconds)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and GIVEN_ID.fullmatch(value):
            return str(value, "ascii")
    return new_id()


def new_id() -> str:
    """Of a request, for the client to tell and for nobody to guess."""
    return os.urandom(8).hex()


def refuse(metrics: Metrics, status: int, detail: str, client: str | None) -> bytes:
    """Answer a request that the application has not seen, with a count and a log line as if it had."""
    request_id = new_id()
    answer, kind = unseen(status, detail, request_id)
    metrics.requests.labels(UNSEEN, UNSEEN, status).inc()
    metrics.refusals.labels(kind).inc()
    asked = {"request_id": request_id, "who": client or UNKNOWN}
    structlog.get_logger().info("request", **asked, method=UNSEEN, status=status, detail=detail)
    return answer
