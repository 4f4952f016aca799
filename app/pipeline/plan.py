"""Which steps a job runs and how far it is. Torch-free: the API and the worker read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import assert_never

from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from app.specification.prune_job import PruneJobSpec
from app.specification.retrain_job import RetrainJobSpec

# Told the running step and the share of the whole job that is done, 0 to 1.
JobProgress = Callable[[str, float], None]
# Rough share of a job's time by step, from the seven-asset example; it only makes the progress bar move evenly.
WEIGHTS = {
    "load": 1,
    "label": 10,
    "train": 50,
    "grow": 60,
    "prune": 40,
    "certify": 4,
    "evaluate": 8,
    "export": 4,
    "publish": 1,
}
# What every job ends with.
AFTER = ("certify", "evaluate", "export", "publish")


def plan(spec: JobSpec) -> tuple[str, ...]:
    """Names of the steps in order; each is a function in `app.pipeline.steps.STEPS`."""
    made = makes(spec)
    if isinstance(spec, BuildSpec) and spec.chooses:
        made = ("grow", *(step for step in made if step not in ("label", "train")))
    return (*made, *AFTER)


def makes(spec: JobSpec) -> tuple[str, ...]:
    """The steps that make the network of a job whose choices are made."""
    match spec:
        case BuildSpec(pruning=None):
            return ("label", "train")
        case BuildSpec():
            return ("label", "train", "prune")
        case PruneJobSpec():
            return ("load", "label", "prune")
        case RetrainJobSpec():  # whether there is anything to prune is known when the version is
            return ("load", "label", "train", "prune")
        case _:
            assert_never(spec)


def done(steps: Sequence[str], step: str, share: float) -> float:
    """Share of the whole job that is done, 0 to 1, when ``share`` of ``step`` is."""
    finished = sum(WEIGHTS[name] for name in steps[: steps.index(step)])
    return round((finished + share * WEIGHTS[step]) / sum(WEIGHTS[name] for name in steps), 4)
