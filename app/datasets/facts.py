"""What is known of a dataset: who and when, its size, the inferred Box, statistics of every column. Torch-free."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from app.datasets.table import LabelTable
from pricing.domain import Feature
from pricing.types import Array
from surrogate.evaluation.replicates import copies, numbered


class ColumnStatistics(msgspec.Struct, frozen=True, kw_only=True):
    """Of one column, in its own unit."""

    least: float
    largest: float
    mean: float
    deviation: float


class StoredDataset(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a dataset.

    Args:
        dataset: its id, the hash of its content.
        name: what who imported it called it.
        imported: when, UTC (ISO 8601).
        distinct_rows: rows with different features.
        copies: rows that equal an earlier one, labels too; they are no replicates.
        derivatives: whether it has dydx.
        columns: of the features, as labels of a Box.
        features: the inferred Box.
        statistics: by column: those of the features, then y, dydx[0], ..., weight.
    """

    dataset: str
    name: str | None
    imported: str
    rows: int
    distinct_rows: int
    copies: int
    derivatives: bool
    weights: bool
    columns: tuple[str, ...]
    features: tuple[Feature, ...]
    statistics: dict[str, ColumnStatistics]


class ListedDataset(msgspec.Struct, frozen=True, kw_only=True):
    """What a listing says of a dataset: `StoredDataset` without its columns."""

    dataset: str
    name: str | None
    imported: str
    rows: int
    derivatives: bool
    weights: bool
    features: tuple[Feature, ...]


def describe(table: LabelTable, *, dataset: str, name: str | None) -> StoredDataset:
    """The facts of labels that are imported now."""
    statistics = {column: _statistics(numbers) for column, numbers in zip(table.names, table.x.T, strict=True)}
    statistics["y"] = _statistics(table.y)
    if table.dydx is not None:
        statistics |= {f"dydx[{place}]": _statistics(numbers) for place, numbers in enumerate(table.dydx.T)}
    if table.weight is not None:
        statistics["weight"] = _statistics(table.weight)
    arrays = table.arrays
    labels = [arrays[label].reshape(len(table.y), -1) for label in ("y", "dydx") if label in arrays]
    return StoredDataset(
        dataset=dataset,
        name=name,
        imported=datetime.now(UTC).isoformat(),
        rows=len(table.y),
        distinct_rows=int(numbered(arrays["x"]).max()) + 1,
        copies=int(copies(arrays["x"], labels).sum()),
        derivatives=table.dydx is not None,
        weights=table.weight is not None,
        columns=table.names,
        features=inferred(table),
        statistics=statistics,
    )


def inferred(table: LabelTable) -> tuple[Feature, ...]:
    """The Box of the rows: the least and largest number of every column, the columns of one name together."""
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(table.names):
        groups.setdefault(name.partition("[")[0], []).append(place)
    low, high = table.x.min(axis=0), table.x.max(axis=0)
    return tuple(
        Feature(name=name, lower=tuple(low[places].tolist()), upper=tuple(high[places].tolist()))
        for name, places in groups.items()
    )


def _statistics(numbers: Array) -> ColumnStatistics:
    """Shape: numbers (row,)."""
    return ColumnStatistics(
        least=float(numbers.min()),
        largest=float(numbers.max()),
        mean=float(numbers.mean()),
        deviation=float(numbers.std()),
    )
