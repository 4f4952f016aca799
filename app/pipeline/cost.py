"""What a job takes, from what it names in a registry. Torch-free."""

from __future__ import annotations

from typing import assert_never

from app.cost.job import Cost, Named, cost_of
from app.datasets import store
from app.datasets.lookup import settle_dataset
from app.pipeline.settle import orders_of, parent_build
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.name import split_reference
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from surrogate.artifact.files import load_manifest


def job_cost(spec: JobSpec, registry: Registry) -> Cost:
    """What a job takes that `app.pipeline.settle.settle` has settled.

    Raises:
        UnknownModel, UnknownVersion, UnknownDataset: what the job names is gone.
    """
    build = followed(spec, registry)
    return cost_of(spec, build, named_by(build, registry))


def followed(spec: JobSpec, registry: Registry) -> BuildSpec:
    """The specification that the steps of a job follow."""
    match spec:
        case BuildSpec():
            return settle_dataset(spec, registry.root)
        case PruneJobSpec() | RetrainJobSpec():
            changed = spec.changed(parent_build(spec.model, spec.version, registry))
            return settle_dataset(changed, registry.root, orders_of(spec, changed))
        case _:
            assert_never(spec)


def named_by(build: BuildSpec, registry: Registry) -> Named:
    """What is known of the dataset and the teacher of a build."""
    rows = 0 if build.dataset is None else store.find(registry.root, build.dataset.id).rows
    if build.labels.teacher is None:
        return Named(rows=rows)
    name, version = split_reference(build.labels.teacher)
    network = load_manifest(registry.folder(name, registry.resolve(name, version))).network
    return Named(rows=rows, teacher_parameters=network.parameters)
