"""Rows of features in a file: CSV text, or a column per array in NPZ. Torch-free."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.errors import InvalidRequest
from app.specification.csv_text import ID, Columns, Numbers, is_header, rows_of, wrong_cell
from app.specification.source_files import START, open_source, other_kind
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
    return read_rows(source, box)[1]


def read_rows(source: Path, box: Box) -> tuple[list[str] | None, Array]:
    """The ids of a CSV file's rows, if its header names a column of them, and the rows. Shape: -> batch feature.

    Raises:
        InvalidRequest: as `read_features`.
    """
    return rows_in(*read_lines(source), box)


def rows_in(separator: str, lines: Sequence[tuple[int, list[str]]], box: Box) -> tuple[list[str] | None, Array]:
    """`read_rows` of lines that have been read. Shape: -> batch feature."""
    columns, order = Columns(box.labels, ids=False), list(range(box.dimension))
    if lines and is_header(lines[0][1], separator):
        columns = Columns(lines[0][1], ids=ID not in box.labels)
        lines, order = lines[1:], column_order(columns.names, box)
    if not lines:
        raise InvalidRequest("the file has no rows")
    cells = Numbers(separator)
    table = [read_row(number, row, columns, box, cells) for number, row in lines]
    cells.require_told()
    ids = None if columns.id is None else [row[columns.id] for _, row in lines]
    return ids, np.array(table)[:, order]


def read_lines(source: Path) -> tuple[str, list[tuple[int, list[str]]]]:
    """What separates cells, and the lines that are not empty, with their numbers from 1.

    Raises:
        InvalidRequest: the file cannot be read, or is no CSV text.
    """
    try:
        with open_source(source) as file:
            data = file.read()
        kind = other_kind(data[:START])
        if kind:
            raise InvalidRequest(f"{source} is {kind}; give CSV in UTF-8")
        rows = list(rows_of(io.StringIO(data.decode("utf-8-sig"), newline="")))
    except OSError as error:
        raise InvalidRequest(f"cannot read {source}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"{source} is not CSV text in UTF-8: {error}") from error
    return (rows[0][0] if rows else ","), [(number, row) for _, number, row in rows]


def column_order(header: Sequence[str], box: Box) -> list[int]:
    """The columns of the file in the order of the Box."""
    if sorted(header) != sorted(box.labels):
        raise InvalidRequest(f"the header must name {', '.join(box.labels)}, got {', '.join(header)}")
    return [header.index(label) for label in box.labels]


def read_row(line: int, row: Sequence[str], columns: Columns, box: Box, cells: Numbers) -> list[float]:
    """The numbers of one line."""
    if len(row) < columns.width:
        raise InvalidRequest(f"line {line}: need {columns.width} columns ({', '.join(box.labels)}), got {len(row)}")
    text = columns.cells(line, row)
    numbers = cells.parse_all(text)
    for place, cell, number in zip(columns.kept, text, numbers, strict=True):
        if number is None or not np.isfinite(number):
            raise InvalidRequest(f"line {line}, column {place + 1}: need a finite number, {wrong_cell(cell)}")
    return [number for number in numbers if number is not None]
