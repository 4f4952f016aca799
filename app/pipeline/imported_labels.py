"""What the steps of `app.pipeline.steps` do with labels that were imported instead of simulated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from msgspec.structs import replace
from torch import Tensor

from app.datasets import store
from app.files import read_json, replacing, write_json
from app.pipeline.plan import read_order
from app.specification.build import BuildSpec
from pricing.draws import stream
from pricing.errors import InvalidSpec
from pricing.labels import load as load_labels
from pricing.specs.base import dump
from pricing.types import Array
from surrogate.dataset import Dataset, from_labels
from surrogate.evaluation.held_out import judge
from surrogate.evaluation.replicates import copies, replicate_noise
from surrogate.functions.surrogate import Surrogate
from surrogate.learning.ridge import RidgeChoice, draw_groups
from surrogate.report.report import Report
from surrogate.report.sources import ImportedLabels, LabelNoise
from surrogate.spec import TrainingSpec

# What a certificate says instead of statements about the shape.
NO_SHAPE = "the payoff behind imported labels is not known, so there is no shape to prove"
# Names in the files of the store and in ours.
NAMES = {"x": "x", "y": "y", "dydx": "gradient", "weight": "weight"}
HELD_OUT = "held_out.npz"


def take_labels(folder: Path, build: BuildSpec) -> None:
    """Split the dataset in rows to learn from and rows to be judged on; equal features stay on one side."""
    source, registry = build.dataset, read_order(folder).registry
    assert source is not None
    if registry is None:
        raise InvalidSpec("dataset: the registry that holds it is not known; give `registry`", path="dataset")
    stored = store.read(Path(registry), source.id)
    data = Dataset(**{NAMES[name]: torch.from_numpy(part) for name, part in stored.items()})
    seed = int(stream("held_out", seed=build.seed).integers(1 << 63))
    order = draw_groups(data.x, generator=torch.Generator().manual_seed(seed))
    cut = max(1, round(source.held_out * len(data)))
    while cut < len(order) and torch.equal(data.x[order[cut]], data.x[order[cut - 1]]):
        cut += 1
    learnt, held_out = order[cut:], order[:cut]
    inside = torch.from_numpy(source.box.contains(data.x.numpy()))
    require_rows(data, learnt, held_out, inside=inside)
    told = inside & ~torch.from_numpy(copies(data.x.numpy(), labels_of(data).values()))
    judged = held_out[told[held_out]]
    save(data.rows(learnt), folder / "labels.npz")
    save(data.rows(judged), folder / HELD_OUT)
    split = {"learnt_from": len(learnt), "learnt_from_in_box": int(inside[learnt].sum()), "held_out": len(judged)}
    known = describe(store.find(Path(registry), source.id))
    write_json(folder / "labels.json", known | split | {"simulated_paths": 0, "noise": noise_of(data.rows(told))})


def describe(facts: dict[str, Any]) -> dict[str, Any]:
    """What a report says of the dataset it learnt from: how many rows, and from where to where."""
    ranges = [facts["statistics"][column] for column in facts["columns"]]
    ends = {end: [part[end] for part in ranges] for end in ("least", "largest")}
    return {name: facts[name] for name in ("dataset", "rows", "copies")} | ends


def noise_of(data: Dataset) -> dict[str, dict[str, float]] | None:
    """What repeated features tell of the noise in values and deltas, as plain data."""
    noise = replicate_noise(data.x.numpy(), labels_of(data))
    return None if noise is None else {name: dump(found) for name, found in noise.items()}


def labels_of(data: Dataset) -> dict[str, Array]:
    """The labels by output. Shape: (row, coordinate) each."""
    labels = {"value": data.y[:, None].numpy()}
    return labels if data.gradient is None else labels | {"delta": data.gradient.numpy()}


def require_rows(data: Dataset, learnt: Tensor, held_out: Tensor, *, inside: Tensor) -> None:
    """Raise InvalidSpec unless there are different rows to learn from, and rows in the Box on both sides.

    Shape: learnt, held_out indices of rows; inside (row,) of bool.
    """
    sides = int(inside[learnt].sum()), int(inside[held_out].sum())
    if not all(sides):
        raise InvalidSpec(
            f"dataset: of {len(learnt)} rows to learn from {sides[0]} lie in the Box, and of {len(held_out)} held-out "
            f"rows {sides[1]}; give more rows, another held_out or a Box where rows are (those outside of it are "
            "learnt from too, but nothing is judged on them)",
            path="dataset",
        )
    y = data.y[learnt]
    if not y.min() < y.max():
        raise InvalidSpec(
            f"dataset: y is {float(y[0]):g} in all {len(y)} rows to learn from; give rows where it differs",
            path="dataset",
        )


def save(data: Dataset, path: Path) -> None:
    """Write a dataset's tensors; the same tensors give the same bytes."""
    with replacing(path) as partial, partial.open("wb") as file:
        parts = {name: part.numpy() for name, part in vars(data).items() if part is not None}
        np.savez(file, allow_pickle=False, **parts)


def read(path: Path) -> Dataset:
    """Read what `save` wrote."""
    with np.load(path, allow_pickle=False) as archive:
        return Dataset(**{name: torch.from_numpy(archive[name]) for name in archive.files})


def training_data(folder: Path, build: BuildSpec) -> Dataset:
    """What the label step left to learn from."""
    path = folder / "labels.npz"
    return from_labels(load_labels(path)) if build.dataset is None else read(path)


def braked(folder: Path, build: BuildSpec, training: TrainingSpec) -> TrainingSpec:
    """The training with the ridge that its labels need: that of the first training where it was chosen already."""
    if build.dataset is None or training.ridge is not None:
        return training
    chosen = folder / "ridge.json"
    return replace(training, ridge=read_json(chosen)["ridge"] if chosen.exists() else "auto")


def keep_choice(folder: Path, choice: RidgeChoice | None) -> None:
    """Leave how the ridge was chosen for later steps and for the report."""
    if choice is not None:
        write_json(folder / "ridge.json", {"ridge": choice.ridge, "tried": [dump(score) for score in choice.scores]})


def found_ridge(folder: Path) -> dict[str, Any]:
    """The report's entry about the ridge, where one was chosen."""
    path = folder / "ridge.json"
    return {"ridge": read_json(path)} if path.exists() else {}


def judge_held_out(folder: Path, network: Surrogate) -> Report[ImportedLabels]:
    """The report against the rows that were held out."""
    noise = read_json(folder / "labels.json")["noise"] or {}
    return judge(
        network, read(folder / HELD_OUT), noise={name: LabelNoise(**found) for name, found in noise.items()} or None
    )
