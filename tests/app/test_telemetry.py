from __future__ import annotations

import json

import pytest
import structlog
from prometheus_client import generate_latest

from app.telemetry import Metrics, configure_logging


def test_a_line_is_one_json_object_with_what_is_bound(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    configure_logging("info")
    with structlog.contextvars.bound_contextvars(request_id="mine"):
        structlog.get_logger().info("request", status=200)
        structlog.get_logger().debug("not at this level")
    (line,) = capsysbinary.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["status"], told["request_id"], told["level"]) == ("request", 200, "mine", "info")
    assert told["timestamp"].endswith("Z")


def test_an_exception_is_told_with_its_traceback(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    configure_logging("error")
    try:
        raise ValueError("as a bug would")
    except ValueError:
        structlog.get_logger().exception("request failed")
    told = json.loads(capsysbinary.readouterr().err)
    assert "ValueError: as a bug would" in told["exception"]


def test_two_apps_in_a_process_count_for_themselves() -> None:
    one, other = Metrics(), Metrics()
    one.requests.labels("price", "POST", 200).inc()
    assert (
        'sobolite_requests_total{handler="price",method="POST",status="200"} 1.0'
        in generate_latest(one.registry).decode()
    )
    assert "sobolite_requests_total{" not in generate_latest(other.registry).decode()
