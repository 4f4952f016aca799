"""How noisy are labels? Rows with the same features and other labels tell. Torch-free.

A copy of a row is no second draw of its noise. Equal labels at equal features are copies if no other point has them: no
two draws of a continuous law are equal, while 0, the payoff of every path out of the money, is found at many points and
may well be drawn twice at one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pricing.types import Array, BoolArray
from surrogate.report.sources import LabelNoise

# The number of each row's group.
Places = NDArray[np.intp]
# Fewer replicates, or points, than this do not tell their own spread: it may be off by several times.
FEWEST = 10


def replicate_noise(x: Array, labels: Mapping[str, Array]) -> dict[str, LabelNoise] | None:
    """The noise of each kind of label from rows whose features repeat; None where too few do, or none differ.

    Pooled over groups g of equal features, S_g the squares around the mean of the n_g rows (a mean over coordinates):
    s^2 = sum S_g / sum (n_g - 1). Its standard error is that of a ratio, sqrt(sum (S_g - s^2 (n_g - 1))^2) over
    sum (n_g - 1), which holds if some groups are noisier than others, but not less than that of equal normal noise,
    s^2 sqrt(2 / sum (n_g - 1)).

    Shape: x (row, feature); labels (row, coordinate) each; no copies among the rows.
    """
    groups = numbered(x)
    size = np.bincount(groups)
    spare = int((size - 1).sum())
    if spare < FEWEST:
        return None
    noises = {}
    for name, label in labels.items():
        squares = np.bincount(groups, weights=((label - averaged(label, groups)[groups]) ** 2).mean(axis=1))
        square = float(squares.sum()) / spare
        between = float(np.linalg.norm(squares - square * (size - 1))) / spare
        noises[name] = LabelNoise(square=square, error=max(between, square * math.sqrt(2.0 / spare)))
    return noises if any(noise.square > 0.0 for noise in noises.values()) else None


def averaged(label: Array, groups: Places) -> Array:
    """The mean label of each group. Shape: row coordinate, row -> group coordinate."""
    sums = np.stack([np.bincount(groups, weights=column) for column in label.T], axis=1)
    return sums / np.bincount(groups)[:, None]


def copies(x: Array, labels: Iterable[Array]) -> BoolArray:
    """Which rows repeat an earlier one, features and labels; none if only labels repeat that other points have too.

    Shape: x (row, feature); labels (row, coordinate) each -> (row,) of bool.
    """
    kinds = numbered(np.concatenate(list(labels), axis=1))
    _, first, count = np.unique(numbered(np.stack([numbered(x), kinds], axis=1)), return_index=True, return_counts=True)
    at_one_point = np.bincount(kinds[first])[kinds[first]] == 1
    repeated = np.zeros(len(x), dtype=bool)
    if (at_one_point & (count > 1)).any():
        repeated[:] = True
        repeated[first] = False
    return repeated


def numbered(rows: NDArray[Any]) -> Places:
    """The number of each row among the different ones, in the order of their first places. Shape: row column -> row."""
    seen: dict[bytes, int] = {}
    return np.fromiter((seen.setdefault(row.tobytes(), len(seen)) for row in rows), dtype=np.intp, count=len(rows))
