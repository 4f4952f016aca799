"""How good is a surrogate? Errors against an independent reference, by bucket, and statements about its shape.

R2 of values is 1 - sum (V^ - V)^2 / sum (V - mean V)^2; of deltas the same per coordinate, then averaged (flattening
would count the spread between assets as explained); of gammas 1 - sum |H^ - H|_F^2 / sum |H - mean H|_F^2, and beside
it the scalar that the source talk scores: the parallel gamma 1'H1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, assert_never

import msgspec
import numpy as np
import torch

from pricing import analytic
from pricing.draws import stream, uniforms
from pricing.spec import Call, Payoff, PricingProblem, Put
from pricing.types import Array, BoolArray
from surrogate.network import Network, value_gradient_hessian
from surrogate.spec import EvaluationSpec

# Buckets of |d|, d = (F - K) / s: near the strike, on the shoulders, in the wings.
BUCKETS = ((0.0, 0.5), (0.5, 1.5), (1.5, np.inf))
# Relative error of the closed form: what its tails lose to cancellation (`pricing.analytic.partial_moment`).
REFERENCE_ERROR = 1e-12
# A parallel gamma below this share of the Hessian's entries is their rounding: that of a spread is 0.
VANISHING = 1e-12
# Samples in one batch of Hessians: 1024 x 50 x 50 float64 take 20 MB.
ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Values with first and second derivatives. Shape: value (batch,), delta (batch, d), gamma (batch, d, d)."""

    value: Array
    delta: Array
    gamma: Array

    def rows(self, index: BoolArray) -> Prediction:
        """The samples that ``index`` selects."""
        return Prediction(value=self.value[index], delta=self.delta[index], gamma=self.gamma[index])


def predict(network: Network, features: Array) -> Prediction:
    """What the network says, in its own precision. Shape: batch feature ->."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(features), ROWS):
            x = torch.from_numpy(features[start : start + ROWS]).to(network.dtype)
            parts.append([t.double().numpy() for t in value_gradient_hessian(network, x)])
    value, delta, gamma = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Prediction(value=value, delta=delta, gamma=gamma)


def r2(predicted: Array, reference: Array) -> float:
    """1 - residual / total sum of squares per column, averaged over columns that vary. Shape: batch column ->."""
    residual = ((predicted - reference) ** 2).sum(axis=0)
    total = ((reference - reference.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 0.0
    return float(np.mean(1.0 - residual[varies] / total[varies])) if varies.any() else float(not residual.any())


def accuracy(predicted: Prediction, reference: Prediction) -> dict[str, Any]:
    """R2, root mean square and largest absolute error of value, delta and gamma.

    ``parallel_r2`` is None where 1'H1 vanishes, as it does for weights that add up to 0.
    """
    result: dict[str, Any] = {"samples": len(reference.value)}
    for greek in ("value", "delta", "gamma"):
        got, want = getattr(predicted, greek), getattr(reference, greek)
        error = got - want
        result[greek] = {
            "rmse": float(np.sqrt(np.mean(error**2))),
            "max_error": float(np.abs(error).max()),
        }
    result["value"]["r2"] = r2(predicted.value[:, None], reference.value[:, None])
    result["delta"]["r2"] = r2(predicted.delta, reference.delta)
    residual = ((predicted.gamma - reference.gamma) ** 2).sum()
    total = ((reference.gamma - reference.gamma.mean(axis=0)) ** 2).sum()
    size = (reference.gamma**2).sum()
    parallel = predicted.gamma.sum(axis=(1, 2)), reference.gamma.sum(axis=(1, 2))
    result["gamma"]["r2"] = float(1.0 - residual / total) if total > 0.0 else float(residual == 0.0)
    result["gamma"]["frobenius_error"] = float(np.sqrt(residual / size)) if size > 0.0 else float(np.sqrt(residual))
    vanishes = np.abs(parallel[1]).max() <= VANISHING * np.abs(reference.gamma).sum(axis=(1, 2)).max()
    result["gamma"]["parallel_r2"] = None if vanishes else r2(parallel[0][:, None], parallel[1][:, None])
    return result


def reference(problem: PricingProblem, features: Array) -> Prediction:
    """The independent closed form. Shape: batch feature ->."""
    return as_prediction(analytic.greeks(problem, features))


def as_prediction(exact: analytic.Greeks) -> Prediction:
    """The part of the closed form that a network predicts."""
    return Prediction(value=exact.value, delta=exact.delta, gamma=exact.gamma)


def evaluate(
    network: Network,
    problem: PricingProblem,
    spec: EvaluationSpec,
    *,
    seed: int,
    label_error: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """The whole report, as plain data for JSON.

    Args:
        network: raw units.
        seed: draws the evaluation points; a stream of its own, so they are not the training points.
        label_error: root mean square standard error of the training labels per Greek: the noise floor.
    """
    generator = stream("evaluation", seed=seed)
    features = problem.box.from_uniforms(uniforms("sobol", spec.samples, problem.box.dimension, generator=generator))
    predicted, closed_form = predict(network, features), analytic.greeks(problem, features)
    exact, distance = as_prediction(closed_form), np.abs(closed_form.moneyness)
    buckets = []
    for low, high in BUCKETS:
        index = (distance >= low) & (distance < high)
        if index.any():
            name = f"{low:g} <= |d|" + (f" < {high:g}" if np.isfinite(high) else "")
            buckets.append({"bucket": name, **accuracy(predicted.rows(index), exact.rows(index))})
    overall = accuracy(predicted, exact)
    return {
        "accuracy": {**overall, "buckets": buckets},
        "reference": {"kind": "closed form", "relative_error": REFERENCE_ERROR},
        "noise_floor": None if label_error is None else dict(label_error),
        "shape": shape_checks(predicted, closed_form, problem=problem, features=features, tolerance=spec.tolerance),
        "evaluation": {"samples": spec.samples, "seed": seed, "points": "scrambled Sobol in the Box"},
    }


def other_side(problem: PricingProblem) -> PricingProblem:
    """The put of a call, the call of a put."""
    payoff = problem.payoff
    match payoff:
        case Call():
            mirrored: Payoff = Put(weights=payoff.weights, strike=payoff.strike)
        case Put():
            mirrored = Call(weights=payoff.weights, strike=payoff.strike)
        case _:
            assert_never(payoff)
    return msgspec.structs.replace(problem, payoff=mirrored)


def shape_checks(
    predicted: Prediction, exact: analytic.Greeks, *, problem: PricingProblem, features: Array, tolerance: float
) -> list[dict[str, Any]]:
    """No-arbitrage statements on a set of points: how far the worst point is from obeying each, and whether all do.

    For a call of forward basket F with discount D and growth g, and u the move of the spots along D g w that raises
    D F by 1 (the put mirrored): V >= max(D (F - K), 0); 0 <= delta u <= 1; u'Hu >= 0; and parity, V minus the exact
    value of the opposite option, equals D (F - K). One network prices one side, so parity is its largest error.

    Each violation is a share of its statement's own scale: the largest value, 1 for delta, the largest gamma.

    Shape: batch feature ->.
    """
    opposite = analytic.greeks(other_side(problem), features)
    forward = exact.value - opposite.value  # +-D (F - K)
    slope = (exact.delta - opposite.delta)[0]  # +-D g w, the same at every point
    along = slope / np.dot(slope, slope)
    delta = predicted.delta @ along
    convexity = np.einsum("nij,i,j->n", predicted.gamma, along, along)
    intrinsic = np.maximum(forward, 0.0)
    parity = np.abs(predicted.value - opposite.value - forward)
    largest_value = float(exact.value.max()) or 1.0
    largest_gamma = float(np.einsum("nij,i,j->n", exact.gamma, along, along).max()) or 1.0
    statements = {
        "value >= intrinsic": (intrinsic - predicted.value).max() / largest_value,
        "delta along the basket >= 0": (-delta).max(),
        "delta along the basket <= 1": (delta - 1.0).max(),
        "gamma along the basket >= 0 (convex)": (-convexity).max() / largest_gamma,
        "put-call parity": parity.max() / largest_value,
    }
    return [
        {"statement": name, "worst_violation": max(float(worst), 0.0), "holds": bool(worst <= tolerance)}
        for name, worst in statements.items()
    ]
