"""Errors of value, delta, gamma and every named Greek against what is right.

R2 of values is 1 - sum (V^ - V)^2 / sum (V - mean V)^2; of deltas the same per coordinate, then averaged (flattening
would count the spread between assets as explained); of gammas 1 - sum |H^ - H|_F^2 / sum |H - mean H|_F^2, and beside
it the scalar that the source talk scores: the parallel gamma 1'H1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from pricing.domain import Box
from pricing.types import Array, BoolArray
from surrogate.evaluation.errors import told
from surrogate.functions.surrogate import Surrogate, value_gradient_hessian
from surrogate.greeks import greeks
from surrogate.reductions.reduction import Reduction, derivatives
from surrogate.report.scores import OutputScore, SampleScores

# A parallel gamma below this share of the Hessian's entries is their rounding: that of a spread is 0.
VANISHING = 1e-12
# Samples in one batch of Hessians: 1024 x 50 x 50 float64 take 20 MB.
ROWS = 1024
# What is said of gamma where no reference knows it.
UNKNOWN_GAMMA = OutputScore(rmse=None, max_error=None, r2=None, frobenius_error=None, parallel_r2=None)


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Values with first and second derivatives by all d features.

    Args:
        judges: whether gamma may judge another; not where a reference does not know it.
        margin: what each may be off, of a reference at independent points; bounds are drawn from it.

    Shape: value (batch,), delta (batch, d), gamma (batch, d, d).
    """

    value: Array
    delta: Array
    gamma: Array
    judges: bool = True
    margin: Prediction | None = None

    def rows(self, index: BoolArray) -> Prediction:
        """The samples that ``index`` selects. Shape: index batch of bool."""
        margin = None if self.margin is None else self.margin.rows(index)
        return replace(self, value=self.value[index], delta=self.delta[index], gamma=self.gamma[index], margin=margin)


def predict(network: Surrogate, features: Array, reduction: Reduction | None = None) -> Prediction:
    """What the surrogate says, a network alone in its own precision. Shape: batch feature ->."""
    blocks = []
    for start in range(0, len(features), ROWS):
        x = torch.from_numpy(features[start : start + ROWS])
        if reduction is None:
            with torch.no_grad():
                answer = value_gradient_hessian(network, x.to(network.dtype))
        else:
            answer = derivatives(reduction, network, x)
        blocks.append([t.double().numpy() for t in answer])
    value, delta, gamma = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return Prediction(value=value, delta=delta, gamma=gamma)


def accuracy(predicted: Prediction, reference: Prediction, box: Box | None = None) -> SampleScores:
    """Score value, delta and gamma by the spots, and every named Greek: R2, root mean square, largest absolute error.

    All of gamma's are None where the reference does not know it. ``parallel_r2`` is None where 1'H1 vanishes, as it
    does for weights that add up to 0.

    Args:
        box: tells the spots from other features; without it all are spots.

    Shape: predicted, reference as `Prediction` ->.
    """
    spots = slice(None) if box is None else box.columns("spot")
    places = {"delta": spots} | {greek.name: greek.columns for greek in (() if box is None else greeks(box))}
    margin = reference.margin

    def first(columns: slice) -> OutputScore:
        off = None if margin is None else margin.delta[:, columns]
        return score(predicted.delta[:, columns], reference.delta[:, columns], off)

    outputs = {
        "value": score(
            predicted.value[:, None], reference.value[:, None], None if margin is None else margin.value[:, None]
        ),
        "delta": first(places.pop("delta")),
        "gamma": gamma_score(
            predicted.gamma[:, spots, spots],
            reference.gamma[:, spots, spots],
            None if margin is None else margin.gamma[:, spots, spots],
        ),
    } | {name: first(columns) for name, columns in places.items()}
    if not reference.judges:
        outputs["gamma"] = UNKNOWN_GAMMA
    return SampleScores(samples=len(reference.value), outputs=outputs)


def score(predicted: Array, reference: Array, margin: Array | None = None) -> OutputScore:
    """Errors of one output. Shape: batch column ->."""
    error = predicted - reference
    return OutputScore(
        rmse=float(np.sqrt(np.mean(error**2))),
        max_error=float(np.abs(error).max()),
        r2=r2(predicted, reference),
        unexplained=missed_share(error, reference),
        **told(error, margin),
    )


def gamma_score(predicted: Array, reference: Array, margin: Array | None = None) -> OutputScore:
    """Errors of whole Hessians, and R2 of their sums. Shape: batch spot spot ->."""
    error = predicted - reference
    residual = (error**2).sum()
    size = (reference**2).sum()
    parallel = predicted.sum(axis=(1, 2)), reference.sum(axis=(1, 2))
    vanishes = np.abs(parallel[1]).max() <= VANISHING * np.abs(reference).sum(axis=(1, 2)).max()
    return OutputScore(
        rmse=float(np.sqrt(np.mean(error**2))),
        max_error=float(np.abs(error).max()),
        r2=hessian_r2(predicted, reference),
        unexplained=missed_whole(error, reference),
        frobenius_error=float(np.sqrt(residual / size)) if size > 0.0 else float(np.sqrt(residual)),
        parallel_r2=None if vanishes else r2(parallel[0][:, None], parallel[1][:, None]),
        **told(error, margin),
    )


def r2(predicted: Array, reference: Array) -> float:
    """1 - residual / total sum of squares per column, averaged over columns that vary. Shape: batch column ->."""
    return 1.0 - missed_share(predicted - reference, reference)


def hessian_r2(predicted: Array, reference: Array) -> float:
    """1 - residual / total sum of squares over all entries. Shape: batch spot spot ->."""
    return 1.0 - missed_whole(predicted - reference, reference)


def missed_share(error: Array, reference: Array) -> float:
    """Residual over total sum of squares per column, averaged over columns that vary; 1 where none does and any is off.

    Shape: batch column ->.
    """
    residual = (error**2).sum(axis=0)
    total = ((reference - reference.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 0.0
    return float(np.mean(residual[varies] / total[varies])) if varies.any() else float(residual.any())


def missed_whole(error: Array, reference: Array) -> float:
    """Residual over total sum of squares of all entries together. Shape: batch spot spot ->."""
    residual = float((error**2).sum())
    total = float(((reference - reference.mean(axis=0)) ** 2).sum())
    return residual / total if total > 0.0 else float(residual > 0.0)
