from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from app.cost.work import Estimate
from app.errors import InvalidRequest, JobConflict, Overloaded, UnknownJob
from app.jobs.database import DATABASE, JobDatabase
from app.jobs.job import Event, StepProgress
from app.jobs.queue import WORKFLOW, Jobs
from app.settings import Settings
from app.specification.jobs import load_spec
from surrogate.report.curves import LossPoint

pytestmark = pytest.mark.anyio


async def test_a_key_names_one_job(jobs: Jobs, tiny: dict[str, Any]) -> None:
    spec = load_spec("train", tiny)
    first = await jobs.submit(spec, key="k-1")
    assert await jobs.submit(spec, key="k-1") == first
    assert (first.id, first.kind, first.state, first.model, first.progress) == ("k-1", "train", "queued", "tiny", 0.0)
    other = await jobs.submit(spec)
    assert [job.id for job in (await jobs.page()).jobs] == [other.id, "k-1"]
    with pytest.raises(InvalidRequest, match="another specification"):
        await jobs.submit(load_spec("train", tiny | {"seed": 2}), key="k-1")


@pytest.mark.parametrize("key", ["../../etc", ".hidden", "a b", "x" * 200, "é"])
async def test_a_key_must_be_a_safe_name(jobs: Jobs, tiny: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidRequest):
        await jobs.submit(load_spec("train", tiny), key=key)
    assert (await jobs.page()).jobs == []


async def test_a_queued_job_can_be_cancelled_and_resumed(jobs: Jobs, tiny: dict[str, Any]) -> None:
    job = await jobs.submit(load_spec("train", tiny))
    with pytest.raises(JobConflict, match="is queued"):
        await jobs.resume(job.id)
    cancelled = await jobs.cancel(job.id)
    assert cancelled.state == "cancelled"
    assert await jobs.cancel(job.id) == cancelled
    assert [event async for event in jobs.events(job.id)] == [Event(name="done", data=cancelled, id=0)]
    assert (await jobs.resume(job.id)).state == "queued"


async def test_an_unknown_job_is_unknown_everywhere(jobs: Jobs) -> None:
    for question in (jobs.get, jobs.cancel, jobs.resume):
        with pytest.raises(UnknownJob):
            await question("nobody")


async def test_an_event_says_losses_where_there_are_some() -> None:
    quiet = {"step": "label", "progress": 0.5}  # as every event was, before trainings told theirs
    assert msgspec.to_builtins(msgspec.convert(quiet, StepProgress)) == quiet
    point = LossPoint(optimiser="adam", place=0, start=0, iteration=3, loss=None, terms={"value": 0.5})
    told = msgspec.to_builtins(StepProgress(step="train", progress=0.5, losses=point))
    assert told["losses"]["terms"] == {"value": 0.5}
    assert told["losses"]["loss"] is None
    assert msgspec.convert(told, StepProgress).losses == point


async def test_only_so_many_jobs_wait(job_settings: Settings, tiny: dict[str, Any]) -> None:
    jobs, spec = Jobs(job_settings.model_copy(update={"queued_jobs": 2})), load_spec("train", tiny)
    answers = await asyncio.gather(*(jobs.submit(spec, key=f"k-{i}") for i in range(6)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, Overloaded)]
    assert len(refused) == 4
    assert "2 jobs wait, the limit (SOBOLITE_QUEUED_JOBS)" in str(refused[0])
    waiting = [job.id for job in (await jobs.page()).jobs]
    assert len(waiting) == 2
    assert (await jobs.submit(spec, key=waiting[0])).id == waiting[0]  # a repeat takes no place
    await jobs.cancel(waiting[0])
    await jobs.submit(spec)
    with pytest.raises(Overloaded):
        await jobs.resume(waiting[0])
    assert (await jobs.get(waiting[0])).state == "cancelled"
    jobs.close()


async def test_a_job_keeps_who_has_ordered_it(jobs: Jobs, job_settings: Settings, tiny: dict[str, Any]) -> None:
    spec = load_spec("train", tiny)
    job = await jobs.submit(spec, key="mine", submitter="somebody")
    assert job.submitter == (await jobs.get("mine")).submitter == "somebody"
    assert (await jobs.submit(spec, key="mine", submitter="another")).submitter == "somebody"
    assert (await jobs.submit(spec, key="nobodys")).submitter is None
    database = JobDatabase(job_settings.registry / DATABASE, WORKFLOW)
    assert [database.submitter(name) for name in ("mine", "nobodys", "absent")] == ["somebody", None, None]


async def test_a_job_keeps_its_estimate(jobs: Jobs, tiny: dict[str, Any]) -> None:
    estimate = Estimate(seconds=1.5, memory_bytes=1 << 40, disk_bytes=7)
    job = (await jobs.submit(load_spec("train", tiny), estimate=estimate)).id
    assert (await jobs.get(job)).estimate == estimate
    assert [job.estimate for job in (await jobs.page()).jobs] == [estimate]
