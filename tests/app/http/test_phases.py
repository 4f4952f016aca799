"""What a connection waits for; limits at work are in `tests.abuse.test_stalls`."""

from __future__ import annotations

from app.http.phases import Limits
from app.settings import Settings


def test_limits_are_those_of_the_settings() -> None:
    limits = Limits.of(Settings(header_seconds=3.0, limit_concurrency=7, idle_seconds=61))
    assert (limits.header_seconds, limits.connections, limits.idle_seconds) == (3.0, 7, 61)


def test_connections_outlive_those_of_usual_proxies() -> None:
    assert Limits.of(Settings()).idle_seconds > 60
