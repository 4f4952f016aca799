"""Metrics for Prometheus, and JSON log lines."""

from __future__ import annotations

import sys
from typing import Any, Literal

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

# Seconds: one small call is tens of microseconds, one full request of many rows a second.
SECONDS = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
ROWS = tuple(float(1 << power) for power in range(0, 17, 2))
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
        self.queue = self._histogram(
            "price_queue_seconds", "Parsed to start of computation, longest of one call", SECONDS
        )
        self.compute = self._histogram("price_compute_seconds", "One call of the runtime", SECONDS)
        self.batch_rows = self._histogram("price_batch_rows", "Rows of one call of the runtime", ROWS)
        self.batch_requests = self._histogram("price_batch_requests", "Requests that share one call", ROWS)

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
