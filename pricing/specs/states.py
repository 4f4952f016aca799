"""A table of historical states: rows of numbers that a specification holds. Torch-free."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

import numpy as np

from pricing.errors import InvalidSpec

# Eighty years of trading days; a manifest holds the states, so a limit on them is one on its size.
MAXIMUM_STATES = 20_000
MAXIMUM_NUMBERS = 1 << 18
# A mean and a variance need two.
LEAST_STATES = 2


def require_states(states: Sequence[Sequence[float]]) -> None:
    """Raise InvalidSpec unless the rows are equally long, finite, enough, and not too many."""
    if not LEAST_STATES <= len(states) <= MAXIMUM_STATES:
        raise InvalidSpec(
            f"states: give {LEAST_STATES} to {MAXIMUM_STATES} rows, got {len(states)}",
            path="states",
            bound=[LEAST_STATES, MAXIMUM_STATES],
        )
    width = len(states[0])
    if len(states) * width > MAXIMUM_NUMBERS:
        raise InvalidSpec(
            f"states: {len(states)} rows of {width} are more than {MAXIMUM_NUMBERS} numbers; give every other date",
            path="states",
            bound=MAXIMUM_NUMBERS,
        )
    for row, state in enumerate(states):
        if len(state) != width or not width:
            raise InvalidSpec(
                f"states[{row}] has {len(state)} columns, the first row {width}; give every row the same, at least one",
                path=f"states[{row}]",
            )
        for column, number in enumerate(state):
            if not math.isfinite(number):
                raise InvalidSpec(
                    f"states[{row}][{column}] must be finite, got {number!r}; leave the row out",
                    path=f"states[{row}][{column}]",
                )


def states_sha256(states: Sequence[Sequence[float]]) -> str:
    """Hash of the numbers as little-endian float64, row by row: the same table, whatever file it came from."""
    return hashlib.sha256(np.array(states, dtype="<f8").tobytes()).hexdigest()
