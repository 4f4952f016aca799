from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from app.jobs.queue import Jobs
from app.settings import Settings
from app.specification.jobs import load_spec

Run = Callable[..., Any]


@pytest.fixture
def queued(run: Run, tiny: dict[str, Any]) -> str:
    """The id of a job in the registry of the commands, which nobody takes."""
    jobs = Jobs(Settings())
    asyncio.run(jobs.submit(load_spec("train", tiny), key="mine"))
    jobs.close()
    return "mine"


def test_jobs_without_a_worker(run: Run) -> None:
    assert json.loads(run("jobs", "list", "--json").out) == []
    for command in ("show", "watch", "cancel", "resume", "delete"):
        result = run("jobs", command, "nobody")
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith("error: no job 'nobody'")


def test_a_job_is_listed_and_shown(run: Run, queued: str) -> None:
    (listed,) = json.loads(run("jobs", "list", "--json").out)
    shown = json.loads(run("jobs", "show", queued, "--json").out)
    assert (listed["id"], listed["state"], listed["model"], listed["progress"]) == ("mine", "queued", "tiny", 0.0)
    assert shown == listed
    assert run("jobs", "list").out.splitlines()[1].split()[:3] == ["mine", "train", "queued"]
    assert "queued" in run("jobs", "show", queued).out


@pytest.mark.parametrize("option", [("--state", "queued"), ("--kind", "train"), ("--model", "tiny"), ("--limit", "1")])
def test_lists_are_filtered(run: Run, queued: str, option: tuple[str, str]) -> None:
    (listed,) = json.loads(run("jobs", "list", *option, "--json").out)
    assert listed["id"] == queued


@pytest.mark.parametrize("option", [("--state", "failed"), ("--kind", "prune"), ("--model", "other")])
def test_a_filter_leaves_out(run: Run, queued: str, option: tuple[str, str]) -> None:
    assert queued
    assert json.loads(run("jobs", "list", *option, "--json").out) == []


@pytest.mark.parametrize("option", [("--state", "lost"), ("--kind", "bake"), ("--limit", "0")])
def test_a_wrong_filter_is_refused(run: Run, option: tuple[str, str]) -> None:
    assert run("jobs", "list", *option).code == 2


def test_a_job_is_cancelled_watched_to_its_end_and_resumed(run: Run, queued: str) -> None:
    assert json.loads(run("jobs", "cancel", queued, "--json").out)["state"] == "cancelled"
    watched = run("jobs", "watch", queued, "--json")
    assert (watched.code, json.loads(watched.out)["state"]) == (1, "cancelled")
    assert "cancelled" in watched.err
    assert json.loads(run("jobs", "resume", queued, "--json").out)["state"] == "queued"
    refused = run("jobs", "resume", queued)
    assert (refused.code, "is queued" in refused.err) == (2, True)


def test_an_ended_job_is_deleted(run: Run, queued: str) -> None:
    early = run("jobs", "delete", queued)
    assert (early.code, "is queued" in early.err) == (2, True)
    assert run("jobs", "cancel", queued).code == 0
    assert run("jobs", "delete", queued).out == "deleted job mine\n"
    assert json.loads(run("jobs", "list", "--json").out) == []
