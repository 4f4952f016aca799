"""A worker's rounds survive a job database that cannot be used, and end where it was replaced."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.errors import RegistryUnavailable
from app.jobs.database import DATABASE, JobDatabase
from app.jobs.queue import WORKFLOW, Jobs
from app.jobs.rounds import Rounds
from app.jobs.takeover import Running
from app.settings import Settings


@pytest.fixture
def rounds(jobs: Jobs, job_settings: Settings) -> Rounds:
    """Of a worker that has opened its database."""
    return Rounds(job_settings, JobDatabase(job_settings.registry / DATABASE, WORKFLOW), Running(), "me")


def test_a_database_that_is_gone_is_waited_for_and_said_once(rounds: Rounds, root: Path) -> None:
    (root / DATABASE).rename(root / "elsewhere")
    with capture_logs() as told:
        rounds.go()
        rounds.go()
    assert [line["event"] for line in told] == ["the job database cannot be used"]
    assert str(root / DATABASE) in told[0]["reason"]
    assert not (root / DATABASE).exists()


def test_a_database_in_the_place_of_the_one_that_was_opened_ends_the_worker(rounds: Rounds, root: Path) -> None:
    shutil.copy(root / DATABASE, root / "copy")
    (root / "copy").replace(root / DATABASE)
    with pytest.raises(RegistryUnavailable, match="another file than this process has opened"):
        rounds.go()
