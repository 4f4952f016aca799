"""Children that are kept: real processes."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from app.commands.supervisor import Child, Signals, keep

OBEDIENT = "import os; os.read(0, 1)"
STUBBORN = "import time; time.sleep(60)"


@pytest.fixture
def signals() -> Iterator[Signals]:
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Signals()
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("script", "stop_seconds", "longest"), [(OBEDIENT, 30.0, 15.0), (STUBBORN, 0.5, 15.0)])
def test_children_stop_when_asked_or_are_killed(
    signals: Signals, script: str, stop_seconds: float, longest: float
) -> None:
    child = Child(role="child", command=["-c", script])
    threading.Timer(0.5, signals.stop.set).start()
    start = time.monotonic()
    assert keep([child], signals, stop_seconds=stop_seconds)
    assert child.ended()
    assert time.monotonic() - start < longest


def test_a_second_interrupt_ends_at_once(signals: Signals) -> None:
    for _ in range(2):
        signal.raise_signal(signal.SIGINT)
    assert signals.stop.is_set()
    assert signals.at_once


def test_a_dead_child_is_started_again_after_its_pause() -> None:
    child = Child(role="child", command=["-c", ""])
    child.start()
    assert child.process is not None
    child.process.wait()
    now = time.monotonic()
    assert child.look(now)
    assert child.process is None
    assert child.look(now + child.pause)
    assert not child.ended() or sys.platform != "linux"
    child.kill()


def test_a_child_that_keeps_dying_is_told_as_an_error() -> None:
    child = Child(role="child", command=["-c", ""])
    with capture_logs() as told:
        for _ in range(3):
            child.start()
            assert child.process is not None
            child.process.wait()
            child.look(time.monotonic())
    assert [(line["log_level"], line["deaths_in_a_row"], line["after_seconds"]) for line in told] == [
        ("warning", 1, 1.0),
        ("warning", 2, 2.0),
        ("error", 3, 4.0),
    ]
