"""A job as it can be run: what it names is looked up before it is queued. Torch-free."""

from __future__ import annotations

from typing import assert_never

from app.datasets.lookup import settle_dataset
from app.pipeline.provenance import read_origin
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec


def settle(spec: JobSpec, registry: Registry) -> JobSpec:
    """The job with the Box of its dataset in it; that its version is there and its changes fit is checked.

    Raises:
        UnknownModel, UnknownVersion, UnknownDataset: what the job names is not there.
        InvalidSpec: it does not fit the rest of the specification.
    """
    match spec:
        case BuildSpec():
            return settle_dataset(spec, registry.root)
        case PruneJobSpec():
            registry.resolve(spec.model, spec.version)
        case RetrainJobSpec():
            published = registry.folder(spec.model, registry.resolve(spec.model, spec.version))
            settle_dataset(spec.changed(read_origin(published).build), registry.root)
        case _:
            assert_never(spec)
    return spec
