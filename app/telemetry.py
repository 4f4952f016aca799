"""Metrics for Prometheus, and JSON log lines."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import orjson
import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

# Seconds: one small call is tens of microseconds, one full request of many rows a second.
SECONDS = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
ROWS = tuple(float(1 << power) for power in range(0, 17, 2))
# Where several API processes keep their numbers, so that each answers for all; `sobolite serve --workers N` sets it.
SHARED = "PROMETHEUS_MULTIPROC_DIR"
LIVE_FILE = re.compile(r"gauge_live[a-z]*_(\d+)\.db")
# Models with series of their own; the others share one.
MODEL_SERIES = 100
OTHER = "other"
Level = Literal["debug", "info", "warning", "error"]
# Id and client of the request that is answered; structlog's own variables take a third of the time of observing one.
REQUEST: ContextVar[tuple[str, str]] = ContextVar("request")


@dataclass(frozen=True, kw_only=True, eq=False)
class Surroundings:
    """What is around the API processes, None where it cannot be read; ``steps``: count and seconds by step."""

    workers_alive: int
    disk_free_bytes: int | None
    queued: int | None = None
    oldest_queued_seconds: float | None = None
    jobs: Mapping[str, int] = field(default_factory=dict)
    steps: dict[str, tuple[int, float]] = field(default_factory=dict)

    def collect(self) -> Iterator[Metric]:
        """As metrics."""
        for name, text, value in (
            ("workers_alive", "Job workers that hold their lock", self.workers_alive),
            ("jobs_queued", "Jobs that wait for a worker", self.queued),
            ("oldest_queued_job_seconds", "Since the job that waits longest was submitted", self.oldest_queued_seconds),
            ("disk_free_bytes", "Left on the registry's disk", self.disk_free_bytes),
        ):
            if value is not None:
                yield GaugeMetricFamily(f"sobolite_{name}", text, value=value)
        jobs = GaugeMetricFamily("sobolite_jobs", "Jobs in the database", labels=["state"])
        for state, count in self.jobs.items():
            jobs.add_metric([state], count)
        steps = SummaryMetricFamily("sobolite_job_step_seconds", "Finished steps of jobs", labels=["step"])
        for step, (count, seconds) in self.steps.items():
            steps.add_metric([step], count_value=count, sum_value=seconds)
        yield from (jobs, steps)


class Metrics:
    """All metrics of one app, in a registry of their own so that two apps in one process do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        if SHARED not in os.environ:  # what one process uses says nothing of several
            ProcessCollector(registry=self.registry)
            PlatformCollector(registry=self.registry)
        self.refusals = Counter("sobolite_refusals", "Requests refused", ["reason"], registry=self.registry)
        self.loaded = Gauge(
            "sobolite_loaded_versions",
            "Model versions in memory, of all API processes together",
            multiprocess_mode="livesum",
            registry=self.registry,
        )
        self._rows = Counter("sobolite_price_rows", "Rows priced", ["model"], registry=self.registry)
        self._outside = Counter(
            "sobolite_price_rows_outside",
            "Rows asked for outside the Box, refused ones too",
            ["model"],
            registry=self.registry,
        )
        self._models: dict[str, tuple[Counter, Counter]] = {}
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

    def of_model(self, name: str) -> tuple[Counter, Counter]:
        """Rows priced and rows outside of a published model; those after the first hundred names share one series."""
        series = self._models.get(name)
        if series is None:
            label = name if len(self._models) < MODEL_SERIES else OTHER
            series = self._rows.labels(label), self._outside.labels(label)
            if label is name:
                self._models[name] = series
        return series

    def scrape(self, surroundings: Surroundings) -> bytes:
        """Prometheus text: the numbers of every API process together, and what is around them."""
        folder = os.environ.get(SHARED)
        if folder is None:
            return generate_latest(self.registry) + generate_latest(_only(surroundings))
        for path in Path(folder).iterdir():
            match = LIVE_FILE.fullmatch(path.name)
            if match and not Path(f"/proc/{match[1]}").exists():
                mark_process_dead(int(match[1]), folder)  # type: ignore[no-untyped-call]
        shared = CollectorRegistry()
        MultiProcessCollector(shared, folder)  # type: ignore[no-untyped-call]
        return generate_latest(shared) + generate_latest(_only(surroundings))

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], labels: list[str] | None = None
    ) -> Histogram:
        return Histogram(f"sobolite_{name}", text, labels or [], buckets=buckets, registry=self.registry)


def _only(surroundings: Surroundings) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(surroundings)
    return registry


def _with_request(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    asked = REQUEST.get(None)
    if asked is not None:
        event.setdefault("request_id", asked[0])
        event.setdefault("who", asked[1])
    return event


# What every line has, ours and those of libraries.
ADDED: tuple[structlog.typing.Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    _with_request,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
)


def configure_logging(level: Level) -> None:
    """One JSON object a line on stderr, with whatever is bound to the current request."""
    structlog.configure(
        processors=[
            *ADDED,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: structlog.BytesLogger(sys.stderr.buffer),
        cache_logger_on_first_use=False,
    )


def take_lines_of_libraries() -> None:
    """Warnings and errors of uvicorn, asyncio and the rest in the same form; for processes that are ours alone."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=ADDED,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                structlog.processors.JSONRenderer(serializer=lambda event, **_: _to_json(event).decode()),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.captureWarnings(capture=True)


def _to_json(event: Any, **_: Any) -> bytes:
    return orjson.dumps(event, default=str)
