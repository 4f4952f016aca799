"""Which steps a job runs, what its folder is told, and how far it is. Torch-free: the API and the worker read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from app.files import read_json, write_json
from app.specification.jobs import JobKind, JobSpec
from app.specification.prune_job import PruneJobSpec
from pricing.specs.base import Spec, dump, load

# Told the running step and the share of the whole job that is done, 0 to 1.
JobProgress = Callable[[str, float], None]
ORDER = "order.json"
# Rough share of a job's time by step, from the seven-asset example; it only makes the progress bar move evenly.
WEIGHTS = {"load": 1, "label": 10, "train": 50, "prune": 40, "certify": 4, "evaluate": 8, "export": 4, "publish": 1}


class Order(Spec, frozen=True, kw_only=True):
    """What a job's folder is told once and every step reads.

    Args:
        spec: a BuildSpec ("train") or a PruneJobSpec ("prune") as plain data.
        registry: root of the registry, for a parent version and for publishing.
        job: the job's id; none when no job system runs the pipeline.
    """

    kind: JobKind
    spec: dict[str, Any]
    registry: str | None = None
    job: str | None = None


def order(spec: JobSpec, *, registry: Path | None = None, job: str | None = None) -> Order:
    """The order for a specification."""
    return Order(
        kind="prune" if isinstance(spec, PruneJobSpec) else "train",
        spec=dump(spec),
        registry=None if registry is None else str(registry),
        job=job,
    )


def plan(spec: JobSpec) -> tuple[str, ...]:
    """Names of the steps in order; each is a function in `app.pipeline.steps.STEPS`."""
    if isinstance(spec, PruneJobSpec):
        return ("load", "label", "prune", "certify", "evaluate", "export", "publish")
    prune = () if spec.pruning is None else ("prune",)
    return ("label", "train", *prune, "certify", "evaluate", "export", "publish")


def done(steps: Sequence[str], step: str, share: float) -> float:
    """Share of the whole job that is done, 0 to 1, when ``share`` of ``step`` is."""
    finished = sum(WEIGHTS[name] for name in steps[: steps.index(step)])
    return round((finished + share * WEIGHTS[step]) / sum(WEIGHTS[name] for name in steps), 4)


def place(given: Order, folder: Path) -> None:
    """Write the order into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ORDER, dump(given))


def read_order(folder: Path) -> Order:
    """The order in a folder."""
    return load(Order, read_json(folder / ORDER))
