from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from structlog.testing import capture_logs

from app.jobs.job import job_folder
from app.jobs.queue import Jobs
from app.jobs.retention import sweep
from app.settings import Settings
from app.specification.jobs import load_spec


def test_a_sweep_follows_the_settings_and_tells_what_it_did(root: Path, tiny: dict[str, Any]) -> None:
    settings = Settings(registry=root)
    jobs = Jobs(settings)
    job = asyncio.run(jobs.submit(load_spec("train", tiny))).id
    asyncio.run(jobs.cancel(job))
    job_folder(root, job).mkdir(parents=True)
    with capture_logs() as quiet:
        sweep(settings)
    assert quiet == []
    assert asyncio.run(jobs.knows(job))
    with capture_logs() as told:
        sweep(settings.model_copy(update={"job_days": 1e-9}))
    assert [line["jobs"] for line in told if line["event"] == "swept"] == [[job]]
    assert not asyncio.run(jobs.knows(job))
    assert not job_folder(root, job).exists()
    jobs.close()


def test_a_sweep_that_cannot_says_why(root: Path) -> None:
    root.write_text("a file where the registry should be")
    with capture_logs() as told:
        sweep(Settings(registry=root))
    assert [line["event"] for line in told] == ["sweep failed"]
    assert str(root) in told[0]["reason"]
