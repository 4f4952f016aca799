"""CSV text of other people: a byte-order mark, commas, semicolons or tabs, decimal points or commas, a column of ids.

Torch-free, and the only place that knows what a separator is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence

from app.errors import InvalidRequest

# A column that names rows: kept with what is answered, and never a feature.
ID = "id"
# Characters of a wrong cell that are shown.
SHOWN = 40
DECIMAL_COMMA = re.compile(r"\s*[-+]?\d+,\d*([eE][-+]?\d+)?\s*")


def separator_of(line: str) -> str:
    """What stands between the cells of a first line: a semicolon or a tab where there is one, else a comma."""
    bare = re.sub(r'"[^"]*"', "", line)
    return next((mark for mark in (";", "\t") if mark in bare), ",")


def rows_of(lines: Iterable[str]) -> Iterator[tuple[str, int, list[str]]]:
    """Separator, number of the line from 1 and cells of every line that is not empty.

    Raises:
        csv.Error: text that is no CSV.
    """
    walk = iter(lines)
    first = next(walk, "")
    separator = separator_of(first)

    def all_lines() -> Iterator[str]:
        yield first
        yield from walk

    for number, row in enumerate(csv.reader(all_lines(), delimiter=separator), 1):
        if any(row):
            yield separator, number, row


class Numbers:
    """Cells as numbers. Where commas don't separate, one may be the decimal point, then of every number in the file."""

    def __init__(self, separator: str) -> None:
        self._commas = separator != ","
        self._point = ""

    def parse_all(self, cells: Sequence[str]) -> list[float | None]:
        """Numbers of a line, as `parse` takes them; the way without looking at each where all are plain."""
        if not self._commas:
            try:
                return list(map(float, cells))
            except ValueError:
                pass
        return [self.parse(cell) for cell in cells]

    def parse(self, cell: str) -> float | None:
        """A number, or None.

        Raises:
            InvalidRequest: a decimal comma in a file with decimal points, or the other way round.
        """
        comma = self._commas and DECIMAL_COMMA.fullmatch(cell) is not None
        try:
            number = float(cell.replace(",", ".") if comma else cell)
        except ValueError:
            return None
        point = "," if comma else "." if "." in cell else ""
        if point and self._point and point != self._point:
            raise InvalidRequest(
                f"numbers are written with {self._point!r} first and as {cell[:SHOWN]!r} later; write all with a point"
            )
        self._point = point or self._point
        return number


def without_id(header: Sequence[str]) -> tuple[list[int], int | None]:
    """Places of the columns that are numbers, and of the one that names the rows, if there is one."""
    named = [place for place, name in enumerate(header) if name.strip().lower() == ID]
    place = named[0] if len(named) == 1 else None
    return [i for i in range(len(header)) if i != place], place
