"""How good is a surrogate? Errors against an independent reference, by bucket, and statements about its shape.

R2 of values is 1 - sum (V^ - V)^2 / sum (V - mean V)^2; of deltas the same per coordinate, then averaged (flattening
would count the spread between assets as explained); of gammas 1 - sum |H^ - H|_F^2 / sum |H - mean H|_F^2, and beside
it the scalar that the source talk scores: the parallel gamma 1'H1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pricing.domain import Box
from pricing.draws import stream, uniforms
from pricing.errors import InvalidSpec
from pricing.references import reference as references
from pricing.references.discounted_forward import payments
from pricing.references.methods import Known
from pricing.sampling import forward_moneyness
from pricing.simulation.scenario import scenario
from pricing.specs.problem import PricingProblem
from pricing.types import Array, BoolArray
from surrogate.evaluation.second_order import second_order
from surrogate.functions.surrogate import Surrogate, value_gradient_hessian
from surrogate.greeks import greeks
from surrogate.reductions.reduction import Reduction, derivatives
from surrogate.spec import EvaluationSpec

# Buckets of |d|, d = (F - K) / s: near the strike, on the shoulders, in the wings; and of the distance to a barrier.
BUCKETS = ((0.0, 0.5), (0.5, 1.5), (1.5, np.inf))
# Buckets of the maturity where it is a feature, years: within a quarter, within a year, beyond.
MATURITIES = ((0.0, 0.25), (0.25, 1.0), (1.0, np.inf))
# A bucket of fewer points says nothing of a variance: it has errors, and no R2.
LEAST_POINTS = 8
# A parallel gamma below this share of the Hessian's entries is their rounding: that of a spread is 0.
VANISHING = 1e-12
# Samples in one batch of Hessians: 1024 x 50 x 50 float64 take 20 MB.
ROWS = 1024
# Which second derivatives are unjudged, and why, by what the reference knows.
UNJUDGED: Mapping[Known, str] = {
    "spots": "second derivatives by features other than spots, which replicates of an exercise rule do not estimate",
    "nothing": "gamma and all other second derivatives, which the bridges of a continuous barrier under Heston leave "
    "wrong by several percent or more",
}


@dataclass(frozen=True, kw_only=True)
class Prediction:
    """Values with first and second derivatives by all d features.

    Args:
        judges: whether gamma may judge another; not where a reference does not know it.

    Shape: value (batch,), delta (batch, d), gamma (batch, d, d).
    """

    value: Array
    delta: Array
    gamma: Array
    judges: bool = True

    def rows(self, index: BoolArray) -> Prediction:
        """The samples that ``index`` selects."""
        return replace(self, value=self.value[index], delta=self.delta[index], gamma=self.gamma[index])


def predict(network: Surrogate, features: Array, reduction: Reduction | None = None) -> Prediction:
    """What the surrogate says, a network alone in its own precision. Shape: batch feature ->."""
    parts = []
    for start in range(0, len(features), ROWS):
        x = torch.from_numpy(features[start : start + ROWS])
        if reduction is None:
            with torch.no_grad():
                found = value_gradient_hessian(network, x.to(network.dtype))
        else:
            found = derivatives(reduction, network, x)
        parts.append([t.double().numpy() for t in found])
    value, delta, gamma = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Prediction(value=value, delta=delta, gamma=gamma)


def r2(predicted: Array, reference: Array) -> float:
    """1 - residual / total sum of squares per column, averaged over columns that vary. Shape: batch column ->."""
    residual = ((predicted - reference) ** 2).sum(axis=0)
    total = ((reference - reference.mean(axis=0)) ** 2).sum(axis=0)
    varies = total > 0.0
    return float(np.mean(1.0 - residual[varies] / total[varies])) if varies.any() else float(not residual.any())


def accuracy(predicted: Prediction, reference: Prediction, box: Box | None = None) -> dict[str, Any]:
    """R2, root mean square and largest absolute error of value, delta and gamma by the spots, and of every named Greek.

    All of gamma's are None where the reference does not know it. ``parallel_r2`` is None where 1'H1 vanishes, as it
    does for weights that add up to 0.

    Args:
        box: tells the spots from other features; without it all are spots.
    """
    spots = slice(None) if box is None else box.columns("spot")
    pairs = {
        "value": (predicted.value[:, None], reference.value[:, None]),
        "delta": (predicted.delta[:, spots], reference.delta[:, spots]),
        "gamma": (predicted.gamma[:, spots, spots], reference.gamma[:, spots, spots]),
    }
    for greek in () if box is None else greeks(box):
        pairs[greek.name] = (predicted.delta[:, greek.columns], reference.delta[:, greek.columns])
    result: dict[str, Any] = {"samples": len(reference.value)}
    for name, (got, want) in pairs.items():
        error = got - want
        result[name] = {
            "rmse": float(np.sqrt(np.mean(error**2))),
            "max_error": float(np.abs(error).max()),
        }
        result[name] |= gamma_scores(got, want) if name == "gamma" else {"r2": r2(got, want)}
    if not reference.judges:
        result["gamma"] = dict.fromkeys(result["gamma"])
    return result


def gamma_scores(predicted: Array, reference: Array) -> dict[str, float | None]:
    """R2 and relative error of whole Hessians, R2 of their sums. Shape: batch spot spot ->."""
    residual = ((predicted - reference) ** 2).sum()
    total = ((reference - reference.mean(axis=0)) ** 2).sum()
    size = (reference**2).sum()
    parallel = predicted.sum(axis=(1, 2)), reference.sum(axis=(1, 2))
    vanishes = np.abs(parallel[1]).max() <= VANISHING * np.abs(reference).sum(axis=(1, 2)).max()
    return {
        "r2": float(1.0 - residual / total) if total > 0.0 else float(residual == 0.0),
        "frobenius_error": float(np.sqrt(residual / size)) if size > 0.0 else float(np.sqrt(residual)),
        "parallel_r2": None if vanishes else r2(parallel[0][:, None], parallel[1][:, None]),
    }


def reference(problem: PricingProblem, features: Array) -> Prediction:
    """What is right, by a method that shares nothing with the labels. Shape: batch feature ->.

    Raises:
        InvalidSpec: no reference knows the problem, or its gammas.
    """
    exact = as_prediction(references.reference(problem, features))
    if not exact.judges:
        raise InvalidSpec(
            f"problem: no reference knows the gammas of a {problem.payoff.__class__.__name__.lower()} under "
            f"{problem.process.__class__.__name__}; 'sobolite build' judges its values and deltas alone",
            path="problem.payoff",
        )
    return exact


def as_prediction(exact: references.Reference) -> Prediction:
    """A reference as what a surrogate predicts."""
    return Prediction(value=exact.value, delta=exact.gradient, gamma=exact.hessian, judges=exact.known != "nothing")


def evaluate(
    network: Surrogate,
    problem: PricingProblem,
    spec: EvaluationSpec,
    *,
    seed: int,
    label_error: Mapping[str, float] | None = None,
    reduction: Reduction | None = None,
) -> dict[str, Any]:
    """The whole report, as plain data for JSON.

    Fewer points than the spec asks for where their reference would take more than about a minute.

    Args:
        network: raw units, of the inputs of the reduction where there is one.
        seed: draws the evaluation points; a stream of its own, so they are not the training points.
        label_error: root mean square standard error of the training labels per Greek: the noise floor.

    Raises:
        InvalidSpec: there is no reference for the problem.
    """
    generator, box = stream("evaluation", seed=seed), problem.box
    samples = min(spec.samples, references.affordable(problem) or spec.samples)
    features = box.from_uniforms(uniforms("sobol", samples, box.dimension, generator=generator))
    found, predicted = references.reference(problem, features, seed=seed), predict(network, features, reduction)
    exact = as_prediction(found)
    scores = {
        **accuracy(predicted, exact, box),
        "buckets": buckets(predicted, exact, box, "|d|", standardised(problem, features), BUCKETS),
    }
    if "barrier" in problem.payoff.parameters:
        scores["triggers"] = buckets(predicted, exact, box, "|b|", barrier_distance(problem, features), BUCKETS)
    if "maturity" in (feature.name for feature in problem.features):
        years = features[:, box.columns("maturity")][:, 0]
        scores["maturities"] = buckets(predicted, exact, box, "maturity", years, MATURITIES)
    if len(problem.features) > 1:
        scores["second_order"] = second_order(predicted.gamma, found, box)
    return {
        "accuracy": scores,
        "reference": reference_quality(found, box),
        "noise_floor": None if label_error is None else dict(label_error),
        "shape": shape_checks(predicted, exact, problem=problem, features=features, tolerance=spec.tolerance),
        "evaluation": {
            "samples": samples,
            "asked": spec.samples,
            "seed": seed,
            "points": "scrambled Sobol in the Box",
        },
    }


def buckets(
    predicted: Prediction, exact: Prediction, box: Box, name: str, where: Array, edges: tuple[tuple[float, float], ...]
) -> list[dict[str, Any]]:
    """The scores of samples by where they lie, buckets without samples left out; few samples have errors and no R2.

    Shape: where batch ->.
    """
    found = []
    for low, high in edges:
        index = (where >= low) & (where < high)
        if index.any():
            text = f"{low:g} <= {name}" + (f" < {high:g}" if np.isfinite(high) else "")
            scores = accuracy(predicted.rows(index), exact.rows(index), box)
            if scores["samples"] < LEAST_POINTS:
                scores = {name: _without_r2(part) if isinstance(part, dict) else part for name, part in scores.items()}
            found.append({"bucket": text, **scores})
    return found


def _without_r2(scores: Mapping[str, Any]) -> dict[str, Any]:
    return {name: None if name in ("r2", "parallel_r2") else score for name, score in scores.items()}


def reference_quality(found: references.Reference, box: Box) -> dict[str, Any]:
    """How surely the reference is right.

    ``relative_error`` is that of value or delta, whichever is larger: what the method may miss, or root mean square
    errors as a share of the root mean square; ``perfect_r2`` is what the truth itself would score against it;
    ``unjudged`` is there where it does not know the whole Hessian, and says why.
    """
    spots = box.columns("spot")
    parts: dict[str, tuple[Array, Array | None]] = {
        "value": (found.value[:, None], None if found.standard_error is None else found.standard_error[:, None]),
        "delta": (found.gradient[:, spots], None if found.gradient_error is None else found.gradient_error[:, spots]),
        "gamma": (
            found.hessian[:, spots, spots],
            None if found.hessian_error is None else found.hessian_error[:, spots, spots],
        ),
    }
    quality: dict[str, Any] = {"kind": found.kind, "relative_error": found.relative_error}
    perfect = {}
    for name, (exact, error) in parts.items():
        if error is None or not error.any():
            continue
        quality[f"{name}_error"] = size = float(np.sqrt(np.mean(error**2)))
        scale = float(np.sqrt(np.mean(exact**2)))
        if name != "gamma" and scale > 0.0:
            quality["relative_error"] = max(quality["relative_error"], size / scale)
        noisy = exact + error
        perfect[name] = gamma_scores(noisy, exact)["r2"] if name == "gamma" else r2(noisy, exact)
    unjudged = {} if found.known == "all" else {"unjudged": UNJUDGED[found.known]}
    return {**quality, "perfect_r2": perfect, **unjudged}


def standardised(problem: PricingProblem, features: Array) -> Array:
    """|d|, the terminal standard deviations to the deciding event, to first order. Shape: batch feature -> batch."""
    event, deviation = (part.detach().numpy() for part in forward_moneyness(problem, torch.from_numpy(features)))
    distance: Array = np.abs(np.divide(event, deviation, out=np.full_like(event, np.inf), where=deviation > 0.0))
    return distance


def barrier_distance(problem: PricingProblem, features: Array) -> Array:
    """|b|, the spot's distance to the barrier in terminal standard deviations. Shape: batch feature -> batch."""
    x = torch.from_numpy(features)
    at, deviation = scenario(problem, x), forward_moneyness(problem, x)[1].detach().numpy()
    gap = (at["spot"][:, 0, 0] - at.scalar("barrier")[:, 0]).abs().numpy()
    distance: Array = np.divide(gap, deviation, out=np.full_like(gap, np.inf), where=deviation > 0.0)
    return distance


def shape_checks(
    predicted: Prediction, exact: Prediction, *, problem: PricingProblem, features: Array, tolerance: float
) -> list[dict[str, Any]]:
    """No-arbitrage statements on a set of points: how far the worst point is from obeying each, and whether all do.

    For a call of forward basket F with discount D and growth g, and u the move of the spots along D g w that raises
    D F by 1 (the put mirrored): V >= max(D (F - K), 0); 0 <= delta u <= 1; u'Hu >= 0; and parity, V minus the exact
    value of the opposite option, equals D (F - K). One network prices one side, so parity is its largest error.

    Each violation is a share of its statement's own scale: the largest value, 1 for delta, the largest gamma. Other
    payoffs have no such statements.

    Shape: batch feature ->.
    """
    found = payments(problem, features)
    if found is None:
        return []
    amount, slope = found
    spots = problem.box.columns("spot")
    along = slope / (slope**2).sum(axis=1, keepdims=True)
    delta = np.einsum("ni,ni->n", predicted.delta[:, spots], along)
    bends = [np.einsum("nij,ni,nj->n", part.gamma[:, spots, spots], along, along) for part in (predicted, exact)]
    largest_value, largest_gamma = float(exact.value.max()) or 1.0, float(bends[1].max()) or 1.0
    statements = {
        "value >= intrinsic": (np.maximum(amount, 0.0) - predicted.value).max() / largest_value,
        "delta along the basket >= 0": (-delta).max(),
        "delta along the basket <= 1": (delta - 1.0).max(),
        "gamma along the basket >= 0 (convex)": (-bends[0]).max() / largest_gamma,
        "put-call parity": np.abs(predicted.value - exact.value).max() / largest_value,
    }
    return [
        {"statement": name, "worst_violation": max(float(worst), 0.0), "holds": bool(worst <= tolerance)}
        for name, worst in statements.items()
    ]
