from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
from dbos import WorkflowStatus
from dbos._sys_db import WorkflowStatusString

from app.jobs.job import ENDED, STATES, State, job_folder, job_folders, view


def row(status: str, **rest: object) -> WorkflowStatus:
    """A row of the job database."""
    made = WorkflowStatus()
    plain = {
        "workflow_id": "mine",
        "status": status,
        "attributes": {"kind": "train", "model": "tiny", "step": "label", "progress": 0.25},
        "output": None,
        "error": None,
        "created_at": 1_000,
        "dequeued_at": None,
        "completed_at": None,
    }
    for name, value in {**plain, **rest}.items():
        setattr(made, name, value)
    return made


def test_every_status_of_dbos_is_a_state_of_ours() -> None:
    assert set(STATES) == {status.value for status in WorkflowStatusString}
    assert set(STATES.values()) == set(get_args(State)) > ENDED


def test_a_row_becomes_a_job() -> None:
    job = view(row("PENDING", dequeued_at=2_500))
    assert (job.id, job.state, job.step, job.progress) == ("mine", "running", "label", 0.25)
    assert (job.created_at, job.started_at, job.finished_at) == (
        "1970-01-01T00:00:01+00:00",
        "1970-01-01T00:00:02.500000+00:00",
        None,
    )


def test_only_a_job_that_succeeded_has_a_version_and_only_one_that_failed_an_error() -> None:
    done = view(row("SUCCESS", output={"model": "tiny", "version": 3}, completed_at=4_000))
    assert (done.version, done.progress, done.error) == (3, 1.0, None)
    failed = view(row("ERROR", error=ValueError("too hot")))
    assert (failed.version, failed.error) == (None, "too hot")


def test_a_cancelled_job_started_when_its_attribute_says() -> None:
    attributes = {"kind": "train", "model": "tiny", "step": None, "progress": 0.0, "started": 3_000}
    assert view(row("CANCELLED", attributes=attributes)).started_at == "1970-01-01T00:00:03+00:00"


@pytest.mark.parametrize("names", [[], ["a"], ["b", "a"]])
def test_folders_of_jobs(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        job_folder(tmp_path, name).mkdir(parents=True)
    assert [folder.name for folder in job_folders(tmp_path)] == sorted(names)
