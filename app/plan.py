"""Which steps a job runs, what its folder is told, and how far it is. Torch-free: the API and the worker read it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from app.spec import BuildSpec, PruneJobSpec, refuse_table
from pricing.specs.base import Spec, dump, load

JobKind = Literal["train", "prune"]
JobSpec = BuildSpec | PruneJobSpec
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


def load_spec(kind: JobKind, spec: object) -> JobSpec:
    """A job's specification from plain data.

    Raises:
        InvalidSpec: names the path of what is wrong.
    """
    refuse_table(spec)
    return load(PruneJobSpec, spec) if kind == "prune" else load(BuildSpec, spec)


def order(spec: JobSpec, *, registry: Path | None = None, job: str | None = None) -> Order:
    """The order for a specification."""
    return Order(
        kind="prune" if isinstance(spec, PruneJobSpec) else "train",
        spec=dump(spec),
        registry=None if registry is None else str(registry),
        job=job,
    )


def model_name(spec: JobSpec) -> str:
    """The model that a job publishes."""
    return spec.model if isinstance(spec, PruneJobSpec) else spec.name


def plan(spec: JobSpec) -> tuple[str, ...]:
    """Names of the steps in order; each is a function in `app.pipeline.STEPS`."""
    if isinstance(spec, PruneJobSpec):
        return ("load", "label", "prune", "certify", "evaluate", "export", "publish")
    prune = () if spec.pruning is None else ("prune",)
    return ("label", "train", *prune, "certify", "evaluate", "export", "publish")


def done(steps: Sequence[str], step: str, share: float) -> float:
    """Share of the whole job that is done, 0 to 1, when ``share`` of ``step`` is."""
    finished = sum(WEIGHTS[name] for name in steps[: steps.index(step)])
    return round((finished + share * WEIGHTS[step]) / sum(WEIGHTS[name] for name in steps), 4)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of ``path`` when the block succeeds: whoever reads sees all or nothing."""
    # By process: a worker that lost its job may not know it yet, and its step must not write into this one's file.
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    yield partial
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def write_json(path: Path, data: object) -> None:
    """Plain data to a file, all or nothing."""
    with replacing(path) as partial:
        partial.write_text(json.dumps(data, sort_keys=True, allow_nan=False), encoding="utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """An object in a JSON file."""
    data: dict[str, Any] = json.loads(path.read_bytes())
    return data


def place(given: Order, folder: Path) -> None:
    """Write the order into its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / ORDER, dump(given))


def read_order(folder: Path) -> Order:
    """The order in a folder."""
    return load(Order, read_json(folder / ORDER))
