"""Where a model comes from: all that it takes to make the same bytes again."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from app.pipeline.facts import Parent
from app.pipeline.folder import JobFolder
from app.specification.build import BuildSpec
from pricing.specs.base import dump, load
from surrogate.artifact.files import load_manifest
from surrogate.artifact.manifest import Provenance
from surrogate.report.record import known
from surrogate.report.report import LabelFacts
from surrogate.report.sources import ImportedLabels, SimulatedLabels, TaughtLabels

# Distributions whose version can change the numbers.
LIBRARIES = ("sobolite", "torch", "numpy", "scipy", "onnx", "onnxruntime")


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """What is read again of a published provenance.

    Args:
        simulated_paths: that the model was learnt from, and its parents.
    """

    build: BuildSpec
    simulated_paths: int


def read_origin(version: Path) -> Origin:
    """Where the model in a published folder comes from."""
    return origin_of(load_manifest(version).provenance)


def origin_of(published: Provenance) -> Origin:
    """What is read again of a provenance."""
    return Origin(build=load(BuildSpec, published.build), simulated_paths=published.simulated_paths)


def told(build: BuildSpec, labels: LabelFacts) -> dict[str, Any]:
    """A specification as plain data, without what has no effect and with the teacher that an alias stood for."""
    plain = {name: value for name, value in dump(build).items() if name not in without_effect(build)}
    taught = known(labels.taught) if isinstance(labels, ImportedLabels) else labels
    if isinstance(taught, TaughtLabels):
        plain["labels"] = plain["labels"] | {"model": taught.teacher}
    return plain


def without_effect(build: BuildSpec) -> frozenset[str]:
    """What a specification says of simulated labels and of a reference, where it has none."""
    unused = frozenset({"problem", "evaluation"}) if build.problem is None else frozenset[str]()
    return unused | {"labels"} if build.dataset is not None and build.labels.teacher is None else unused


def versions() -> dict[str, str]:
    """Versions of the libraries that can change the numbers."""
    return {library: version(library) for library in LIBRARIES}


def provenance(folder: JobFolder, build: BuildSpec) -> Provenance:
    """What a manifest says of a job's folder after its last step but export."""
    labels, parent = folder.label_facts.read(), folder.parent.read_if_there()
    states = labels.table if isinstance(labels, SimulatedLabels) else None
    return Provenance(
        build=told(build, labels),
        seed=build.seed,
        simulated_paths=simulated_paths(labels, parent),
        data_sha256=hashlib.sha256(folder.labels.read()).hexdigest(),
        trained_sha256=trained_sha256(folder),
        libraries=versions(),
        parent=None if parent is None else parent.parent,
        retraining=UNSET if parent is None or parent.retraining is None else parent.retraining,
        job=folder.order.read().job,
        states_sha256=None if states is None else states.states_sha256,
    )


def trained_sha256(folder: JobFolder) -> str | UnsetType:
    """Of the network that was pruned; where nothing was, the model itself tells."""
    if not (folder.pruned.path.exists() and folder.trained.path.exists()):
        return UNSET
    return hashlib.sha256(folder.trained.read()).hexdigest()


def simulated_paths(labels: LabelFacts, parent: Parent | None) -> int:
    """That the model was learnt from, those of its parents and teachers; of a parent that is the teacher once."""
    if parent is None:
        return labels.simulated_paths
    whose = (f"{parent.parent.model}@{parent.parent.version}", parent.teacher)
    if isinstance(labels, TaughtLabels) and labels.teacher in whose:
        return max(labels.simulated_paths, parent.simulated_paths)
    return labels.simulated_paths + parent.simulated_paths
