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
from app.specification.csv_text import ID, SHOWN, Numbers, rows_of, without_id
from pricing.domain import Box
from pricing.types import Array

# A byte-order mark, which standard input keeps.
MARK = "\ufeff"


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
    return read_rows(source, box)[1]


def read_rows(source: Path, box: Box) -> tuple[list[str] | None, Array]:
    """The ids of a CSV file's rows, if its header names a column of them, and the rows. Shape: -> batch feature.

    Raises:
        InvalidRequest: as `read_features`.
    """
    separator, lines = read_lines(source)
    cells, kept, place = Numbers(separator), list(range(box.dimension)), None
    order: Sequence[int] = kept
    if lines and parse(lines[0][1][0]) is None:
        header = [label.strip() for label in lines.pop(0)[1]]
        kept, place = without_id(header) if ID not in box.labels else (list(range(len(header))), None)
        order = column_order([header[i] for i in kept], box)
    if not lines:
        raise InvalidRequest(f"{source} has no rows")
    columns = box.dimension + (place is not None)
    table = [read_row(number, row, columns, kept, box, cells) for number, row in lines]
    ids = None if place is None else [row[place] for _, row in lines]
    return ids, np.array(table)[:, order]


def read_lines(source: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """What separates cells, and the lines that are not empty, with their numbers from 1."""
    try:
        with nullcontext(sys.stdin) if str(source) == "-" else source.open(newline="", encoding="utf-8-sig") as file:
            rows = list(rows_of(line.removeprefix(MARK) for line in file))
    except OSError as error:
        raise InvalidRequest(f"cannot read {source}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"{source} is not CSV text: {error}") from error
    return (rows[0][0] if rows else ","), [(number, row) for _, number, row in rows]


def column_order(header: Sequence[str], box: Box) -> list[int]:
    """The columns of the file in the order of the Box."""
    if sorted(header) != sorted(box.labels):
        raise InvalidRequest(f"the header must name {', '.join(box.labels)}, got {', '.join(header)}")
    return [header.index(label) for label in box.labels]


def read_row(line: int, row: Sequence[str], columns: int, kept: Sequence[int], box: Box, cells: Numbers) -> list[float]:
    """The numbers of one line."""
    if len(row) != columns:
        raise InvalidRequest(f"line {line}: need {columns} columns ({', '.join(box.labels)}), got {len(row)}")
    numbers = cells.parse_all([row[place] for place in kept])
    for place, number in zip(kept, numbers, strict=True):
        if number is None or not np.isfinite(number):
            raise InvalidRequest(f"line {line}, column {place + 1}: need a finite number, got {row[place][:SHOWN]!r}")
    return [number for number in numbers if number is not None]


def parse(cell: str) -> float | None:
    """A number, or None."""
    try:
        return float(cell)
    except ValueError:
        return None
