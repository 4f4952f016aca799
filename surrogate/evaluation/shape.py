"""No-arbitrage statements, looked at on points of the Box; `pruning.certificates.shape` proves them on all of it."""

from __future__ import annotations

import numpy as np

from pricing.references.discounted_forward import payments
from pricing.specs.problem import PricingProblem
from pricing.types import Array
from surrogate.evaluation.accuracy import Prediction
from surrogate.report.scores import ShapeCheck


def shape_checks(
    predicted: Prediction, exact: Prediction, *, problem: PricingProblem, features: Array, tolerance: float
) -> tuple[ShapeCheck, ...]:
    """No-arbitrage statements on a set of points: how far the worst point is from obeying each, and whether all do.

    For a call of forward basket F with discount D and growth g, and u the move of the spots along D g w that raises
    D F by 1 (the put mirrored): V >= max(D (F - K), 0); 0 <= delta u <= 1; u'Hu >= 0; and parity, V minus the exact
    value of the opposite option, equals D (F - K). One network prices one side, so parity is its largest error.

    Each violation is a share of its statement's own scale: the largest value, 1 for delta, the largest gamma. Other
    payoffs have no such statements.

    Shape: batch feature ->.
    """
    due = payments(problem, features)
    if due is None:
        return ()
    amount, slope = due
    spots = problem.box.columns("spot")
    along = slope / (slope**2).sum(axis=1, keepdims=True)
    delta = np.einsum("ni,ni->n", predicted.delta[:, spots], along)
    bends = [np.einsum("nij,ni,nj->n", each.gamma[:, spots, spots], along, along) for each in (predicted, exact)]
    largest_value, largest_gamma = float(exact.value.max()) or 1.0, float(bends[1].max()) or 1.0
    statements = {
        "value >= intrinsic": (np.maximum(amount, 0.0) - predicted.value).max() / largest_value,
        "delta along the basket >= 0": (-delta).max(),
        "delta along the basket <= 1": (delta - 1.0).max(),
        "gamma along the basket >= 0 (convex)": (-bends[0]).max() / largest_gamma,
        "put-call parity": np.abs(predicted.value - exact.value).max() / largest_value,
    }
    return tuple(
        ShapeCheck(statement=name, worst_violation=max(float(worst), 0.0), holds=bool(worst <= tolerance))
        for name, worst in statements.items()
    )
