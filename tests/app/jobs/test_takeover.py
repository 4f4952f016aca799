"""Jobs whose rows do not say what has become of them."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from dbos import error

from app.jobs.database import DATABASE, JobDatabase
from app.jobs.queue import WORKFLOW, Jobs
from app.jobs.takeover import STRANDED_SECONDS, Running, until_written
from app.settings import Settings
from app.specification.jobs import load_spec


def test_a_job_is_stranded_when_it_runs_by_its_row_and_nowhere_for_some_seconds() -> None:
    running = Running()
    running.begin("a")
    assert running.stranded(["a", "b"], 0.0) == []
    assert running.stranded(["a", "b"], STRANDED_SECONDS) == ["b"]
    running.end("a")
    assert running.stranded(["a"], 10.0) == []
    assert running.stranded([], 11.0) == []  # its end was written down
    assert running.stranded(["a"], 12.0) == []
    assert running.stranded(["a"], 12.0 + STRANDED_SECONDS) == ["a"]


def test_a_job_that_two_run_here_runs_until_both_have_ended() -> None:
    running = Running()
    running.begin("a")
    running.begin("a")
    running.end("a")
    running.stranded(["a"], 0.0)
    assert running.stranded(["a"], 100.0) == []


@pytest.fixture
def job(jobs: Jobs, tiny: dict[str, Any], root: Path) -> str:
    """A job that runs by its row, on the worker ``me``."""
    job = asyncio.run(jobs.submit(load_spec("train", tiny))).id
    with closing(sqlite3.connect(root / DATABASE)) as connection, connection:
        connection.execute("UPDATE workflow_status SET status = 'PENDING', executor_id = 'me'")
    return job


def test_the_end_of_a_job_waits_until_it_can_be_written(job: str, job_settings: Settings) -> None:
    path = job_settings.registry / DATABASE
    database = JobDatabase(path, WORKFLOW)
    asyncio.run(asyncio.wait_for(until_written(database, job, "me"), 30.0))
    path.rename(path.with_name("elsewhere"))
    threading.Timer(3.0, path.with_name("elsewhere").rename, [path]).start()
    start = time.monotonic()
    asyncio.run(asyncio.wait_for(until_written(database, job, "me"), 30.0))
    assert time.monotonic() - start > 2.0


def test_the_end_of_a_job_waits_for_a_lock(job: str, job_settings: Settings) -> None:
    path = job_settings.registry / DATABASE
    database = JobDatabase(path, WORKFLOW)
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    threading.Timer(4.0, holder.execute, ["ROLLBACK"]).start()
    start = time.monotonic()
    asyncio.run(asyncio.wait_for(until_written(database, job, "me"), 30.0))
    assert time.monotonic() - start > 3.0
    holder.close()


@pytest.mark.parametrize("change", ["status = 'CANCELLED'", "executor_id = 'another'"])
def test_a_job_that_is_no_longer_this_workers_has_no_end_to_write(
    job: str, job_settings: Settings, change: str
) -> None:
    with closing(sqlite3.connect(job_settings.registry / DATABASE)) as connection, connection:
        connection.execute(f"UPDATE workflow_status SET {change}")
    database = JobDatabase(job_settings.registry / DATABASE, WORKFLOW)
    with pytest.raises(error.DBOSWorkflowCancelledError):
        asyncio.run(until_written(database, job, "me"))
