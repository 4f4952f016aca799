"""A job as it can be run: what it names is looked up before it is queued. Torch-free."""

from __future__ import annotations

from typing import assert_never

from app.datasets.lookup import settle_dataset
from app.pipeline.provenance import read_origin
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.name import split_reference
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from pricing.domain import Box
from pricing.errors import InvalidSpec
from pricing.specs.labels import LabelSpec
from surrogate.artifact.files import load_manifest
from surrogate.artifact.manifest import Manifest


def settle(spec: JobSpec, registry: Registry) -> JobSpec:
    """The job with the Box of its dataset in it; that its version is there and its changes fit is checked.

    Raises:
        UnknownModel, UnknownVersion, UnknownDataset: what the job names is not there.
        InvalidSpec: it does not fit the rest of the specification.
    """
    match spec:
        case BuildSpec():
            settled = settle_dataset(spec, registry.root)
            require_teaching(settled.labels, settled.box, registry)
            return settled
        case PruneJobSpec():
            parent = parent_build(spec.model, spec.version, registry)
            if spec.labels is not None:
                require_teaching(spec.labels, parent.box, registry)
        case RetrainJobSpec():
            changed = spec.changed(parent_build(spec.model, spec.version, registry))
            require_teaching(changed.labels, settle_dataset(changed, registry.root).box, registry)
        case _:
            assert_never(spec)
    return spec


def parent_build(model: str, version: int | str, registry: Registry) -> BuildSpec:
    """The specification of a published version."""
    return read_origin(registry.folder(model, registry.resolve(model, version))).build


def require_teaching(labels: LabelSpec, box: Box, registry: Registry) -> None:
    """Raise UnknownModel, UnknownVersion or InvalidSpec for a teacher that is not there or does not fit the Box."""
    if labels.teacher is not None:
        name, version = split_reference(labels.teacher)
        number = registry.resolve(name, version)
        require_teacher(box, load_manifest(registry.folder(name, number)), f"{name}@{number}")


def require_teacher(box: Box, teacher: Manifest, name: str) -> None:
    """Raise InvalidSpec unless the teacher has the features of the Box and was learnt on all of it."""
    known = Box(features=tuple(teacher.features))
    if known.labels != box.labels:
        raise InvalidSpec(
            f"labels.model: the features are {', '.join(box.labels)} and those of {name} {', '.join(known.labels)}; "
            "give a model of the same",
            path="labels.model",
        )
    for i, label in enumerate(box.labels):
        if box.lower[i] < known.lower[i] or box.upper[i] > known.upper[i]:
            raise InvalidSpec(
                f"labels.model: {label} is {box.lower[i]:g} to {box.upper[i]:g} here and {known.lower[i]:g} to "
                f"{known.upper[i]:g} in {name}, which says nothing of the rest; narrow the Box or simulate the labels",
                path="labels.model",
                bound=[float(known.lower[i]), float(known.upper[i])],
            )
