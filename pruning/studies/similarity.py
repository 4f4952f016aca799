"""What pruning preserves: how alike the answers of two networks are, and whether they look at the same features.

    functional similarity   R2 of one network's value, delta and gamma as those of the other, at the same points
    agreement               share of the points at which both answer the same, to a share of the answers' spread
    informative features    those with the largest saliency |x_i dV/dx_i| of a point; overlap |T ∩ T'| / k of k

Noise is a choice of points: both networks are shown x + n. What two networks have in common anyway is measured by a
third, trained separately on the same labels.

References: Liebenwein, Baykal, Carter, Gifford, Rus, Lost in pruning, 2021, sections 4.1 and 4.2, where classes agree
and informative pixels are found by sufficient input subsets; answers here are numbers and features few, so that
spread and saliency take their place.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pricing.domain import Box
from pricing.types import Array, BoolArray
from pruning.errors import PruningError
from surrogate.evaluation.accuracy import Prediction, accuracy
from surrogate.report.scores import OUTPUTS

# Answers agree that differ by at most this share of their standard deviation: an R2 of 0.9999 if all differed by it.
TOLERANCE = 0.01


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """How alike two networks are at some points.

    Args:
        r2: by output, of one's answers as those of the other.
        agreement: by output, share of the points at which both agree.
        overlap: share of the informative features that both have in common, averaged over the points.
    """

    r2: dict[str, float]
    agreement: dict[str, float]
    overlap: float


def similarity(network: Prediction, other: Prediction, *, points: Array, box: Box) -> Similarity:
    """How alike the network is to another that was shown the same points, deltas and gammas by the spots.

    The other's spread is the scale, so the two are no equals: give the dense network as the other.

    Shape: points batch feature ->.
    """
    scores = accuracy(network, other, box)
    top = informative(box.dimension)
    one, two = (saliency(prediction.delta, points) for prediction in (network, other))
    return Similarity(
        r2={output: r2 for output in OUTPUTS if (r2 := scores[output].r2) is not None},
        agreement={
            name: agreement(*columns) for name, columns in zip(OUTPUTS, _outputs(network, other, box), strict=True)
        },
        overlap=overlap(one, two, top=top),
    )


def agreement(answers: Array, others: Array, *, tolerance: float = TOLERANCE) -> float:
    """Share of the points with |a - b| <= tolerance s, |.| the root mean square over columns, s the others' spread.

    s^2 is the variance of a column over the points, averaged over the columns.

    Shape: answers, others batch column ->.

    >>> agreement(np.array([[0.0], [1.0], [2.1]]), np.array([[0.0], [1.0], [2.0]]))
    0.6666666666666666
    """
    apart = np.sqrt(np.mean((answers - others) ** 2, axis=1))
    spread = np.sqrt(np.mean(np.var(others, axis=0)))
    return float(np.mean(apart <= tolerance * spread))


def saliency(gradient: Array, points: Array) -> Array:
    """|x_i dV/dx_i|, currency: what V changes by if a feature changes by a share of itself. Shape: batch feature."""
    return np.abs(gradient * points)


def informative(features: int) -> int:
    """How many features of a point count as its informative ones: the upper half."""
    return max(1, features // 2)


def overlap(saliencies: Array, others: Array, *, top: int) -> float:
    """|T ∩ T'| / top, T the ``top`` features of the largest saliency at a point, averaged over the points.

    Two random orders of d features have top / d in common.

    Shape: saliencies, others batch feature ->.

    Raises:
        PruningError: not as many features on both sides, or fewer than ``top``.

    >>> overlap(np.array([[3.0, 2.0, 1.0]]), np.array([[3.0, 1.0, 2.0]]), top=2)
    0.5
    """
    if saliencies.shape != others.shape or not 1 <= top <= saliencies.shape[1]:
        raise PruningError(
            f"top: give a number of features from 1 to what both have, got {top} of {saliencies.shape[1]} and "
            f"{others.shape[1]}"
        )
    return float(np.mean(_largest(saliencies, top) & _largest(others, top)) * saliencies.shape[1] / top)


def _largest(saliencies: Array, top: int) -> BoolArray:
    """Which features are among the largest, of equal ones the first. Shape: batch feature -> batch feature of bool."""
    order = np.argsort(-saliencies, axis=1, kind="stable")
    chosen = np.zeros(saliencies.shape, dtype=bool)
    np.put_along_axis(chosen, order[:, :top], values=True, axis=1)
    return chosen


def _outputs(network: Prediction, other: Prediction, box: Box) -> list[tuple[Array, Array]]:
    """Value, delta and gamma of both as columns. Shape: -> batch column, batch column."""
    spots, points = box.columns("spot"), len(other.value)
    return [
        (network.value[:, None], other.value[:, None]),
        (network.delta[:, spots], other.delta[:, spots]),
        (
            network.gamma[:, spots, spots].reshape(points, -1),
            other.gamma[:, spots, spots].reshape(points, -1),
        ),
    ]
