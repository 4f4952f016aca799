"""What the manifest of a version says: what it prices, where, how well, what is proven, and its origin. Torch-free.

`plain_manifest` and `read_manifest` are the way to JSON and back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import asdict

from pricing.domain import Box, Feature
from surrogate.errors import CorruptArtifact
from surrogate.report.gate import Gate
from surrogate.report.record import Record
from surrogate.report.report import plain_accuracy, read
from surrogate.report.scores import Accuracy


class PublishedFeature(Feature, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """A feature of the Box as a file states it, which may say more than is known here."""


class NetworkFacts(Record, frozen=True, kw_only=True):
    """What is learnt: the widths and activation of a network, or the degree, axes and terms of a polynomial.

    Args:
        kind: "polynomial"; a network has none.
        linear: hidden layers that no activation follows, 1 the first.
        axes: that a polynomial sees of the features.
        parameters: numbers that are not exactly zero.
        nodes: of the ONNX graph.
    """

    kind: str | None = None
    widths: tuple[int, ...] | None = None
    activation: str | None = None
    linear: tuple[int, ...] | None = None
    degree: int | None = None
    axes: int | None = None
    terms: int | None = None
    parameters: int
    nodes: int | UnsetType = UNSET


class ReductionFacts(Record, frozen=True, kw_only=True):
    """An exact scaling: its formula, the problem that is simulated as plain data, and what the network sees.

    Args:
        control: what C of the formula is, where the network has learnt the difference to it.
    """

    formula: str
    simulated: dict[str, Any]
    inputs: tuple[PublishedFeature, ...]
    control: str | UnsetType = UNSET


class ShapeProof(Record, frozen=True, kw_only=True):
    """A statement about the shape, as `pruning.certificates.shape.prove_shape` leaves it."""

    statement: str
    tolerance: float
    scale: float
    proven: bool
    share: float
    share_is: str
    smallest_tolerance: float | None
    sub_boxes: int


class SeenDifference(Record, frozen=True, kw_only=True):
    """The largest differences that were met at points of the Box."""

    value: float
    delta: tuple[float, ...] | None


class DifferenceProof(Record, frozen=True, kw_only=True):
    """How far pruning moved a network at most, as `pruning.certificates.distance.certify` leaves it."""

    value: float | None
    delta: tuple[float, ...] | None
    largest_delta: float | None
    seen: SeenDifference
    method: str
    sub_boxes: int


class Certificate(Record, frozen=True, kw_only=True):
    """What is proven of the exported weights.

    Args:
        shape: empty where the payoff has no such statements, None where there is nothing to prove them of.
        pruning: None where nothing was pruned that had been trained before.
        arithmetic: what the proofs assume.
        no_shape: why there is no shape.
    """

    shape: tuple[ShapeProof, ...] | None
    pruning: DifferenceProof | None
    arithmetic: str
    no_shape: str | None = None


class Version(Record, frozen=True, kw_only=True):
    """A published version."""

    model: str
    version: int


class Retraining(Record, frozen=True, kw_only=True):
    """How a version was trained again.

    Args:
        changes: of the parent's specification, as they were asked for.
        start: "weights" of the parent, or "scratch".
        reason: why from scratch.
    """

    changes: dict[str, Any]
    start: str
    reason: str | None = None


class Provenance(Record, frozen=True, kw_only=True):
    """Where a model comes from: all that it takes to make the same bytes again.

    Args:
        build: the specification as plain data, without what it says of simulated labels where there are none.
        simulated_paths: that the model was learnt from, and its parents.
        states_sha256: of the table of states that labels were made around.
        data_sha256: of the labels in the file that they were learnt from.
        trained_sha256: of the network as ONNX that was pruned, its trained one or the parent's.
        libraries: versions by distribution.
        parent: the version that was pruned or trained again.
        retraining: of a version that was trained again.
        job: None when no job system ran the pipeline.
    """

    build: dict[str, Any]
    seed: int
    simulated_paths: int
    states_sha256: str | None = None
    data_sha256: str | UnsetType = UNSET
    trained_sha256: str | UnsetType = UNSET
    libraries: dict[str, str] | UnsetType = UNSET
    parent: Version | UnsetType | None = UNSET
    retraining: Retraining | UnsetType = UNSET
    job: str | UnsetType | None = UNSET


class Manifest(Record, frozen=True, kw_only=True):
    """All that is published of a version beside its files.

    Args:
        problem: what is priced, as plain data; None where labels were imported.
        features: the Box with units.
        outputs: the unit of each.
        accuracy_warning: where accuracy is of fewer points than were asked for.
        reduction: where exact scaling leaves less to learn.
        no_reduction: why it does not, where more than the spots vary.
        no_control: why no closed form is taken off a product that has one near it.
        certificate: None where nothing was tried.
        gate: what was required of it; none of versions from before there were requirements.
        parity: by file and output, the largest difference between graph and network as a share of the output's size.
        float32_unfit: where single precision was asked for and loses too much, by how much.
        hashes: sha256 of the model bytes by file, and of the specification.
    """

    name: str
    problem: dict[str, Any] | UnsetType | None = UNSET
    features: tuple[PublishedFeature, ...]
    outputs: dict[str, str]
    network: NetworkFacts
    reduction: ReductionFacts | None = None
    no_reduction: str | None = None
    no_control: str | UnsetType = UNSET
    accuracy: Accuracy
    accuracy_warning: str | UnsetType = UNSET
    certificate: Certificate | UnsetType | None = UNSET
    gate: Gate | UnsetType = UNSET
    parity: dict[str, dict[str, float]] | UnsetType = UNSET
    float32_unfit: str | UnsetType = UNSET
    provenance: Provenance
    hashes: dict[str, str] | UnsetType = UNSET

    @property
    def controlled(self) -> bool:
        """Whether the network has learnt the difference to a closed form."""
        return self.reduction is not None and self.reduction.control is not UNSET


def plain_manifest(manifest: Manifest) -> dict[str, Any]:
    """The manifest as plain data for JSON."""
    plain: dict[str, Any] = msgspec.to_builtins(manifest)
    return plain | {"accuracy": plain_accuracy(manifest.accuracy)}


def read_manifest(plain: Mapping[str, Any]) -> Manifest:
    """A manifest from plain data.

    Raises:
        CorruptArtifact: it is no manifest.
    """
    return read(Manifest, plain)


def published(features: Sequence[Feature]) -> tuple[PublishedFeature, ...]:
    """Features as a manifest has them."""
    return tuple(PublishedFeature(**asdict(feature)) for feature in features)


def read_box(plain: Mapping[str, Any]) -> Box:
    """The Box of a manifest in plain data, whatever else that says.

    Raises:
        CorruptArtifact: there is none.
    """
    try:
        features = msgspec.convert(plain["features"], tuple[PublishedFeature, ...])
    except (msgspec.ValidationError, KeyError) as error:
        raise CorruptArtifact(f"this manifest has no features: {error}") from error
    return Box(features=tuple(Feature(**asdict(feature)) for feature in features))
