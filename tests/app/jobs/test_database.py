from __future__ import annotations

import base64
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.errors import InvalidRequest
from app.jobs.database import DATABASE, JobFilter, open_database, read_cursor, write_cursor
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


@pytest.mark.anyio
async def test_the_time_of_steps_never_falls(jobs: Jobs, tiny: dict[str, Any], root: Path) -> None:
    for key in ("a", "b"):
        await jobs.submit(load_spec("train", tiny), key=key)
        await jobs.cancel(key)

    def take(job: str, **seconds: float) -> None:
        with closing(sqlite3.connect(root / DATABASE)) as connection, connection:
            for step, number in seconds.items():
                connection.execute(
                    "UPDATE workflow_status SET attributes = json_set(attributes, ?, ?) WHERE workflow_uuid = ?",
                    [f'$."seconds.{step}"', number, job],
                )

    take("a", label=1.0, train=4.0)
    take("b", label=2.0)
    assert (await jobs.figures()).steps == {"label": (2, 3.0), "train": (1, 4.0)}
    take("a", train=0.5)  # a step that was interrupted after it was timed has run again
    wanted = {"label": (2, 3.0), "train": (2, 4.5)}
    assert (await jobs.figures()).steps == wanted
    for key in ("a", "b"):
        await jobs.forget(key)
        assert (await jobs.figures()).steps == wanted
    open_database(root)
    assert (await jobs.figures()).steps == wanted
