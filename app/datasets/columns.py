"""Columns by name as features, values, derivatives and weights. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from app.datasets.table import VALUE, WEIGHT, LabelTable, checked
from app.errors import InvalidRequest
from pricing.types import Array

NUMBERED = re.compile(r"(x|dydx)(?:\[([0-9]{1,4})\]|([0-9]{1,4}))")
NAMED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[([0-9]{1,4})\])?")
# Names that no feature has and that somebody may take for y, weight or dydx0.
MISSPELT = re.compile(r"y$|weights?$|dyd", re.IGNORECASE)
# Characters of a wrong name, and of a list of names, that are shown.
SHOWN, LISTED = 40, 200


def assemble(header: Sequence[str], numbers: Array, places: Sequence[int]) -> LabelTable:
    """The labels in named columns.

    Args:
        places: number of each row in its file, a range where rows are counted and not lines.

    Shape: numbers (row, column).

    Raises:
        InvalidRequest: names the column that is missing, double or wrong.
    """
    columns = {name: place for place, name in enumerate(header)}
    if len(columns) < len(header):
        twice = next(name for place, name in enumerate(header) if columns[name] != place)
        raise InvalidRequest(f"column {twice} is there twice", path=twice)
    if VALUE not in columns:
        hint = f"; names are lower case: {VALUE}, not {VALUE.upper()}" if VALUE.upper() in columns else ""
        raise InvalidRequest(f"the header must name y, got {', '.join(header)[:200] or 'nothing'}{hint}", path=VALUE)
    slopes = [name for name in header if (match := NUMBERED.fullmatch(name)) and match[1] == "dydx"]
    features = [name for name in header if name not in {VALUE, WEIGHT, *slopes}]
    if unknown := [name for name in features if MISSPELT.match(name)]:
        raise InvalidRequest(
            f"unknown columns: {', '.join(unknown)[:LISTED]}; values are y, weights are weight, derivatives dydx0, "
            "dydx1, ... in the order of the features",
            path=unknown[0][:SHOWN],
        )
    order, names = _feature_order(features)
    dydx = None
    if slopes:
        by_index = _by_index(slopes, "dydx")
        if len(by_index) != len(order):
            raise InvalidRequest(
                f"need dydx for {len(order)} features ({', '.join(order)[:LISTED]}), got {len(by_index)}", path="dydx"
            )
        dydx = numbers[:, [columns[name] for name in by_index]]
    table = LabelTable(
        names=names,
        x=numbers[:, [columns[name] for name in order]],
        y=numbers[:, columns[VALUE]],
        dydx=dydx,
        weight=numbers[:, columns[WEIGHT]] if WEIGHT in columns else None,
    )
    return checked(table, places, "row" if isinstance(places, range) else "line")


def _feature_order(features: Sequence[str]) -> tuple[list[str], tuple[str, ...]]:
    """Columns of the features in order, and their names as labels of a Box."""
    if not features:
        raise InvalidRequest("the header must name features: x0, x1, ... or their own names", path="x")
    if all((match := NUMBERED.fullmatch(name)) and match[1] == "x" for name in features):
        order = _by_index(features, "x")
        return order, tuple(f"x[{place}]" for place in range(len(order)))
    sizes: dict[str, list[int | None]] = {}
    for name in features:
        match = NAMED.fullmatch(name)
        if match is None:
            raise InvalidRequest(f"column {name[:SHOWN]!r} must be a name such as spot or spot[0]", path=name[:SHOWN])
        sizes.setdefault(match[1], []).append(None if match[2] is None else int(match[2]))
    for name, indices in sizes.items():
        if indices != [None] and sorted(-1 if i is None else i for i in indices) != list(range(len(indices))):
            raise InvalidRequest(
                f"columns of {name} must be {name}, or {name}[0], {name}[1], ... without gaps", path=name
            )
    order = [
        name if indices == [None] else f"{name}[{place}]"
        for name, indices in sizes.items()
        for place in range(len(indices))
    ]
    return order, tuple(order)


def _by_index(names: Iterable[str], prefix: str) -> list[str]:
    """Numbered columns in the order of their numbers, which must be 0, 1, ..."""
    numbered: dict[int, str] = {}
    for name in names:
        match = NUMBERED.fullmatch(name)
        assert match is not None
        place = int(match[2] or match[3])
        if place in numbered:
            raise InvalidRequest(f"columns {numbered[place]} and {name} are the same", path=name)
        numbered[place] = name
    for place in range(len(numbered)):
        if place not in numbered:
            raise InvalidRequest(f"column {prefix}{place} is missing", path=f"{prefix}{place}")
    return [numbered[place] for place in range(len(numbered))]
