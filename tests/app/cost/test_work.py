from __future__ import annotations

import json

import pytest

from app.cost.work import LARGEST, SIZES, START_MEMORY, START_SECONDS, TIMES, Work, in_words, said, size, total


def test_steps_add_up_in_time_and_the_largest_decides_the_memory() -> None:
    parts = [Work(seconds=2.0, memory=100.0, disk=5.0), Work(seconds=3.0, memory=300.0)]
    estimate = total(parts, processes=4)
    assert estimate.seconds == 5.0 + 4 * START_SECONDS
    assert estimate.memory_bytes == START_MEMORY + 300
    assert estimate.disk_bytes >= 5


@pytest.mark.parametrize("count", [1 << 60, 10**400, LARGEST, float("inf")])
def test_no_count_overflows_the_estimate(count: float) -> None:
    huge = size(count) ** 3
    estimate = total([Work(seconds=huge, memory=huge, disk=huge)] * 100, processes=1)
    told = json.loads(json.dumps({"memory": estimate.memory_bytes, "disk": estimate.disk_bytes}, allow_nan=False))
    assert 0 < told["memory"] < 1 << 63
    assert len(in_words(estimate)) < 200


@pytest.mark.parametrize(
    ("amount", "units", "words"),
    [
        (0.5, TIMES, "0.5 seconds"),
        (59.0, TIMES, "59 seconds"),
        (90.0, TIMES, "1.5 minutes"),
        (14400.0, TIMES, "4 hours"),
        (1e7, TIMES, "116 days"),
        (1e30, TIMES, "more than 1,000,000 days"),
        (1 << 20, SIZES, "1 MiB"),
        (8 << 30, SIZES, "8 GiB"),
        (1.5e15, SIZES, "1,364 TiB"),
    ],
)
def test_amounts_are_said_in_their_units(amount: float, units: tuple[tuple[float, str], ...], words: str) -> None:
    assert said(amount, units) == words
