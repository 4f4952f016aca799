from __future__ import annotations

import base64
from typing import Any

import pytest

from app.errors import InvalidRequest
from app.jobs.database import JobFilter, read_cursor, write_cursor
from app.jobs.queue import Jobs
from app.specification.jobs import load_spec


def test_a_cursor_comes_back_as_it_was_and_fits_one_list() -> None:
    cursor = write_cursor((1_700_000_000_000, 7), JobFilter(model="a"))
    assert read_cursor(cursor, JobFilter(model="a")) == (1_700_000_000_000, 7)
    with pytest.raises(InvalidRequest, match="other filters"):
        read_cursor(cursor, JobFilter(kind="a"))


@pytest.mark.parametrize("content", [b"", b"[]", b'["x", -1, 1]', b'["x", 1, 9223372036854775808]', b'["x", 1, "y"]'])
def test_other_content_is_no_cursor(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="leave it out"):
        read_cursor(base64.urlsafe_b64encode(content).decode(), JobFilter())


@pytest.mark.anyio
async def test_figures_count_jobs_and_the_wait_of_the_oldest(jobs: Jobs, tiny: dict[str, Any]) -> None:
    assert (await jobs.figures()).queued == 0
    for key in ("a", "b"):
        await jobs.submit(load_spec("train", tiny), key=key)
    await jobs.cancel("a")
    figures = await jobs.figures()
    assert (figures.queued, figures.statuses["CANCELLED"], figures.steps) == (1, 1, {})
    assert 0.0 <= figures.oldest_queued_seconds < 60.0
