"""Metrics for Prometheus, JSON log lines with a request id, and the ASGI middleware that feeds both."""

from __future__ import annotations

import re
import secrets
import sys
import time
from http import HTTPStatus
from typing import Any, Literal

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.drain import Drain
from app.problems import unexpected

# A client's own request id is kept when it can do no harm in a log or a header.
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
# Seconds: one small call is tens of microseconds, one full request of many rows a second.
SECONDS = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
ROWS = tuple(float(1 << power) for power in range(0, 17, 2))
# The route that answers tens of thousands of requests a second; only its failures get a log line.
UNLOGGED = frozenset({"price"})

Level = Literal["debug", "info", "warning", "error"]


class Metrics:
    """All metrics of one app, in a registry of their own so that two apps in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self.requests = Counter(
            "sobolite_requests", "Requests answered", ["handler", "method", "status"], registry=self.registry
        )
        self.seconds = self._histogram("request_seconds", "First byte to last", SECONDS, ["handler"])
        self._series: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self.queue = self._histogram(
            "price_queue_seconds", "Parsed to start of computation, longest of one call", SECONDS
        )
        self.compute = self._histogram("price_compute_seconds", "One call of the runtime", SECONDS)
        self.batch_rows = self._histogram("price_batch_rows", "Rows of one call of the runtime", ROWS)
        self.batch_requests = self._histogram("price_batch_requests", "Requests that share one call", ROWS)

    def answered(self, handler: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        key = (handler, method, status)
        if key not in self._series:  # looking a series up by its labels costs more than counting
            self._series[key] = self.requests.labels(handler, method, status), self.seconds.labels(handler)
        count, duration = self._series[key]
        count.inc()
        duration.observe(seconds)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], labels: list[str] | None = None
    ) -> Histogram:
        return Histogram(f"sobolite_{name}", text, labels or [], buckets=buckets, registry=self.registry)


def configure_logging(level: Level) -> None:
    """One JSON object a line on stderr, with whatever is bound to the current request."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.BytesLogger(sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )


def _to_json(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)


class Observe:
    """ASGI middleware: request id, metrics, one log line a request, failures, closing connections while draining."""

    def __init__(self, app: ASGIApp, metrics: Metrics, drain: Drain) -> None:
        self.app = app
        self.metrics = metrics
        self.drain = drain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app and observe its answer."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, status = time.perf_counter(), 0
        request_id = _request_id(scope)
        structlog.contextvars.bind_contextvars(request_id=request_id)

        async def observed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                added = [(b"x-request-id", request_id.encode())]
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
        handler = getattr(scope.get("endpoint"), "__name__", "none")
        self.metrics.answered(handler, scope["method"], status, seconds)
        if handler not in UNLOGGED or status >= HTTPStatus.BAD_REQUEST:
            line = {"method": scope["method"], "path": scope["path"], "status": status, "seconds": round(seconds, 6)}
            structlog.get_logger().info("request", **line)


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return secrets.token_hex(8)
