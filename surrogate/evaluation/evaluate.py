"""How good is a surrogate? Errors against an independent reference, and statements about its shape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import UNSET

from pricing.domain import Box
from pricing.draws import stream
from pricing.errors import InvalidSpec
from pricing.references import reference as references
from pricing.references.methods import Known
from pricing.specs.problem import PricingProblem
from pricing.types import Array
from surrogate.evaluation.accuracy import Prediction, hessian_r2, predict, r2
from surrogate.evaluation.buckets import scores_by_place
from surrogate.evaluation.exact import as_prediction
from surrogate.evaluation.implied import implied_score
from surrogate.evaluation.points import Ears, planned, referenced
from surrogate.evaluation.shape import shape_checks
from surrogate.functions.surrogate import Surrogate
from surrogate.reductions.reduction import Reduction
from surrogate.report.record import known
from surrogate.report.report import EvaluationFacts, Report
from surrogate.report.scores import ReferenceQuality
from surrogate.report.sources import SimulatedLabels
from surrogate.spec import EvaluationSpec

# Where evaluation points come from.
INDEPENDENT = "independent and uniform in the Box"
# A relative error whose square is lost in an R2 of seven digits many times over: that of exact methods.
NEGLIGIBLE = 1e-6
# Which second derivatives are unjudged, and why, by what the reference knows.
UNJUDGED: Mapping[Known, str] = {
    "spots": "second derivatives by features other than spots, which replicates of an exercise rule do not estimate",
    "nothing": "gamma and all other second derivatives, which the bridges of a continuous barrier under Heston leave "
    "wrong by several percent or more",
}


def evaluate(
    network: Surrogate,
    problem: PricingProblem,
    spec: EvaluationSpec,
    *,
    seed: int,
    label_error: Mapping[str, float] | None = None,
    reduction: Reduction | None = None,
    ears: Ears | None = None,
) -> Report[SimulatedLabels]:
    """The report, without what is known of labels and learning.

    Args:
        network: raw units, of the inputs of the reduction where there is one.
        seed: draws the evaluation points, independently of each other and of the training points.
        label_error: root mean square standard error of the training labels per output: the noise floor.
        ears: who is told what it takes; nobody if not given.

    Raises:
        InvalidSpec: there is no reference for the problem.
    """
    box, plan = problem.box, planned(problem, spec)
    drawn = box.from_uniforms(stream("evaluation", seed=seed).random((plan.samples, box.dimension)))
    seconds = known(spec.seconds)
    exact = referenced(problem, drawn, seed=seed, seconds=seconds, ears=ears or Ears())
    features = drawn[: len(exact.value)]
    predicted = predict(network, features, reduction)
    right = as_prediction(exact, independent=True)
    return Report(
        accuracy=scores_by_place(predicted, exact, right, problem=problem, features=features),
        reference=reference_quality(exact, box),
        noise_floor=None if label_error is None else dict(label_error),
        shape=shape_checks(predicted, right, problem=problem, features=features, tolerance=spec.tolerance),
        implied_volatility=implied_score(problem, features, predicted.value, right.value),
        evaluation=EvaluationFacts(
            samples=len(features),
            asked=known(spec.samples),
            seconds=UNSET if seconds is None else seconds,
            reason=UNSET if plan.reason is None else plan.reason,
            seed=seed,
            points=INDEPENDENT,
        ),
    )


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


def reference_quality(exact: references.Reference, box: Box) -> ReferenceQuality:
    """How surely the reference is right.

    ``relative_error`` is that of value or delta, whichever is larger: what the method may miss, or root mean square
    errors as a share of the root mean square; ``perfect_r2`` is what the truth itself would score against it where it
    is off by all that is stated, of gamma by the method's share too; ``unjudged`` is there where it does not know the
    whole Hessian, and says why.
    """
    spots = box.columns("spot")
    outputs: dict[str, tuple[Array, Array | None]] = {
        "value": (exact.value[:, None], None if exact.standard_error is None else exact.standard_error[:, None]),
        "delta": (exact.gradient[:, spots], None if exact.gradient_error is None else exact.gradient_error[:, spots]),
        "gamma": (
            exact.hessian[:, spots, spots],
            None if exact.hessian_error is None else exact.hessian_error[:, spots, spots],
        ),
    }
    relative, sizes, perfect = exact.relative_error, dict[str, float](), dict[str, float]()
    for name, (truth, error) in outputs.items():
        scale, stated = float(np.sqrt(np.mean(truth**2))), error is not None and bool(error.any())
        if (name == "gamma" and exact.known == "nothing") or not (stated or exact.relative_error > NEGLIGIBLE):
            continue
        off = np.zeros_like(truth) if error is None else error
        if stated:
            sizes[name] = size = float(np.sqrt(np.mean(off**2)))
            if name != "gamma" and scale > 0.0:
                relative = max(relative, size / scale)
        noisy = truth + np.hypot(off, exact.relative_error * scale)
        perfect[name] = hessian_r2(noisy, truth) if name == "gamma" else r2(noisy, truth)
    return ReferenceQuality(
        kind=exact.kind,
        relative_error=relative,
        value_error=sizes.get("value"),
        delta_error=sizes.get("delta"),
        gamma_error=sizes.get("gamma"),
        perfect_r2=perfect,
        duality_gap=UNSET if exact.gap is None else float(np.sqrt(np.mean(exact.gap**2))),
        unjudged=None if exact.known == "all" else UNJUDGED[exact.known],
    )
