from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from prometheus_client import generate_latest

from app.telemetry import MODEL_SERIES, OTHER, SHARED, Metrics, Surroundings, configure_logging


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


def test_several_processes_answer_for_all(tmp_path: Path) -> None:
    """Each counts in a process of its own; whoever is asked tells the sum, and what is in memory of those alive."""
    count = (
        "from app.telemetry import Metrics, Surroundings; metrics = Metrics(); metrics.refusals.labels('x').inc(2); "
        "metrics.loaded.set(3); "
        "print(metrics.scrape(Surroundings(workers_alive=1, disk_free_bytes=None)).decode())"
    )
    for number in (1, 2, 3):
        ended = subprocess.run(
            [sys.executable, "-c", count],
            env=os.environ | {SHARED: str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert f'sobolite_refusals_total{{reason="x"}} {2.0 * number}\n' in ended.stdout
        assert "sobolite_loaded_versions 3.0\n" in ended.stdout
        assert "sobolite_workers_alive 1.0\n" in ended.stdout


def test_models_with_series_are_bounded() -> None:
    metrics = Metrics()
    for number in range(MODEL_SERIES + 50):
        for _ in range(2):
            metrics.of_model(f"model-{number}")[0].inc()
    text = metrics.scrape(Surroundings(workers_alive=0, disk_free_bytes=None)).decode()
    rows = [line for line in text.splitlines() if line.startswith("sobolite_price_rows_total")]
    assert len(rows) == MODEL_SERIES + 1
    assert f'sobolite_price_rows_total{{model="{OTHER}"}} 100.0' in rows
