"""The worker's own sweep: what is past its age is deleted at start and once an hour."""

from __future__ import annotations

import asyncio

import structlog

from app.errors import EXPECTED
from app.jobs.ended import delete_old
from app.jobs.queue import Jobs
from app.settings import Settings

log = structlog.get_logger()


def sweep(settings: Settings) -> None:
    """Delete what the settings give no more time; what cannot be deleted now is tried again in an hour."""
    try:
        jobs = Jobs(settings)
        try:
            ages = {"job_days": settings.job_days, "dataset_days": settings.dataset_days}
            removed = asyncio.run(delete_old(jobs, settings.registry, **ages))
        finally:
            jobs.close()
    except EXPECTED as error:
        log.warning("sweep failed", reason=str(error))
        return
    if any(removed.values()):
        log.info("swept", **{kind: ids for kind, ids in removed.items() if ids})
