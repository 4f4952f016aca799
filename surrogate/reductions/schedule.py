"""What a piecewise-constant rate or volatility adds up to by the maturity: formulas that bend where the value does."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pricing.specs.schedule import Piece
from surrogate.reductions.expressions import Expression, clamp, constant, total
from surrogate.reductions.reduction import beside

# Share by which a piece starts early: a maturity at its start itself has the theta of that piece, not of none or both.
EARLY = 1e-12


def integral(values: Expression, pieces: Sequence[Piece], years: Expression) -> Expression:
    """The integral from 0 to a maturity of a piecewise-constant parameter.

    Args:
        values: one column until the first piece and one for each of them.
    """
    return total(values * lengths(pieces, years)) if pieces else values * years


def lengths(pieces: Sequence[Piece], years: Expression) -> Expression:
    """For how many years each value holds until the maturity, side by side."""
    starts = [0.0, *(piece.start * (1.0 - EARLY) for piece in pieces)]
    bounded = [clamp(years, begin, end) - begin for begin, end in pairwise(starts)]
    return beside([*bounded, clamp(years, starts[-1]) - constant(starts[-1])])
