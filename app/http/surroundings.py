"""What `/readyz` and `/metrics` tell of workers, queue and disk; every API process sees the same."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from app.errors import AppError
from app.jobs.job import STATES
from app.jobs.lease import alive
from app.jobs.queue import Jobs
from app.telemetry import Surroundings


async def look(root: Path, jobs: Jobs) -> Surroundings:
    """What is around the API now; None stands for what cannot be read."""
    workers = await asyncio.to_thread(alive, root / ".workers")
    try:
        disk: int | None = shutil.disk_usage(root).free
    except OSError:
        disk = None
    try:
        figures = await jobs.figures()
    except AppError:
        return Surroundings(workers_alive=workers, disk_free_bytes=disk)
    states: dict[str, int] = dict.fromkeys(STATES.values(), 0)
    for status, count in figures.statuses.items():
        states[STATES[status]] += count
    return Surroundings(
        workers_alive=workers,
        disk_free_bytes=disk,
        queued=figures.queued,
        oldest_queued_seconds=round(figures.oldest_queued_seconds, 3),
        jobs=states,
        steps=figures.steps,
    )
