"""How good a surrogate is by where it is asked: near the deciding event, near a barrier, by maturity."""

from __future__ import annotations

import numpy as np
import torch
from msgspec import UNSET
from msgspec.structs import asdict, replace

from pricing.domain import Box
from pricing.references.reference import Reference
from pricing.simulation.payoffs import kinks
from pricing.simulation.scenario import scenario
from pricing.specs.problem import PricingProblem
from pricing.spread import forward_moneyness
from pricing.types import Array, BoolArray
from surrogate.evaluation.accuracy import Prediction, accuracy
from surrogate.evaluation.exact import rows_of
from surrogate.evaluation.second_order import second_order
from surrogate.report.scores import FEWEST_POINTS, Accuracy, Bucket, OutputScore, PairScore

# Bounds of buckets, the upper one not in it.
BucketEdges = tuple[tuple[float, float], ...]
# Buckets of |d|, d = (F - K) / s: near the strike, on the shoulders, in the wings; and of the distance to a barrier.
BUCKETS: BucketEdges = ((0.0, 0.5), (0.5, 1.5), (1.5, np.inf))
# Buckets of the maturity where it is a feature, years: within a quarter, within a year, beyond.
MATURITIES: BucketEdges = ((0.0, 0.25), (0.25, 1.0), (1.0, np.inf))


def scores_by_place(
    predicted: Prediction, exact: Reference, right: Prediction, *, problem: PricingProblem, features: Array
) -> Accuracy:
    """The scores of all samples, and of those of each bucket that the problem has.

    Args:
        right: the reference as a prediction.

    Shape: features batch feature ->.
    """
    box, several = problem.box, len(problem.features) > 1
    triggers = maturities = None

    def by(name: str, where: Array, edges: BucketEdges = BUCKETS) -> tuple[Bucket, ...]:
        parts = buckets(predicted, right, box=box, name=name, where=where, edges=edges)
        if not several:
            return parts
        inside = [index for index in masks(where, edges) if index.any()]
        return tuple(replace(part, second_order=pairs(index)) for part, index in zip(parts, inside, strict=True))

    def pairs(index: BoolArray) -> tuple[PairScore, ...]:
        there, chosen = rows_of(exact, index), right.rows(index)
        return second_order(predicted.gamma[index], there, box, None if chosen.margin is None else chosen.margin.gamma)

    if "barrier" in problem.payoff.parameters:
        triggers = by("|b|", barrier_distance(problem, features))
    if "maturity" in (feature.name for feature in problem.features):
        maturities = by("maturity", features[:, box.columns("maturity")][:, 0], MATURITIES)
    return Accuracy(
        **asdict(accuracy(predicted, right, box)),
        buckets=by("|d|", event_distance(problem, features)),
        triggers=triggers,
        maturities=maturities,
        second_order=pairs(np.ones(len(features), dtype=bool)) if several else None,
    )


def masks(where: Array, edges: BucketEdges = BUCKETS) -> list[BoolArray]:
    """The samples of each bucket. Shape: where batch -> batch each."""
    return [(where >= low) & (where < high) for low, high in edges]


def buckets(
    predicted: Prediction, exact: Prediction, *, box: Box, name: str, where: Array, edges: BucketEdges
) -> tuple[Bucket, ...]:
    """The scores of samples by where they lie, buckets without samples left out; few samples have errors and no R2.

    Shape: where batch ->.
    """
    filled = []
    for (low, high), index in zip(edges, masks(where, edges), strict=True):
        if index.any():
            text = f"{low:g} <= {name}" + (f" < {high:g}" if np.isfinite(high) else "")
            scores = accuracy(predicted.rows(index), exact.rows(index), box)
            outputs = scores.outputs
            if scores.samples < FEWEST_POINTS:
                outputs = {output: _without_r2(each) for output, each in outputs.items()}
            filled.append(Bucket(bucket=text, samples=scores.samples, outputs=outputs))
    return tuple(filled)


def _without_r2(given: OutputScore) -> OutputScore:
    parallel = UNSET if given.parallel_r2 is UNSET else None
    return replace(given, r2=None, unexplained=UNSET, parallel_r2=parallel)


def event_distance(problem: PricingProblem, features: Array) -> Array:
    """|d|, the terminal standard deviations to the nearest kink, to first order. Shape: batch feature -> batch."""
    x = torch.from_numpy(features)
    event, deviation = (t.detach().numpy() for t in forward_moneyness(problem, x))
    event = np.abs(event[:, None] - kinks(problem.payoff, scenario(problem, x)).detach().numpy()).min(axis=1)
    distance: Array = np.abs(np.divide(event, deviation, out=np.full_like(event, np.inf), where=deviation > 0.0))
    return distance


def barrier_distance(problem: PricingProblem, features: Array) -> Array:
    """|b|, the spot's distance to the barrier in terminal standard deviations. Shape: batch feature -> batch."""
    x = torch.from_numpy(features)
    at, deviation = scenario(problem, x), forward_moneyness(problem, x)[1].detach().numpy()
    gap = (at["spot"][:, 0, 0] - at.scalar("barrier")[:, 0]).abs().numpy()
    distance: Array = np.divide(gap, deviation, out=np.full_like(gap, np.inf), where=deviation > 0.0)
    return distance
