"""Labels from somebody else's pricer in a file: CSV, Parquet or NPZ. Torch-free.

Columns: the features x, either ``x0, x1, ...`` (or ``x[0], x[1], ...``) or by their own names (``spot[0], strike``);
the value ``y``; optionally its derivatives by every feature ``dydx0, dydx1, ...`` (or ``dydx[0], ...``) in the order of
the features; optionally ``weight``. NPZ holds them as arrays x (n, d), y (n,), dydx (n, d), weight (n,); Parquet may
hold x and dydx as columns of lists. A column or array ``id`` names rows and is left out.
"""

from __future__ import annotations

import csv
import re
from array import array
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NoReturn, TextIO

import numpy as np

from app.datasets.columns import assemble
from app.datasets.npz import from_archive
from app.datasets.parquet import read_parquet
from app.datasets.table import LabelTable, Limits, require_numbers, require_rows
from app.errors import InvalidRequest
from app.specification.csv_text import SHOWN, Columns, Numbers, rows_of, wrong_cell
from app.specification.source_files import START, other_kind
from pricing.types import Array

ARCHIVES, PARQUET = (b"PK\x03\x04", b"PK\x05\x06"), b"PAR1"
SEND = "save it as CSV in UTF-8, Parquet or NPZ"
# What else others write between columns.
OTHERS = re.compile(r"[| ]")
# Characters of a line: enough for the columns of 1,000 features and their derivatives.
LINE = 1 << 20


def read_labels(path: Path, limits: Limits) -> LabelTable:
    """The labels in a file, whose first bytes say what it is.

    Raises:
        InvalidRequest: names the row and the column of what is wrong.
        TooLarge: beyond the limits.
        Unavailable: Parquet without pyarrow.
    """
    try:
        with path.open("rb") as file:
            start = file.read(START)
    except OSError as error:
        raise InvalidRequest(f"cannot read {path}: {error.strerror}") from error
    if start.startswith(ARCHIVES):
        return from_archive(path, limits)
    if start.startswith(PARQUET):
        return assemble(*read_parquet(path, limits))
    if kind := other_kind(start):
        raise InvalidRequest(f"the file is {kind}; {SEND}")
    return assemble(*_read_csv(path, limits))


def _read_csv(path: Path, limits: Limits) -> tuple[list[str], Array, Sequence[int]]:
    """Header, numbers and the line of every row; a column of ids is left out."""
    numbers, places = array("d"), array("q")
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = rows_of(_short_lines(file))
            separator, _, first = next(lines, (",", 0, list[str]()))
            _require_separated(first)
            columns, cells = Columns(first), Numbers(separator)
            for _, line, row in lines:
                found = cells.parse_all(columns.cells(line, row))
                if None in found:
                    wrong = found.index(None)
                    _refuse_cell(f"line {line}", columns.names[wrong], row[columns.kept[wrong]])
                numbers.extend(found)  # type: ignore[arg-type]  # none of them is None
                places.append(line)
                require_rows(len(places), limits)
                require_numbers(len(numbers), limits)
            cells.require_told()
    except UnicodeDecodeError as error:
        raise InvalidRequest("the file is not text in UTF-8; " + SEND) from error
    except csv.Error as error:
        raise InvalidRequest(f"the file is not CSV: {error}; {SEND}") from error
    return columns.names, np.frombuffer(numbers, dtype=np.float64).reshape(len(places), len(columns.names)), places


def _short_lines(file: TextIO) -> Iterator[str]:
    """The lines of a file, of which none, and no quoted cell, can be as long as the file."""
    for number, line in enumerate(iter(partial(file.readline, LINE), ""), 1):
        if len(line) == LINE or line.count('"') % 2:
            raise InvalidRequest(
                f"line {number}: a line must be shorter than {LINE} characters and end outside of quotes",
                path=f"line {number}",
            )
        yield line


def _require_separated(header: Sequence[str]) -> None:
    """Raise InvalidRequest for one column whose name is several names."""
    if len(header) == 1 and (separator := OTHERS.search(header[0].strip())):
        raise InvalidRequest(
            f"line 1: separate the columns by commas, semicolons or tabs and not by {separator[0]!r}; "
            f"got {header[0][:SHOWN]!r}",
            path="line 1",
        )


def _refuse_cell(place: str, name: str, cell: str) -> NoReturn:
    name = name[:SHOWN]
    raise InvalidRequest(f"{place}, column {name}: need a number, {wrong_cell(cell)}", path=f"{place}.{name}")
