"""Rows of features in a file: CSV text, or a column per array in NPZ. Torch-free."""

from __future__ import annotations

import csv
import sys
import zipfile
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from app.errors import InvalidRequest
from pricing.domain import Box
from pricing.types import Array


def read_archive(source: Path, box: Box) -> Array:
    """The columns of an NPZ file, each an array named as a coordinate of the Box. Shape: -> batch feature.

    Raises:
        InvalidRequest: names the array that is missing, has another length or is not finite.
    """
    try:
        with np.load(source, allow_pickle=False) as archive:
            columns = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, TypeError, zipfile.BadZipFile) as error:
        raise InvalidRequest(f"{source} is not an NPZ file of numbers: {error}") from error
    column_order(list(columns), box)
    arrays = [columns[name] for name in box.labels]
    if any(array.ndim != 1 or len(array) != len(arrays[0]) or array.dtype.kind not in "fiu" for array in arrays):
        shapes = ", ".join(f"{name} {columns[name].shape} of {columns[name].dtype}" for name in box.labels)
        raise InvalidRequest(f"{source}: need {box.dimension} arrays of numbers of one length, got {shapes}")
    table = np.stack(arrays, axis=1).astype(np.float64)
    if not np.isfinite(table).all():
        row, column = np.argwhere(~np.isfinite(table))[0]
        raise InvalidRequest(f"{source}: {box.labels[column]}[{row}] must be finite, got {table[row, column]}")
    return table


def read_features(source: Path, box: Box) -> Array:
    """The rows of a CSV file, columns in the order of the Box. Shape: -> batch feature.

    Raises:
        InvalidRequest: names the line and column that is not a finite number, or what the header must name.
    """
    lines = read_lines(source)
    order: Sequence[int] = range(box.dimension)
    if lines and parse(lines[0][1][0]) is None:
        order = column_order([label.strip() for label in lines.pop(0)[1]], box)
    if not lines:
        raise InvalidRequest(f"{source} has no rows")
    return np.array([read_row(number, row, box) for number, row in lines])[:, order]


def read_lines(source: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers from 1."""
    try:
        with nullcontext(sys.stdin) if str(source) == "-" else source.open(newline="", encoding="utf-8-sig") as file:
            return [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    except OSError as error:
        raise InvalidRequest(f"cannot read {source}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"{source} is not CSV text: {error}") from error


def column_order(header: Sequence[str], box: Box) -> list[int]:
    """The columns of the file in the order of the Box."""
    if sorted(header) != sorted(box.labels):
        raise InvalidRequest(f"the header must name {', '.join(box.labels)}, got {', '.join(header)}")
    return [header.index(label) for label in box.labels]


def read_row(line: int, cells: Sequence[str], box: Box) -> list[float]:
    """The numbers of one line."""
    if len(cells) != box.dimension:
        raise InvalidRequest(f"line {line}: need {box.dimension} columns ({', '.join(box.labels)}), got {len(cells)}")
    numbers = [parse(cell) for cell in cells]
    for column, number in enumerate(numbers):
        if number is None or not np.isfinite(number):
            raise InvalidRequest(f"line {line}, column {column + 1}: need a finite number, got {cells[column]!r}")
    return [number for number in numbers if number is not None]


def parse(cell: str) -> float | None:
    """A number, or None."""
    try:
        return float(cell)
    except ValueError:
        return None
