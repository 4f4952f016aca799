"""What the JSON files of a job's folder say. Torch-free.

They are read leniently and written as they always were: a job that another version has begun goes on. What a report
or a manifest takes over has its struct in `surrogate.report` or `surrogate.artifact.manifest`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, assert_never

import msgspec
from msgspec import UNSET, UnsetType

from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.domain import Box
from pricing.specs.base import load
from surrogate.artifact.manifest import Retraining, Version
from surrogate.report.choices import Choices


class _Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What a job's folder is told once and every step reads.

    Args:
        registry: root of the registry, for a parent version and for publishing.
        job: the job's id; none when no job system runs the pipeline.
        submitter: who has ordered it, where that was said.
    """

    registry: str | None = None
    job: str | None = None
    submitter: str | UnsetType = UNSET


class TrainOrder(_Order, frozen=True, kw_only=True, tag="train"):
    """Build what the specification says."""

    spec: BuildSpec


class PruneOrder(_Order, frozen=True, kw_only=True, tag="prune"):
    """Prune a published version as the specification says."""

    spec: PruneJobSpec


class RetrainOrder(_Order, frozen=True, kw_only=True, tag="retrain"):
    """Train a published version again as the specification says."""

    spec: RetrainJobSpec


Order = TrainOrder | PruneOrder | RetrainOrder
ORDERS: dict[str, type[Order]] = {"train": TrainOrder, "prune": PruneOrder, "retrain": RetrainOrder}


def order_of(
    spec: JobSpec, *, registry: Path | None = None, job: str | None = None, submitter: str | None = None
) -> Order:
    """The order for a specification."""
    root, whose = None if registry is None else str(registry), UNSET if submitter is None else submitter
    match spec:
        case BuildSpec():
            return TrainOrder(spec=spec, registry=root, job=job, submitter=whose)
        case PruneJobSpec():
            return PruneOrder(spec=spec, registry=root, job=job, submitter=whose)
        case RetrainJobSpec():
            return RetrainOrder(spec=spec, registry=root, job=job, submitter=whose)
        case _:
            assert_never(spec)


def load_order(data: dict[str, Any]) -> Order:
    """An order from plain data."""
    return load(ORDERS.get(data["kind"], TrainOrder), data)


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """What a job takes over from the version that it prunes or trains again.

    Args:
        build: the specification that the steps follow: the parent's with what the order changes.
        simulated_paths: that what is taken over was learnt from: by the parent and its own parents.
        inputs: the Box of what the parent's network sees; of a retrain job.
        retraining: of a retrain job.
        teacher: whose answers the parent has learnt.
    """

    build: BuildSpec
    simulated_paths: int
    parent: Version
    inputs: Box | None = None
    retraining: Retraining | None = None
    teacher: str | None = None


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """What a build has chosen by itself.

    Args:
        build: the specification that its steps follow, with the choices in it.
        choices: what the report says of them.
    """

    build: BuildSpec
    choices: Choices


class StartSeconds(msgspec.Struct, frozen=True, kw_only=True):
    """What labels and dense network of a sweep's seed took."""

    labels: float
    training: float


class SpentSeconds(msgspec.Struct, frozen=True, kw_only=True):
    """How long the steps of a job have run, those that were stopped too."""

    seconds: float
