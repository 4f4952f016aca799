"""CSV text of other people: comments, commas, semicolons or tabs, decimal points or commas, columns of no numbers.

Torch-free, and the only place that knows what a separator is.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

from app.errors import InvalidRequest
from app.specification.client_text import is_plain, to_float

# A column that names rows: kept with what is answered, and never a feature.
ID = "id"
# Characters of a wrong cell that are shown.
SHOWN = 40
DECIMAL_COMMA = re.compile(r"\s*[-+]?(?:[0-9]+,[0-9]*|,[0-9]+)([eE][-+]?[0-9]+)?\s*")
# A number that others may have grouped by thousands, and one that they have.
DOUBTFUL = re.compile(r"\s*[-+]?[1-9][0-9]{0,2}[.,][0-9]{3}\s*")
GROUPED = re.compile(r"\s*[-+]?[0-9]{1,3}([.,'\u2019 \u00a0\u202f])[0-9]{3}(\1[0-9]{3})*([.,][0-9]*)?\s*")
# A first line in which Excel and others say what separates.
SEPARATOR = re.compile(r'"?sep=(.)"?[;,\t]*', re.IGNORECASE)
COMMENT = "#"


def separator_of(line: str) -> str:
    """What stands between the cells of a first line: a semicolon or a tab where there is one, else a comma."""
    bare = re.sub(r'"[^"]*"', "", line)
    return next((mark for mark in (";", "\t") if mark in bare), ",")


def rows_of(lines: Iterable[str]) -> Iterator[tuple[str, int, list[str]]]:
    """Separator, number of the line from 1 and cells of every line that is not empty.

    Lines in front of the first that are empty, ``sep=;`` or begin with ``#`` are passed over.

    Raises:
        InvalidRequest: a separator that is none, or a comment where the header may be.
        csv.Error: text that is no CSV.
    """
    walk, separator, commented, passed = iter(lines), "", 0, 0
    for first in walk:
        text = first.strip("\r\n")
        if said := SEPARATOR.fullmatch(text):
            separator = said[1]
            if separator not in ",;\t":
                raise InvalidRequest(f"line {passed + 1}: separate by commas, semicolons or tabs, got {text[:SHOWN]!r}")
        elif text.startswith(COMMENT):
            commented = passed + 1
        elif text.strip():
            break
        passed += 1
    else:
        return
    separator = separator or separator_of(first)
    for number, row in enumerate(csv.reader(chain([first], walk), delimiter=separator), passed + 1):
        if commented and any(row):
            if not is_header(row, separator):
                raise InvalidRequest(
                    f"line {commented} is a comment and line {number} has numbers where the header would be: "
                    f"if line {commented} names the columns take its {COMMENT} away, else take it out"
                )
            commented = 0
        if any(row) and any(map(str.strip, row)):
            yield separator, number, row


def is_header(row: Sequence[str], separator: str) -> bool:
    """Whether no cell of a first line is a number, grouped by thousands or not."""
    cells = Numbers(separator)
    return not any(GROUPED.fullmatch(cell) or cells.is_number(cell) for cell in row)


class Numbers:
    """Cells as numbers. Where commas don't separate, one may be the decimal point, then of every number in the file."""

    def __init__(self, separator: str) -> None:
        self._commas = separator != ","
        self._point = ""
        self._doubtful = ""  # the first number that may be grouped by thousands, until another tells
        self._told = not self._commas

    def parse_all(self, cells: Sequence[str]) -> list[float | None]:
        """Numbers of a line, as `parse` takes them; the way without looking at each where all are plain."""
        text = "".join(cells)
        if self._told and is_plain(text) and not (self._commas and (self._point != "." or "," in text)):
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
        comma = self._has_comma(cell)
        number = to_float(cell.replace(",", ".") if comma else cell)
        if number is None:
            return None
        point = "," if comma else "." if "." in cell else ""
        if point and self._point and point != self._point:
            raise InvalidRequest(
                f"numbers are written with {self._point!r} first and as {cell[:SHOWN]!r} later; write all with a point "
                "and without separators of thousands"
            )
        self._point = point or self._point
        if point and not self._told:
            self._told = DOUBTFUL.fullmatch(cell) is None
            self._doubtful = self._doubtful or cell.strip()
        return number

    def is_number(self, cell: str) -> bool:
        """Whether a cell alone is a number."""
        return to_float(cell.replace(",", ".") if self._has_comma(cell) else cell) is not None

    def require_told(self) -> None:
        """Raise InvalidRequest, at the end of a file, where all its numbers may be grouped by thousands."""
        if self._doubtful and not self._told:
            shown = self._doubtful[:SHOWN]
            whole, parts = re.sub("[.,]", "", shown), shown.replace(",", ".")
            raise InvalidRequest(
                f"{shown!r} may be {parts} or, its thousands separated, {whole}: every number with a {self._point!r} "
                f"has three digits behind it. If it is {parts} write one with another number of digits ({parts}0), "
                f"if it is {whole} write all without separators of thousands"
            )

    def _has_comma(self, cell: str) -> bool:
        return self._commas and DECIMAL_COMMA.fullmatch(cell) is not None


def wrong_cell(cell: str) -> str:
    """A cell that is no number as a refusal shows it, with what to do where it is plain."""
    hint = "; write it without separators of thousands, as 1234567.8" if GROUPED.fullmatch(cell) else ""
    return f"got {cell[:SHOWN]!r}{hint}"


class Columns:
    """What the header of a CSV file makes of the cells of a line.

    Args:
        header: names; an empty one names a column that must be empty.
        ids: whether a column ``id`` names the rows.

    Raises:
        InvalidRequest: two columns that name the rows.
    """

    def __init__(self, header: Sequence[str], *, ids: bool = True) -> None:
        names = [name.strip() for name in header]
        while names and not names[-1]:
            names.pop()
        named, self.id = without_id(names) if ids else (list(range(len(names))), None)
        self.kept = [place for place in named if names[place]]
        self.names = [names[place] for place in self.kept]
        self.width = len(names)
        self._own = {*self.kept, self.id}
        self._header = len(header)
        self._whole = len(self._own - {None}) == self.width

    def cells(self, line: int, row: Sequence[str]) -> list[str]:
        """The cells of a line that are numbers, in the order of `names`.

        Raises:
            InvalidRequest: too few cells, or one in a column that has no name.
        """
        if len(row) < self.width:
            raise InvalidRequest(f"line {line}: need {self.width} columns, got {len(row)}", path=f"line {line}")
        if len(row) > self.width or not self._whole:
            self._require_empty(line, row)
        return [row[place] for place in self.kept]

    def _require_empty(self, line: int, row: Sequence[str]) -> None:
        filled = [place for place, cell in enumerate(row) if place not in self._own and cell.strip()]
        if not filled:
            return
        if filled[-1] >= self._header:
            raise InvalidRequest(f"line {line}: need {self._header} columns, got {filled[-1] + 1}", path=f"line {line}")
        places = ", ".join(str(place + 1) for place in filled[:10])
        raise InvalidRequest(
            f"line {line}: the header has no name for column {places}, got {row[filled[0]][:SHOWN]!r}: name it "
            "or leave the column out",
            path=f"line {line}",
        )


def without_id(header: Sequence[str]) -> tuple[list[int], int | None]:
    """Places of the columns that are numbers, and of the one that names the rows, if there is one.

    Raises:
        InvalidRequest: two name the rows.
    """
    named = [place for place, name in enumerate(header) if is_id(name)]
    if len(named) > 1:
        raise InvalidRequest(f"columns {' and '.join(header[i].strip() for i in named[:2])} both name rows; keep one")
    return [i for i in range(len(header)) if i not in named], named[0] if named else None


def is_id(name: str) -> bool:
    """Whether a column of this name names rows."""
    return name.strip().lower() == ID
