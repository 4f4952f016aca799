"""Labels that were imported instead of simulated."""

from __future__ import annotations

from pathlib import Path

import torch
from msgspec import UNSET
from torch import Tensor

from app.datasets import store
from app.pipeline.derived import generator, reduction_of
from app.pipeline.folder import JobFolder
from app.pipeline.taught import teach
from app.pipeline.tensors import write_rows
from app.specification.build import BuildSpec
from pricing.errors import InvalidSpec
from pricing.types import Array, Progress
from surrogate.dataset import Dataset
from surrogate.evaluation.replicates import copies, replicate_noise
from surrogate.learning.ridge import draw_groups
from surrogate.reductions.reduction import from_features
from surrogate.report.curves import HeldOutLabels
from surrogate.report.sources import ImportedLabels, LabelNoise

# Rows that a scaled price is learnt from at the least.
LEAST_ROWS = 20


def import_labels(folder: JobFolder, progress: Progress) -> None:
    """Split the dataset in rows to learn from and rows to be judged on; copies of others are not judged on.

    Where what is priced is known its reference judges, and all rows are learnt from. Where the labels are a model's its
    are learnt in place of the rows.

    Raises:
        UnknownDataset: no such dataset.
        InvalidSpec: no registry, or the split leaves nothing to learn or to judge.
    """
    build = folder.build()
    assert build.dataset is not None
    registry = folder.registry("dataset")
    data, facts = read_dataset(registry, build.dataset.id), store.find(registry, build.dataset.id)
    learnt, held_out = split(data.x, build) if build.problem is None else (torch.arange(len(data)), torch.arange(0))
    inside = torch.from_numpy(build.dataset.box.contains(data.x.numpy()))
    require_rows(data, learnt, held_out if build.problem is None else learnt, inside=inside)
    own = ~torch.from_numpy(copies(data.x.numpy(), labels_of(data).values()))
    judged = held_out[(inside & own)[held_out]]
    taught = None if build.labels.teacher is None else teach(folder, build, progress)
    if taught is None:
        write_rows(folder.labels, in_inputs(build, data.rows(learnt)))
    write_rows(folder.held_out, data.rows(judged))
    if len(judged) and build.polynomial is None:
        folder.unseen_facts.write(HeldOutLabels(source="dataset", samples=len(judged)))
    ranges = [facts.statistics[column] for column in facts.columns]
    folder.label_facts.write(
        ImportedLabels(
            dataset=facts.dataset,
            rows=facts.rows,
            copies=facts.copies,
            least=tuple(column.least for column in ranges),
            largest=tuple(column.largest for column in ranges),
            learnt_from=len(learnt),
            learnt_from_in_box=int(inside[learnt].sum()),
            held_out=len(judged),
            simulated_paths=0 if taught is None else taught.simulated_paths,
            noise=noise_of(data.rows(inside & own)),
            taught=UNSET if taught is None else taught,
        )
    )


def in_inputs(build: BuildSpec, rows: Dataset) -> Dataset:
    """Rows as labels of what is learnt. Shape: x (row, feature) -> (row, input).

    Raises:
        InvalidSpec: exact scaling leaves too few rows.
    """
    reduction = reduction_of(build)
    if reduction is None:
        return rows
    kept = from_features(reduction, rows)
    if len(kept) < LEAST_ROWS:
        raise InvalidSpec(
            f"dataset: {len(kept)} of its {len(rows)} rows lie where the scaled price is learnt, within a few "
            f"deviations of the strike; give at least {LEAST_ROWS} there",
            path="dataset",
            bound=LEAST_ROWS,
        )
    return kept


def read_dataset(registry: Path, identifier: str) -> Dataset:
    """All rows of a stored dataset. Shape: x (row, feature)."""
    arrays = {name: torch.from_numpy(numbers) for name, numbers in store.read(registry, identifier).arrays.items()}
    return Dataset(x=arrays["x"], y=arrays["y"], gradient=arrays.get("dydx"), weight=arrays.get("weight"))


def split(x: Tensor, build: BuildSpec) -> tuple[Tensor, Tensor]:
    """Rows to learn from and rows to be judged on; equal features stay on one side.

    Shape: x (row, feature) -> (learnt,), (held_out,) indices of rows.
    """
    assert build.dataset is not None
    order = draw_groups(x, generator=generator("held_out", seed=build.seed))
    cut = max(1, round(build.dataset.held_out * len(x)))
    while cut < len(order) and torch.equal(x[order[cut]], x[order[cut - 1]]):
        cut += 1
    return order[cut:], order[:cut]


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


def noise_of(rows: Dataset) -> dict[str, LabelNoise] | None:
    """What repeated features tell of the noise in values and deltas. Shape: x (row, feature), without copies."""
    return replicate_noise(rows.x.numpy(), labels_of(rows))


def labels_of(data: Dataset) -> dict[str, Array]:
    """The labels by output. Shape: (row, coordinate) each."""
    labels = {"value": data.y[:, None].numpy()}
    return labels if data.gradient is None else labels | {"delta": data.gradient.numpy()}
