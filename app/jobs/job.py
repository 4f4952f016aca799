"""What a job is, as it is shown: its state, its steps, what it has said so far. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import msgspec
from dbos import WorkflowStatus

from app.cost.work import Estimate
from app.specification.jobs import JobKind
from surrogate.artifact.manifest import Version
from surrogate.report.curves import LossPoint

State = Literal["queued", "running", "succeeded", "failed", "cancelled"]
ENDED: frozenset[State] = frozenset({"succeeded", "failed", "cancelled"})
STATES: dict[str, State] = {
    "DELAYED": "queued",
    "ENQUEUED": "queued",
    "PENDING": "running",
    "SUCCESS": "succeeded",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
    "CANCELLED": "cancelled",
}


@dataclass(frozen=True, kw_only=True)
class StepTime:
    """A finished step and the seconds it took."""

    name: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """A job as it is shown; times are UTC (ISO 8601), progress is the share of the whole job, 0 to 1."""

    id: str
    kind: JobKind
    state: State
    model: str
    version: int | None
    step: str | None
    progress: float
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    steps: tuple[StepTime, ...]
    error: str | None
    estimate: Estimate | None = None
    submitter: str | None = None


class StepProgress(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The running step, and the share of the whole job that is done, 0 to 1.

    Args:
        losses: where a training stands, if it was measured since the last event.
    """

    step: str
    progress: float
    losses: LossPoint | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """One server-sent event; ``done`` has the id after the last ``progress``: who has seen it need not come again."""

    name: Literal["progress", "done"]
    data: StepProgress | Job
    id: int


@dataclass(frozen=True, kw_only=True)
class JobPage:
    """Some jobs, and the cursor of the page after them, None at the end."""

    jobs: list[Job]
    next: str | None = None


class JobAttributes(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the job database keeps beside a job; ``started`` in milliseconds, of a job that was cancelled."""

    kind: JobKind
    model: str
    step: str | None
    progress: float
    started: int | None = None
    estimate: Estimate | None = None
    submitter: str | None = None


def job_folder(root: Path, job: str) -> Path:
    """Where a job's steps leave their files; no model's name starts with a dot."""
    return root / ".jobs" / job


def job_folders(root: Path) -> list[Path]:
    """The folders of all jobs that have one."""
    return sorted(folder for folder in (root / ".jobs").glob("*") if folder.is_dir())


def view(status: WorkflowStatus, steps: tuple[StepTime, ...] = ()) -> Job:
    """A row of the job database as a job."""
    state = STATES[status.status]
    attributes = msgspec.convert(status.attributes, JobAttributes)
    return Job(
        id=status.workflow_id,
        kind=attributes.kind,
        state=state,
        model=attributes.model,
        version=msgspec.convert(status.output, Version).version if state == "succeeded" else None,
        step=attributes.step,
        progress=1.0 if state == "succeeded" else attributes.progress,
        created_at=_time(status.created_at),
        started_at=_time(status.dequeued_at or attributes.started),
        finished_at=_time(status.completed_at),
        steps=steps,
        error=str(status.error) if state == "failed" else None,
        estimate=attributes.estimate,
        submitter=attributes.submitter,
    )


def _time(milliseconds: int | None) -> str | None:
    return None if milliseconds is None else datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat()
