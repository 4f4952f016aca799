"""What the JSON files of a job's folder say. Torch-free.

They are read leniently and written as they always were: a job that another version has begun goes on. Numbers of the
libraries below that have no struct of their own stay plain data.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.prune_job import PruneJobSpec
from pricing.specs.base import load
from pricing.specs.estimator import Estimator


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


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A published version."""

    model: str
    version: int


class Parent(msgspec.Struct, frozen=True, kw_only=True):
    """What a prune job takes over from the version that it prunes.

    Args:
        build: the specification that the steps follow: the parent's with what the order changes.
        simulated_paths: that the parent was learnt from, and its own parents.
    """

    build: BuildSpec
    simulated_paths: int
    parent: Version


class StatesFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Of a table of states that labels were made around: its rows, and the share of its law inside the Box."""

    states: int
    inside: float
    states_sha256: str


class SimulatedLabels(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Labels that the label step simulated.

    Args:
        standard_error: root mean square by kind of label.
        estimator: that which the rule chose, or which was asked for.
        bias: what the estimator states of it (`pricing.estimators.contribute.bias`).
        table: where there is one.
    """

    simulated_paths: int
    payoff_evaluations: int
    standard_error: dict[str, float]
    estimator: Estimator
    bias: dict[str, float | list[str]]
    table: StatesFacts | None = None


class NoiseFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Mean square of the noise in a label, and its standard error."""

    square: float
    error: float


class ImportedLabels(msgspec.Struct, frozen=True, kw_only=True):
    """Labels that the label step took from a dataset.

    Args:
        dataset: its id.
        rows, copies: of the whole dataset.
        least, largest: of the features, by column.
        noise: by output, where repeated features tell it.
    """

    dataset: str
    rows: int
    copies: int
    least: tuple[float, ...]
    largest: tuple[float, ...]
    learnt_from: int
    learnt_from_in_box: int
    held_out: int
    simulated_paths: int
    noise: dict[str, NoiseFacts] | None


LabelFacts = SimulatedLabels | ImportedLabels


def load_labels(data: dict[str, Any]) -> LabelFacts:
    """The facts of labels from plain data; only those of a dataset name one."""
    return load(ImportedLabels, data) if "dataset" in data else load(SimulatedLabels, data)


class AxesFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Of the axes that a surrogate sees in place of all features (`surrogate.learning.differential_pca.Axes`)."""

    count: int
    lost_gradient: float
    lost_value: float


class RidgeScore(msgspec.Struct, frozen=True, kw_only=True):
    """What a ridge left on rows held out: the mean loss, and its excess over the best in standard errors."""

    ridge: float
    loss: float
    excess: float


class Ridge(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ridge of the training, and those that it was chosen from where several were tried."""

    ridge: float
    tried: tuple[RidgeScore, ...] = ()


class Certificate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is proven of the exported weights.

    Args:
        shape: statements (`pruning.certificates.shape.prove_shape`); none where there are none to prove, and
            ``no_shape`` says why.
        pruning: how far pruning moved the network (`pruning.certificates.distance.certify`).
        arithmetic: what the proofs assume.
    """

    shape: list[dict[str, Any]] | None
    pruning: dict[str, Any] | None
    arithmetic: str
    no_shape: str | None = None


class StartSeconds(msgspec.Struct, frozen=True, kw_only=True):
    """What labels and dense network of a sweep's seed took."""

    labels: float
    training: float
