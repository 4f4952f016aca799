"""What a deployment refuses for its cost, in a sentence that says what to lower. Torch-free."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from app.cost.advice import advice
from app.cost.job import Cost
from app.cost.work import SIZES, TIMES, in_words, said
from app.errors import StorageFull, TooCostly
from app.settings import Settings

# Fields that a sentence names.
NAMED = 3


@dataclass(frozen=True, kw_only=True)
class Limited:
    """An amount of an estimate that has a limit.

    Args:
        setting: that limits it.
        units: how it is said.
    """

    setting: str
    unit: str
    units: tuple[tuple[float, str], ...]
    of: Callable[[Cost], float]


LIMITED = (
    Limited(setting="job_seconds", unit="seconds", units=TIMES, of=lambda cost: cost.estimate.seconds),
    Limited(setting="job_memory", unit="bytes", units=SIZES, of=lambda cost: float(cost.estimate.memory_bytes)),
)


def require_affordable(cost: Cost, settings: Settings) -> None:
    """Raise TooCostly for a job that would take longer than ``job_seconds`` or more memory than ``job_memory``."""
    for limited in LIMITED:
        if limited.of(cost) > getattr(settings, limited.setting):
            raise refusal(cost, limited, settings)


def refusal(cost: Cost, limited: Limited, settings: Settings) -> TooCostly:
    """The estimate, the limits and the fields whose lowering helps most, with what half of each would leave."""
    time, memory = said(settings.job_seconds, TIMES), said(settings.job_memory, SIZES)
    helpful = advice(cost, limited.of)[:NAMED]
    told = ", ".join(f"{each.field} (half of it: {said(each.amount, limited.units)})" for each in helpful)
    todo = (
        f"Lower {told}"
        if told
        else f"Half of no single field lowers that: lower several, or {limited.setting} is raised"
    )
    return TooCostly(
        f"this job is estimated at {in_words(cost.estimate)}; the limits are {time} (SOBOLITE_JOB_SECONDS) and "
        f"{memory} of memory (SOBOLITE_JOB_MEMORY). {todo}",
        path=helpful[0].field if helpful else "",
        limit=limited.setting,
        unit=limited.unit,
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
