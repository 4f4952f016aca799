"""What becomes of jobs that have ended and of datasets that nothing refers to: deleted on demand, or by their age.

A job's row goes first, with its steps and events, in one transaction; then its folder. Whoever dies in between leaves a
folder without a row, which the next sweep removes. The file that names a dataset goes before its numbers.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.datasets import store
from app.errors import DatasetInUse, JobConflict
from app.jobs.job import STATES, State, job_folder, job_folders
from app.jobs.queue import Jobs
from surrogate.artifact.files import MANIFEST

ENDED: tuple[State, ...] = ("succeeded", "failed", "cancelled")
# Referrers that a sentence names.
NAMED = 3
# What an import leaves that has died is as old at least: no living one takes so long.
UNFINISHED_SECONDS = 86400.0


async def delete_job(jobs: Jobs, root: Path, job: str) -> State:
    """Delete a job that has ended, its events and its files, and tell how it had ended; what it has published stays.

    Raises:
        UnknownJob: no such job.
        JobConflict: it is queued or running.
    """
    state = (await jobs.get(job)).state
    if state not in ENDED:
        raise JobConflict(f"job {job} is {state}; only a job that has ended can be deleted, so cancel it first")
    await _delete(jobs, root, job)
    return state


async def _delete(jobs: Jobs, root: Path, job: str) -> None:
    await jobs.forget(job)
    await asyncio.to_thread(shutil.rmtree, job_folder(root, job), ignore_errors=True)


async def delete_dataset(jobs: Jobs, root: Path, dataset: str) -> None:
    """Delete a dataset.

    Raises:
        UnknownDataset: no such dataset.
        DatasetInUse: names the versions and jobs that refer to it.
    """
    await asyncio.to_thread(store.find, root, dataset)
    referrers = await refer(jobs, root, dataset)
    if referrers:
        more = f" and {len(referrers) - NAMED} more" if len(referrers) > NAMED else ""
        raise DatasetInUse(
            f"dataset {dataset[:8]}... is referred to by {', '.join(referrers[:NAMED])}{more}; versions are kept for "
            "ever and with them what they were learnt from, jobs can be deleted once they have ended",
            referrers=referrers[:NAMED],
        )
    await asyncio.to_thread(store.delete, root, dataset)


async def refer(jobs: Jobs, root: Path, dataset: str) -> list[str]:
    """Versions and jobs whose specification, changes or provenance name a dataset."""
    return [
        *await asyncio.to_thread(versions_of, root, dataset),
        *(f"job {job}" for job in await naming(jobs, dataset)),
    ]


def versions_of(root: Path, dataset: str) -> list[str]:
    """Published versions whose manifest names a dataset: as what they were learnt from, or a parent of theirs was."""
    name = dataset.encode()
    manifests = sorted(root.glob(f"*/[0-9]*/{MANIFEST}"))
    return [f"{path.parts[-3]}@{path.parts[-2]}" for path in manifests if name in path.read_bytes()]


async def naming(jobs: Jobs, text: str) -> tuple[str, ...]:
    """Jobs, ended ones too, whose specification has a text in it."""
    rows = await jobs.rows(load_output=False)

    def named() -> tuple[str, ...]:
        return tuple(row.workflow_id for row in rows if row.input and text in json.dumps(row.input["args"]))

    return await asyncio.to_thread(named)


async def ended_before(jobs: Jobs, when: datetime) -> tuple[str, ...]:
    """Jobs that ended before a time, the oldest first."""
    ended = [status for status, state in STATES.items() if state in ENDED]
    rows = await jobs.rows(status=ended, completed_before=when.isoformat(), load_input=False, load_output=False)
    return tuple(row.workflow_id for row in rows)


async def delete_old(jobs: Jobs, root: Path, *, job_days: float, dataset_days: float) -> dict[str, list[str]]:
    """Delete ended jobs and unreferred datasets past their age, 0 days for none, and what died halfway has left.

    Returns:
        the ids by kind, for the log.
    """
    removed: dict[str, list[str]] = {"jobs": [], "folders": [], "datasets": []}
    if job_days:
        for job in await ended_before(jobs, _ago(job_days)):
            await _delete(jobs, root, job)
            removed["jobs"].append(job)
    for folder in job_folders(root):  # those there now: a job's row is written before its folder
        if not await jobs.knows(folder.name):
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
            removed["folders"].append(folder.name)
    if dataset_days:
        for dataset in store.imported_before(root, _ago(dataset_days)):
            if not await refer(jobs, root, dataset):
                store.delete(root, dataset)
                removed["datasets"].append(dataset)
    store.delete_unfinished(root, older_than=time.time() - UNFINISHED_SECONDS)
    return removed


def _ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
