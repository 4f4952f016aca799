"""What is said of the errors of one output beside their root mean square: quantiles, bounds, a constant part.

With e_(1) <= ... <= e_(n) the errors of n independent points of the Box, e_(k) is no less than the q-quantile of the
error with a chance of P(Bin(n, q) < k) or more, whatever its law: the least k for which that is `CONFIDENCE` bounds a
share q of the Box, and the largest error a share of (1 - `CONFIDENCE`)^(1/n).

References: Wilks (1941), Determination of sample sizes for setting tolerance limits.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from msgspec import UNSET, UnsetType
from scipy.stats import binom

from pricing.types import Array
from surrogate.report.scores import CONFIDENCE, FEWEST_POINTS, LEAST_OFFSET, SHARES, ErrorBound, Offset

# Standard errors that a constant part is away from 0.
SURE = 4.0


class Told(TypedDict):
    """The fields that `OutputScore` and `PairScore` share."""

    quantiles: dict[str, float] | UnsetType
    bounds: tuple[ErrorBound, ...] | UnsetType
    offset: Offset | UnsetType


def told(error: Array, margin: Array | None = None) -> Told:
    """Quantiles and a constant part of signed errors, and bounds where the points are independent.

    Args:
        margin: what the reference may be off, of independent points alone. Shape: as error.

    Shape: error batch ..., more than none.
    """
    flat = error.reshape(len(error), -1)
    worst = np.abs(flat).max(axis=1)
    if len(flat) < FEWEST_POINTS:
        return Told(quantiles=UNSET, bounds=UNSET, offset=UNSET)
    sure = UNSET if margin is None else bounds((np.abs(flat) + margin.reshape(flat.shape)).max(axis=1))
    quantiles = {f"{share:g}": float(np.quantile(worst, share)) for share in SHARES}
    return Told(quantiles=quantiles, bounds=sure, offset=offset(flat))


def bounds(errors: Array) -> tuple[ErrorBound, ...]:
    """Bounds of the shares that so many points can bound, that of the largest error the last. Shape: batch ->."""
    ordered, count = np.sort(errors), len(errors)
    found = []
    for share in SHARES:
        place = int(binom.ppf(CONFIDENCE, count, share)) + 1
        if place < count:
            found.append(ErrorBound(share=share, error=float(ordered[place - 1])))
    found.append(ErrorBound(share=float((1.0 - CONFIDENCE) ** (1.0 / count)), error=float(ordered[-1])))
    return tuple(found)


def offset(error: Array) -> Offset | UnsetType:
    """The mean error, where it is neither chance nor a small part of the errors. Shape: batch coordinate ->."""
    means, square = error.mean(axis=1), float(np.mean(error**2))
    mean, doubt = float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))
    if square == 0.0 or abs(mean) <= SURE * doubt or mean * mean < LEAST_OFFSET * square:
        return UNSET
    return Offset(mean=mean, standard_error=doubt, share=mean * mean / square)
