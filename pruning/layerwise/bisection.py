"""Bisection in logs, for a number that may be anything from tiny to huge."""

from __future__ import annotations

import math
from collections.abc import Callable

# Each halves the distance in logs: between 1e-30 and 1e30 forty end within 1e-10 of each other.
BISECTIONS = 40


def bisect(holds: Callable[[float], bool], sure: float, doubtful: float) -> tuple[float, float]:
    """The number nearest to ``doubtful`` for which something holds, and its neighbour for which it does not.

    Args:
        holds: true at ``sure``; false from some number on towards ``doubtful``, or nowhere: then both are ``doubtful``.
    """
    if holds(doubtful):
        return doubtful, doubtful
    for _ in range(BISECTIONS):
        middle = math.sqrt(sure * doubtful)
        if holds(middle):
            sure = middle
        else:
            doubtful = middle
    return sure, doubtful
