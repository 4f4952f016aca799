from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.datasets import store
from app.errors import DatasetInUse, JobConflict, UnknownDataset, UnknownJob
from app.jobs.ended import delete_dataset, delete_job, delete_old, ended_before
from app.jobs.job import job_folder
from app.jobs.queue import Jobs
from app.pipeline.build import build
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from pricing.specs.base import load

pytestmark = pytest.mark.anyio
DAY = 86400.0
NOTHING: dict[str, list[str]] = {"jobs": [], "folders": [], "datasets": []}


def rows(root: Path) -> dict[str, int]:
    """How many rows of the job database name a job, by table."""
    with closing(sqlite3.connect(root / "jobs.sqlite")) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        of_jobs = [
            table
            for table in tables
            if any(column[1] == "workflow_uuid" for column in database.execute(f"PRAGMA table_info({table})"))
        ]
        return {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in of_jobs}


async def ended(jobs: Jobs, root: Path, spec: Any) -> str:
    """A cancelled job with a folder."""
    job = (await jobs.submit(spec)).id
    await jobs.cancel(job)
    job_folder(root, job).mkdir(parents=True)
    (job_folder(root, job) / "labels.npz").write_bytes(b"numbers")
    return job


async def test_a_deleted_job_leaves_nothing(jobs: Jobs, job_settings: Settings, tiny: dict[str, Any]) -> None:
    root, spec = job_settings.registry, load_spec("train", tiny)
    job = await ended(jobs, root, spec)
    kept = await ended(jobs, root, spec)
    await delete_job(jobs, root, job)
    with pytest.raises(UnknownJob):
        await jobs.get(job)
    assert not job_folder(root, job).exists()
    assert job_folder(root, kept).exists()
    assert [left.id for left in (await jobs.page()).jobs] == [kept]
    await delete_job(jobs, root, kept)
    assert set(rows(root).values()) == {0}


async def test_only_ended_jobs_can_be_deleted(jobs: Jobs, job_settings: Settings, tiny: dict[str, Any]) -> None:
    job = (await jobs.submit(load_spec("train", tiny))).id
    with pytest.raises(JobConflict, match="is queued"):
        await delete_job(jobs, job_settings.registry, job)
    with pytest.raises(UnknownJob):
        await delete_job(jobs, job_settings.registry, "nobody")
    assert (await jobs.get(job)).state == "queued"


async def test_a_dataset_goes_when_nothing_refers_to_it(
    jobs: Jobs, root: Path, stored: str, dataset_build: Callable[..., dict[str, Any]]
) -> None:
    job = (await jobs.submit(load_spec("train", dataset_build(stored)))).id
    with pytest.raises(DatasetInUse, match=f"job {job}"):
        await delete_dataset(jobs, root, stored)
    await jobs.cancel(job)
    with pytest.raises(DatasetInUse, match=f"job {job}"):
        await delete_dataset(jobs, root, stored)  # it could be resumed
    await delete_job(jobs, root, job)
    await delete_dataset(jobs, root, stored)
    assert list((root / store.FOLDER).iterdir()) == []
    with pytest.raises(UnknownDataset):
        await delete_dataset(jobs, root, stored)


@pytest.mark.parametrize("changes", [{"dataset.id": "?"}, {"dataset": {"id": "?"}}])
async def test_changes_refer_to_a_dataset_too(jobs: Jobs, root: Path, stored: str, changes: dict[str, Any]) -> None:
    named = {key: stored if value == "?" else {"id": stored} for key, value in changes.items()}
    job = (await jobs.submit(load_spec("retrain", {"model": "tiny", "changes": named}))).id
    with pytest.raises(DatasetInUse, match=f"job {job}"):
        await delete_dataset(jobs, root, stored)


async def test_a_version_keeps_what_it_was_learnt_from(
    jobs: Jobs, root: Path, stored: str, dataset_build: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    made = build(load(BuildSpec, dataset_build(stored)), tmp_path / "job", registry=root)
    registry = Registry(root)
    registry.publish("given", made, job_id="a")
    registry.close()
    with pytest.raises(DatasetInUse, match="given@1"):
        await delete_dataset(jobs, root, stored)
    assert await delete_old(jobs, root, job_days=0.0, dataset_days=1e-9) == NOTHING


async def test_age_deletes_jobs_then_their_datasets_and_what_died_halfway(
    jobs: Jobs, root: Path, stored: str, dataset_build: Callable[..., dict[str, Any]], tiny: dict[str, Any]
) -> None:
    job = await ended(jobs, root, load_spec("train", dataset_build(stored)))
    running = (await jobs.submit(load_spec("train", tiny))).id
    orphan = job_folder(root, "gone")
    orphan.mkdir(parents=True)
    assert await delete_old(jobs, root, job_days=0.0, dataset_days=0.0) == NOTHING | {"folders": ["gone"]}
    assert await delete_old(jobs, root, job_days=1.0, dataset_days=1.0) == NOTHING  # all is younger
    path = root / store.FOLDER / f"{stored}.json"
    os.utime(path, (time.time() - 2 * DAY,) * 2)
    assert await delete_old(jobs, root, job_days=0.0, dataset_days=1.0) == NOTHING  # the job refers to it
    removed = await delete_old(jobs, root, job_days=1e-9, dataset_days=1.0)
    assert removed == NOTHING | {"jobs": [job], "datasets": [stored]}
    assert [left.id for left in (await jobs.page()).jobs] == [running]
    assert not path.exists()


async def test_ended_before_takes_the_oldest_first(jobs: Jobs, root: Path, tiny: dict[str, Any]) -> None:
    spec = load_spec("train", tiny)
    first, second = [await ended(jobs, root, spec) for _ in range(2)]
    await jobs.submit(spec)
    soon = datetime.now(UTC) + timedelta(seconds=1)
    assert await ended_before(jobs, soon) == (first, second)
    assert await ended_before(jobs, soon - timedelta(days=1)) == ()
