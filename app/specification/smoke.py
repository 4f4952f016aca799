"""A build made small: does its specification run, from labels to file? Torch-free."""

from __future__ import annotations

from typing import TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from app.specification.build import BuildSpec
from pricing.specs.base import Spec
from pricing.specs.estimator import Frozen
from pricing.specs.labels import LabelSpec
from surrogate.spec import TrainingSpec

# The most of each field that a smoke build keeps: everything runs in seconds and nothing is learnt.
LABELS = {"samples": 64, "paths": 64, "replicates": 2}
PILOT = 64
RULE_PATHS = 1024
OPTIMISER = {"epochs": 2, "iterations": 3, "starts": 2, "short": 2, "finalists": 1, "long": 2}
POINTS = 16

SpecType = TypeVar("SpecType", bound=Spec)


def smoke(spec: BuildSpec) -> BuildSpec:
    """The same build with budgets cut until it takes seconds. What it publishes prices nothing."""
    pruning = spec.pruning
    if pruning is not None and pruning.fine_tuning is not None:
        pruning = replace(pruning, stages=1, fine_tuning=quick(pruning.fine_tuning))
    return replace(
        spec,
        labels=few(spec.labels) if spec.dataset is None else spec.labels,
        training=quick(spec.training) if spec.polynomial is None else spec.training,
        pruning=pruning,
        evaluation=cut(spec.evaluation, {"samples": POINTS}),
    )


def few(labels: LabelSpec) -> LabelSpec:
    """Labels at a handful of samples."""
    estimator = labels.estimator
    if isinstance(estimator, Frozen):
        estimator = cut(estimator, {"paths": RULE_PATHS})
    held_out = labels.held_out if labels.held_out is UNSET else min(labels.held_out, LABELS["samples"])
    labels = replace(cut(replace(labels, held_out=UNSET), LABELS), held_out=held_out)
    return replace(labels, estimator=estimator, draws=cut(labels.draws, {"pilot": PILOT}))


def quick(training: TrainingSpec) -> TrainingSpec:
    """Every optimiser, for a few steps."""
    return replace(training, optimisers=tuple(cut(optimiser, OPTIMISER) for optimiser in training.optimisers))


def cut(spec: SpecType, most: dict[str, int]) -> SpecType:
    """The specification with those of its fields that exceed a bound at the bound."""
    fields = {name: min(getattr(spec, name), bound) for name, bound in most.items() if hasattr(spec, name)}
    return replace(spec, **fields)
