"""Naming the first thing that is wrong with the ``inputs`` of a price request, element by element."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import simdjson

from app.errors import InvalidRequest
from pricing.domain import Box

LISTS = (list, simdjson.Array)
OBJECTS = (dict, simdjson.Object)
# Integers from here on are no 64-bit JSON integers; written as 1e20 they are numbers like any other.
LARGEST_INTEGER = 1 << 64
# Characters of a wrong value that are shown.
SHOWN = 40


def find_fault(inputs: Any, box: Box) -> None:
    """Raise InvalidRequest for the first element that is not what ``box`` needs; return if there is none."""
    if isinstance(inputs, OBJECTS):
        for feature in (feature for feature in box.features if feature.name in inputs):
            path = f"inputs.{feature.name}"
            if feature.size == 1:
                _list(inputs[feature.name], path, "numbers, one per row")
                _numbers(inputs[feature.name], path)
            else:
                _rows(inputs[feature.name], path, [f"{feature.name}[{i}]" for i in range(feature.size)])
    else:
        _rows(inputs, "inputs", box.labels)


def _rows(rows: Any, path: str, labels: Sequence[str]) -> None:
    expected = f"{len(labels)} numbers ({', '.join(labels)})"
    _list(rows, path, f"rows of {expected}")
    for i, row in enumerate(rows):
        _list(row, f"{path}[{i}]", expected)
        _numbers(row, f"{path}[{i}]")
        if len(row) != len(labels):
            raise InvalidRequest(f"{path}[{i}] must have {expected}, got {len(row)}", path=f"{path}[{i}]")


def _list(value: Any, path: str, of: str) -> None:
    if not isinstance(value, LISTS):
        raise InvalidRequest(f"{path} must be a list of {of}, got {shown(value)}", path=path)


def _numbers(row: Any, path: str) -> None:
    for j, number in enumerate(row):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InvalidRequest(f"{path}[{j}] must be a number, got {shown(number)}", path=f"{path}[{j}]")
        if isinstance(number, int) and abs(number) >= LARGEST_INTEGER:
            raise InvalidRequest(f"{path}[{j}]: write a number of this size with an exponent", path=f"{path}[{j}]")
        if not math.isfinite(number):
            raise InvalidRequest(f"{path}[{j}] must be finite (float64), got {number}", path=f"{path}[{j}]")


def shown(value: Any) -> str:
    """A JSON value in a sentence."""
    if isinstance(value, OBJECTS):
        return "an object"
    if isinstance(value, LISTS):
        return "a list"
    if value is None or isinstance(value, bool):
        return str(value).lower().replace("none", "null")
    return repr(value)[:SHOWN]
