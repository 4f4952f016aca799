"""Labels from somebody else's pricer as arrays, and what must hold of them. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from app.errors import InvalidRequest, TooLarge
from pricing.specs.base import MAXIMUM_ASSETS
from pricing.types import Array

VALUE, WEIGHT = "y", "weight"
# Larger numbers, and smaller weights, are errors of the file: their squares would overflow.
LARGEST, SMALLEST_WEIGHT = 1e100, 1e-100
# Beyond it float64 leaves whole numbers out.
EXACT = 1 << 53
# Of a number in memory, however few it takes in its file.
NUMBER_BYTES = 8


class Limits(NamedTuple):
    """Most rows, and most bytes of the numbers of a file once they are unpacked; seconds and bytes to read it in."""

    rows: int
    size: int
    seconds: float = 60.0
    memory: int = 2 << 30


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

    @property
    def arrays(self) -> dict[str, Array]:
        """What there is of x, y, dydx and weight by name, little-endian float64 with one sign of zero.

        Shape: x and dydx row column; y and weight row.
        """
        named = {"x": self.x, VALUE: self.y, "dydx": self.dydx, WEIGHT: self.weight}
        return {
            name: np.ascontiguousarray(numbers, dtype="<f8") + 0.0
            for name, numbers in named.items()
            if numbers is not None
        }


def checked(table: LabelTable, places: Sequence[int], word: str) -> LabelTable:
    """The table if every number can be learnt from.

    Args:
        places: number of each row in its file; word: what such a number counts, "line" or "row".

    Raises:
        InvalidRequest: names the row and the column of what is wrong.
    """
    if not len(table.y):
        raise InvalidRequest("the file has no rows: it needs some 1,000 of them")
    if table.x.shape[1] > MAXIMUM_ASSETS:
        raise InvalidRequest(
            f"need at most {MAXIMUM_ASSETS} features, got {table.x.shape[1]}", path="x", bound=MAXIMUM_ASSETS
        )
    told = places, word
    _require_between(-LARGEST, table.x, table.names, told)
    _require_between(-LARGEST, table.y[:, None], (VALUE,), told)
    if table.dydx is not None:
        _require_between(-LARGEST, table.dydx, [f"dydx[{i}]" for i in range(table.dydx.shape[1])], told)
    if table.weight is not None:
        _require_between(SMALLEST_WEIGHT, table.weight[:, None], (WEIGHT,), told)
    if (table.x == table.x[0]).all():
        raise InvalidRequest(
            f"need rows at different points, some 1,000 of them, got {len(table.y)} at one point{_rounded(table.x[0])}",
            path="x",
        )
    for name, low, high in zip(table.names, table.x.min(axis=0), table.x.max(axis=0), strict=True):
        if not low < high:
            raise InvalidRequest(f"column {name} is {low} in every row{_rounded(low)}: leave it out", path=name)
    if not table.y.min() < table.y.max():
        same = f"{table.y[0]} in every row{_rounded(table.y[0])}"
        raise InvalidRequest(f"column {VALUE} is {same}: there is nothing to learn", path=VALUE)
    return table


def _rounded(numbers: Array) -> str:
    """What float64 may have made of whole numbers that are told apart in their file."""
    if np.abs(numbers).max() < EXACT:
        return ""
    return f" as float64, which does not tell whole numbers beyond {EXACT} apart (subtract a constant)"


def _require_between(least: float, numbers: Array, labels: Sequence[str], told: tuple[Sequence[int], str]) -> None:
    bad = ~((numbers >= least) & (numbers <= LARGEST))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        places, word = told
        place = f"{word} {next(islice(places, int(row), None))}"
        raise InvalidRequest(
            f"{place}, column {labels[column]}: need a finite number from {least:g} to {LARGEST:g}, "
            f"got {numbers[row, column]}",
            path=f"{place}.{labels[column]}",
            bound=[least, LARGEST],
        )


def require_rows(rows: int, limits: Limits) -> None:
    """Raise TooLarge beyond the limit."""
    if rows > limits.rows:
        raise TooLarge(f"the file has more than {limits.rows} rows, the limit (dataset_rows)", bound=limits.rows)


def require_numbers(count: int, limits: Limits) -> None:
    """Raise TooLarge for more numbers than there is room for."""
    if NUMBER_BYTES * count > limits.size:
        raise TooLarge(
            f"the file holds more than {limits.size} bytes of numbers, {NUMBER_BYTES} each, the limit (dataset_bytes)",
            bound=limits.size,
        )
