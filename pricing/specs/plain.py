"""What plain data must be before it is read as a specification, whatever its fields: one walk, linear in its size."""

from __future__ import annotations

import math
from typing import Any

from pricing.errors import InvalidSpec

# No specification has tables or lists within so many others.
MAXIMUM_DEPTH = 32
# Entries of a table: a build has a few hundred fields in all.
MAXIMUM_KEYS = 1_000
# Entries of a list; `pricing.specs.states` has the longest there is.
MAXIMUM_ITEMS = 1 << 18
# Characters of a field's name, which in the changes of a retrain job is a path, and of any text.
MAXIMUM_NAME, MAXIMUM_TEXT = 200, 1_000
# What integers of 64 bits reach.
LEAST_INTEGER, MAXIMUM_INTEGER = -(1 << 63), (1 << 63) - 1
# Characters of a wrong text that are shown.
SHOWN, SHOWN_BITS = 40, 128
# Sizes of numbers other than 0: their squares and cubes, and those of their inverses, are numbers too.
LEAST_NUMBER, LARGEST_NUMBER = 1e-100, 1e100


def require_plain(data: object) -> None:
    """Raise InvalidSpec for text, numbers, tables or lists that no field of any specification takes."""
    steps: list[str] = []
    try:
        _require(data, steps, 0)
    except _Fault as fault:
        path = "".join(reversed(steps)).removeprefix(".")
        joint = " " if fault.sentence.startswith("must") else ": "
        raise InvalidSpec(f"{path or 'the top level'}{joint}{fault.sentence}", path=path, bound=fault.bound) from None


def integer_refusal(got: str) -> str:
    """What is said of an integer that 64 bits do not hold."""
    return f"must be an integer from {LEAST_INTEGER} to {MAXIMUM_INTEGER}, got {got}"


def _shown(value: int) -> str:
    """An integer, or the size of one so long that its digits would take their time."""
    return str(value) if value.bit_length() <= SHOWN_BITS else f"one of {value.bit_length()} bits"


class _Fault(Exception):
    """What is wrong at a place that is still to be named."""

    def __init__(self, sentence: str, bound: object = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.bound = bound


def _require(value: Any, steps: list[str], depth: int) -> None:
    """Raise _Fault, with the way to it in ``steps``, the last step first."""
    if isinstance(value, float):
        _require_number(value)
    elif isinstance(value, int):
        if not LEAST_INTEGER <= value <= MAXIMUM_INTEGER:
            raise _Fault(integer_refusal(_shown(value)), [LEAST_INTEGER, MAXIMUM_INTEGER])
    elif isinstance(value, str):
        _require_text(value, MAXIMUM_TEXT, "a text")
    elif isinstance(value, dict | list | tuple):
        if depth == MAXIMUM_DEPTH:
            raise _Fault(f"tables and lists nest at most {MAXIMUM_DEPTH} deep", MAXIMUM_DEPTH)
        _require_entries(value, steps, depth + 1)
    elif value is not None:
        raise _Fault(f"must be a number, a text, a list or a table, got {str(value)[:SHOWN]!r}")


def _require_entries(value: dict[Any, Any] | list[Any] | tuple[Any, ...], steps: list[str], depth: int) -> None:
    table = isinstance(value, dict)
    what, most = ("table", MAXIMUM_KEYS) if table else ("list", MAXIMUM_ITEMS)
    if len(value) > most:
        raise _Fault(f"a {what} has at most {most} entries, got {len(value)}; leave some out", most)
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str):
            _require_text(key, MAXIMUM_NAME, "the name of a field")
            if "`" in key:
                raise _Fault(f"the name of a field has no backtick, got {key!r}")
        try:
            _require(item, steps, depth)
        except _Fault:
            steps.append(f".{key}" if table else f"[{key}]")
            raise


def _require_text(text: str, most: int, what: str) -> None:
    if len(text) > most:
        raise _Fault(f"{what} has at most {most} characters, got {len(text)}: {text[:SHOWN]!r}...", most)
    if not text.isprintable():
        raise _Fault(f"{what} has printable characters only, got {text[:SHOWN]!r}")


def _require_number(value: float) -> None:
    if not math.isfinite(value):
        raise _Fault(f"must be finite, got {value!r}")
    if value and not LEAST_NUMBER <= abs(value) <= LARGEST_NUMBER:
        sizes = [LEAST_NUMBER, LARGEST_NUMBER]
        raise _Fault(f"must be 0 or {LEAST_NUMBER:g} to {LARGEST_NUMBER:g} in size, got {value!r}", sizes)
