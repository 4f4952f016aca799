"""How good are the second derivatives that are not gamma? Vanna, volga and every other pair of features."""

from __future__ import annotations

from itertools import combinations_with_replacement

import numpy as np
from msgspec import UNSET

from pricing.domain import Box
from pricing.references.reference import Reference
from pricing.types import Array
from surrogate.evaluation.errors import told
from surrogate.report.scores import FEWEST_POINTS, PairScore

# A derivative whose effect over the Box is below this share of the largest value is rounding.
VANISHING = 1e-12


def second_order(predicted: Array, exact: Reference, box: Box, margin: Array | None = None) -> tuple[PairScore, ...]:
    """R2 of the block of the Hessian by each pair of features but the spots' own, the worst first.

    R2 is 1 - sum |H^ - H|_F^2 / sum |H - mean H|_F^2 over the block, None where it does not vary; ``perfect_r2`` is
    what the truth would score where the reference has errors. Empty where the reference does not know the whole
    Hessian, R2 None of few points.

    Args:
        margin: what the Hessian may be off, of independent points. Shape: as predicted.

    Shape: predicted batch feature feature.
    """
    if exact.known != "all":
        return ()
    pairs, largest = [], float(np.abs(exact.value).max())
    for one, other in combinations_with_replacement(box.features, 2):
        if one.name == other.name == "spot":
            continue
        rows, columns = box.columns(one.name), box.columns(other.name)
        block, error = exact.hessian[:, rows, columns], None
        if exact.hessian_error is not None:
            error = exact.hessian_error[:, rows, columns]
        missed = predicted[:, rows, columns] - block
        flat = float(np.abs(block).max()) * _width(box, rows) * _width(box, columns) <= VANISHING * largest
        flat = flat or len(block) < FEWEST_POINTS
        share = None if flat else _missed(missed, block)
        pairs.append(
            PairScore(
                pair=f"{one.name}, {other.name}",
                r2=_r2(share),
                perfect_r2=None if flat or error is None else _r2(_missed(error, block)),
                rmse=float(np.sqrt(np.mean(missed**2))),
                max_error=float(np.abs(missed).max()),
                unexplained=UNSET if share is None else share,
                **told(missed, None if margin is None else margin[:, rows, columns]),
            )
        )
    return tuple(sorted(pairs, key=_by_r2))


def _by_r2(pair: PairScore) -> float:
    return np.inf if pair.r2 is None else pair.r2


def _width(box: Box, columns: slice) -> float:
    return float((box.upper - box.lower)[columns].max())


def _missed(missed: Array, exact: Array) -> float | None:
    total = float(((exact - exact.mean(axis=0)) ** 2).sum())
    return float((missed**2).sum() / total) if total > 0.0 else None


def _r2(share: float | None) -> float | None:
    return None if share is None else 1.0 - share
