"""Labels from somebody else's pricer as arrays, and what must hold of them. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from app.errors import InvalidRequest, TooLarge
from pricing.specs.base import MAXIMUM_ASSETS
from pricing.types import Array

VALUE, WEIGHT = "y", "weight"


class Limits(NamedTuple):
    """Most rows, and most bytes of the numbers of a file once they are unpacked."""

    rows: int
    size: int


@dataclass(frozen=True, kw_only=True)
class LabelTable:
    """Labels as given. Shape: x (row, feature); y (row,); dydx (row, feature); weight (row,), each float64, finite.

    names: of the columns of x, as ``x[0]`` or ``spot[1]`` or ``strike``.
    """

    names: tuple[str, ...]
    x: Array
    y: Array
    dydx: Array | None = None
    weight: Array | None = None


def checked(table: LabelTable, places: Sequence[int], word: str) -> LabelTable:
    """The table if every number can be learnt from.

    Args:
        places: number of each row in its file; word: what such a number counts, "line" or "row".

    Raises:
        InvalidRequest: names the row and the column of what is wrong.
    """
    if table.x.shape[1] > MAXIMUM_ASSETS or not len(table.y):
        raise InvalidRequest(
            f"need at least one row and at most {MAXIMUM_ASSETS} features, got {len(table.y)} and {table.x.shape[1]}"
        )
    labels = (*table.names, VALUE, *(f"dydx[{i}]" for i in range(len(table.names) if table.dydx is not None else 0)))
    parts = [part for part in (table.x, table.y[:, None], table.dydx) if part is not None]
    parts += [] if table.weight is None else [table.weight[:, None]]
    _require_all(np.concatenate(parts, axis=1), (*labels, WEIGHT), np.isfinite, (places, word, "a finite number"))
    if table.weight is not None:
        _require_all(table.weight[:, None], (WEIGHT,), lambda weight: weight > 0.0, (places, word, "a number > 0"))
    for name, low, high in zip(table.names, table.x.min(axis=0), table.x.max(axis=0), strict=True):
        if not low < high:
            raise InvalidRequest(f"column {name} is {low} in every row: leave it out", path=name)
    return table


def _require_all(numbers: Array, labels: Sequence[str], holds: Any, told: tuple[Sequence[int], str, str]) -> None:
    places, word, need = told
    bad = ~holds(numbers)
    if bad.any():
        row, column = np.argwhere(bad)[0]
        place = f"{word} {next(islice(places, int(row), None))}"
        raise InvalidRequest(
            f"{place}, column {labels[column]}: need {need}, got {numbers[row, column]}",
            path=f"{place}.{labels[column]}",
        )


def require_rows(rows: int, limits: Limits) -> None:
    """Raise TooLarge beyond the limit."""
    if rows > limits.rows:
        raise TooLarge(f"the file has more than {limits.rows} rows, the limit (dataset_rows)", bound=limits.rows)


def require_size(size: int, limits: Limits) -> None:
    """Raise TooLarge beyond the limit."""
    if size > limits.size:
        raise TooLarge(f"the file holds more than {limits.size} bytes, the limit (dataset_bytes)", bound=limits.size)
