"""What a deployment refuses for its cost, in a sentence that says what to lower. Torch-free."""

from __future__ import annotations

import shutil
from dataclasses import asdict
from pathlib import Path

from app.cost.job import Cost
from app.cost.work import SIZES, TIMES, Work, in_words, said
from app.errors import StorageFull, TooCostly
from app.settings import Settings

# Fields that a sentence names.
NAMED = 3


def require_affordable(cost: Cost, settings: Settings) -> None:
    """Raise TooCostly for a job that would take longer than ``job_seconds`` or more memory than ``job_memory``."""
    estimate = cost.estimate
    if estimate.seconds > settings.job_seconds:
        largest = max(cost.parts, key=lambda work: work.seconds)
        raise refusal(cost, largest, settings, limit="job_seconds")
    if estimate.memory_bytes > settings.job_memory:
        largest = max(cost.parts, key=lambda work: work.memory)
        raise refusal(cost, largest, settings, limit="job_memory")


def refusal(cost: Cost, largest: Work, settings: Settings, *, limit: str) -> TooCostly:
    """The estimate, the limits and the fields that make the largest part as large as it is."""
    time, memory = said(settings.job_seconds, TIMES), said(settings.job_memory, SIZES)
    fields = ", ".join(largest.lower[:NAMED])
    return TooCostly(
        f"this job is estimated at {in_words(cost.estimate)}; the limits are {time} (SOBOLITE_JOB_SECONDS) and "
        f"{memory} of memory (SOBOLITE_JOB_MEMORY). Lower {fields}",
        path=largest.lower[0],
        bound=getattr(settings, limit),
        estimate=asdict(cost.estimate),
        limits={"job_seconds": settings.job_seconds, "job_memory": settings.job_memory},
    )


def require_room(folder: Path, *, needed: int, least: int) -> None:
    """Raise StorageFull where writing ``needed`` bytes would leave less than ``least`` free on the folder's disk."""
    free = shutil.disk_usage(folder).free
    if free - needed < least:
        raise StorageFull(
            f"{free >> 20} MiB are free on the disk of {folder}, this takes about {-(-needed >> 20)} MiB and "
            f"{least >> 20} MiB must stay free (SOBOLITE_LEAST_FREE_DISK); delete jobs and datasets that are no longer "
            "needed",
            bound=least,
        )
