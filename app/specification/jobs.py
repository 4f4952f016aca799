"""The kinds of jobs and their specifications. Torch-free."""

from __future__ import annotations

from typing import Literal

from app.specification.build import BuildSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec
from app.specification.state_files import refuse_state_file
from pricing.specs.base import load

JobKind = Literal["train", "prune", "retrain"]
JobSpec = BuildSpec | PruneJobSpec | RetrainJobSpec
# Jobs that begin with a published version.
ParentJobSpec = PruneJobSpec | RetrainJobSpec
KINDS: dict[JobKind, type[JobSpec]] = {"train": BuildSpec, "prune": PruneJobSpec, "retrain": RetrainJobSpec}


def load_spec(kind: JobKind, spec: object) -> JobSpec:
    """A job's specification from plain data.

    Raises:
        InvalidSpec: names the path of what is wrong.
    """
    refuse_state_file(spec)
    return load(KINDS[kind], spec)


def kind_of(spec: JobSpec) -> JobKind:
    """What a specification is of."""
    return next(kind for kind, struct in KINDS.items() if isinstance(spec, struct))


def model_name(spec: JobSpec) -> str:
    """The model that a job publishes."""
    return spec.name if isinstance(spec, BuildSpec) else spec.model
