"""Jobs that name datasets: looked up, and given their Box, before anything runs. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from msgspec.structs import replace

from app.datasets import store
from app.datasets.table import Limits
from app.specification.build import BuildSpec
from app.specification.jobs import JobSpec
from pricing.domain import Box
from pricing.errors import InvalidSpec

# Names of columns that say nothing of what is in them.
UNNAMED = re.compile(r"x(\[[0-9]+\]|[0-9]+)?")

Orders = Sequence[tuple[str, int]]
JobType = TypeVar("JobType", bound=JobSpec)


def settle_dataset(spec: JobType, registry: Path, orders: Orders | None = None) -> JobType:
    """The job with the Box of its dataset in it; other jobs as they are.

    Args:
        orders: how many derivatives of the labels are needed, by the field that says so; by default what a build needs.

    Raises:
        UnknownDataset: no such dataset.
        InvalidSpec: the dataset does not fit the rest of the specification.
    """
    if not isinstance(spec, BuildSpec) or spec.dataset is None:
        return spec
    source = spec.dataset
    if spec.problem is not None:
        source = replace(source, features=spec.problem.box.features)
        require_columns(store.find(registry, source.id).columns, spec.problem.box)
    needed = max(spec.orders if orders is None else orders, key=lambda field_and_order: field_and_order[1])
    return replace(spec, dataset=store.with_features(source, registry, needed))


def require_columns(columns: tuple[str, ...], box: Box) -> None:
    """Raise InvalidSpec where the columns have names and those are not the features of the problem, in their order."""
    numbered = all(UNNAMED.fullmatch(column) for column in columns)
    if len(columns) == box.dimension and columns != box.labels and not numbered:
        raise InvalidSpec(
            f"dataset: its columns are {', '.join(columns)} and the features of the problem {', '.join(box.labels)}; "
            "name the columns like these and give them in this order",
            path="dataset.id",
        )


def import_named(data: dict[str, Any], folder: Path, registry: Path, limits: Limits) -> dict[str, Any]:
    """A build whose dataset names a file, relative to ``folder``, with the id of the file's content in its place.

    Raises:
        InvalidSpec: a file and an id.
        InvalidRequest, TooLarge, Unavailable: the file is no dataset.
    """
    source = data.get("dataset")
    if not isinstance(source, dict) or "file" not in source:
        return data
    if "id" in source:
        raise InvalidSpec("dataset: give its id or a file, not both", path="dataset.id")
    facts, _ = store.import_file(folder / str(source["file"]), registry, limits)
    return data | {"dataset": {"id": facts.dataset} | {key: value for key, value in source.items() if key != "file"}}
