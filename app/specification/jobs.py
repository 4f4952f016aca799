"""The kinds of jobs and their specifications. Torch-free."""

from __future__ import annotations

from typing import Literal

from app.specification.build import BuildSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.state_files import refuse_state_file
from pricing.specs.base import load

JobKind = Literal["train", "prune"]
JobSpec = BuildSpec | PruneJobSpec


def load_spec(kind: JobKind, spec: object) -> JobSpec:
    """A job's specification from plain data.

    Raises:
        InvalidSpec: names the path of what is wrong.
    """
    refuse_state_file(spec)
    return load(PruneJobSpec, spec) if kind == "prune" else load(BuildSpec, spec)


def kind_of(spec: JobSpec) -> JobKind:
    """What a specification is of."""
    return "prune" if isinstance(spec, PruneJobSpec) else "train"


def model_name(spec: JobSpec) -> str:
    """The model that a job publishes."""
    return spec.model if isinstance(spec, PruneJobSpec) else spec.name
