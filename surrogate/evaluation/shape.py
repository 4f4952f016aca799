"""No-arbitrage statements, looked at on points of the Box; `pruning.certificates.shape` proves them on all of it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from pricing.references.discounted_forward import payments
from pricing.specs.problem import PricingProblem
from pricing.types import Array
from surrogate.evaluation.accuracy import Prediction
from surrogate.evaluation.payoff_bounds import follows
from surrogate.report.scores import ShapeCheck


def shape_checks(
    predicted: Prediction, exact: Prediction, *, problem: PricingProblem, features: Array, tolerance: float
) -> tuple[ShapeCheck, ...]:
    """No-arbitrage statements on a set of points: how far the worst point is from obeying each, and whether all do.

    For a call of forward basket F with discount D and growth g, and u the move of the spots along D g w that raises
    D F by 1 (the put mirrored): V >= max(D (F - K), 0); 0 <= delta u <= 1; u'Hu >= 0; and parity, V minus the exact
    value of the opposite option, equals D (F - K). One network prices one side, so parity is its largest error.

    Each violation is a share of its statement's own scale: the largest value, 1 for delta, the largest gamma. Of other
    payoffs: what `surrogate.evaluation.payoff_bounds` says, a derivative in units of its largest.

    Shape: batch feature ->.
    """
    due = payments(problem, features)
    if due is None:
        return _followed(predicted, exact, problem=problem, features=features, tolerance=tolerance)
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
    return _checks(statements, tolerance)


def _followed(
    predicted: Prediction, exact: Prediction, *, problem: PricingProblem, features: Array, tolerance: float
) -> tuple[ShapeCheck, ...]:
    """What follows from the payoff alone."""
    known, box = follows(problem, features), problem.box
    if known is None:
        return ()
    statements, largest = dict[str, float](), float(np.abs(exact.value).max()) or 1.0
    if known.low is not None:
        statements["value >= 0"] = float((known.low - predicted.value).max()) / largest
    if known.high is not None:
        statements["value <= the most that is paid, discounted"] = float((predicted.value - known.high).max()) / largest
    for name, signs in known.signs.items():
        if name not in (feature.name for feature in box.features) or not signs.any():
            continue
        columns = box.columns(name)
        scale = float(np.abs(exact.delta[:, columns]).max()) or 1.0
        statements[_direction(name, signs)] = float((-predicted.delta[:, columns] * signs).max()) / scale
    return _checks(statements, tolerance)


def _direction(name: str, signs: Array) -> str:
    """A statement about the derivatives by a feature."""
    what = "delta" if name == "spot" else f"derivative by {name}"
    if len(set(signs)) > 1:
        return f"every {what} has the sign of its weight in what is paid"
    return f"{what} {'>=' if signs[0] > 0.0 else '<='} 0"


def _checks(statements: Mapping[str, float], tolerance: float) -> tuple[ShapeCheck, ...]:
    return tuple(
        ShapeCheck(statement=name, worst_violation=max(float(worst), 0.0), holds=bool(worst <= tolerance))
        for name, worst in statements.items()
    )
