"""What the JSON files of a job's folder say. Torch-free.

They are read leniently and written as they always were: a job that another version has begun goes on. What a report
or a manifest takes over has its struct in `surrogate.report` or `surrogate.artifact.manifest`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.prune_job import PruneJobSpec
from pricing.specs.base import load
from surrogate.artifact.manifest import Version
from surrogate.report.sources import ImportedLabels, SimulatedLabels


class _Order(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """What a job's folder is told once and every step reads.

    Args:
        registry: root of the registry, for a parent version and for publishing.
        job: the job's id; none when no job system runs the pipeline.
    """

    registry: str | None = None
    job: str | None = None


class TrainOrder(_Order, frozen=True, kw_only=True, tag="train"):
    """Build what the specification says."""

    spec: BuildSpec


class PruneOrder(_Order, frozen=True, kw_only=True, tag="prune"):
    """Prune a published version as the specification says."""

    spec: PruneJobSpec


Order = TrainOrder | PruneOrder


def order_of(spec: JobSpec, *, registry: Path | None = None, job: str | None = None) -> Order:
    """The order for a specification."""
    root = None if registry is None else str(registry)
    if isinstance(spec, PruneJobSpec):
        return PruneOrder(spec=spec, registry=root, job=job)
    return TrainOrder(spec=spec, registry=root, job=job)


def load_order(data: dict[str, Any]) -> Order:
    """An order from plain data."""
    return load(PruneOrder, data) if data["kind"] == "prune" else load(TrainOrder, data)


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """What a prune job takes over from the version that it prunes.

    Args:
        build: the specification that the steps follow: the parent's with what the order changes.
        simulated_paths: that the parent was learnt from, and its own parents.
    """

    build: BuildSpec
    simulated_paths: int
    parent: Version


LabelFacts = SimulatedLabels | ImportedLabels


def load_labels(data: dict[str, Any]) -> LabelFacts:
    """The facts of labels from plain data; only those of a dataset name one."""
    return load(ImportedLabels, data) if "dataset" in data else load(SimulatedLabels, data)


class StartSeconds(msgspec.Struct, frozen=True, kw_only=True):
    """What labels and dense network of a sweep's seed took."""

    labels: float
    training: float
