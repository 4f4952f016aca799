from __future__ import annotations

import pytest

from app.http.surroundings import look
from app.jobs.queue import Jobs
from app.settings import Settings

pytestmark = pytest.mark.anyio


async def test_what_cannot_be_read_is_none(jobs: Jobs, job_settings: Settings) -> None:
    seen = await look(job_settings.registry, jobs)
    assert (seen.workers_alive, seen.queued) == (0, 0)
    assert seen.disk_free_bytes
    job_settings.registry.rename(job_settings.registry.with_name("away"))
    lost = await look(job_settings.registry, jobs)
    assert (lost.workers_alive, lost.queued, lost.disk_free_bytes) == (0, None, None)
