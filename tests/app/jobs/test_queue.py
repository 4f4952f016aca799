from __future__ import annotations

from typing import Any

import msgspec
import pytest

from app.errors import InvalidRequest, JobConflict, UnknownJob
from app.jobs.queue import Event, Jobs, StepProgress
from app.specification.jobs import load_spec
from surrogate.report.curves import LossPoint

pytestmark = pytest.mark.anyio


async def test_a_key_names_one_job(jobs: Jobs, tiny: dict[str, Any]) -> None:
    spec = load_spec("train", tiny)
    first = await jobs.submit(spec, key="k-1")
    assert await jobs.submit(spec, key="k-1") == first
    assert (first.id, first.kind, first.state, first.model, first.progress) == ("k-1", "train", "queued", "tiny", 0.0)
    other = await jobs.submit(spec)
    assert [job.id for job in await jobs.list()] == [other.id, "k-1"]
    with pytest.raises(InvalidRequest, match="another specification"):
        await jobs.submit(load_spec("train", tiny | {"seed": 2}), key="k-1")


@pytest.mark.parametrize("key", ["../../etc", ".hidden", "a b", "x" * 200, "é"])
async def test_a_key_must_be_a_safe_name(jobs: Jobs, tiny: dict[str, Any], key: str) -> None:
    with pytest.raises(InvalidRequest):
        await jobs.submit(load_spec("train", tiny), key=key)
    assert await jobs.list() == []


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
