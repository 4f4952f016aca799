"""How good is a surrogate? Errors against an independent reference, and statements about its shape."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import UNSET
from msgspec.structs import replace

from pricing.domain import Box
from pricing.draws import stream, uniforms
from pricing.errors import InvalidSpec
from pricing.references import reference as references
from pricing.references.methods import Known
from pricing.specs.problem import PricingProblem
from pricing.types import Array
from surrogate.evaluation.accuracy import Prediction, hessian_r2, predict, r2
from surrogate.evaluation.buckets import scores_by_place
from surrogate.evaluation.second_order import second_order
from surrogate.evaluation.shape import shape_checks
from surrogate.functions.surrogate import Surrogate
from surrogate.reductions.reduction import Reduction
from surrogate.report.report import EvaluationFacts, Report
from surrogate.report.scores import ReferenceQuality
from surrogate.report.sources import SimulatedLabels
from surrogate.spec import EvaluationSpec

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
) -> Report[SimulatedLabels]:
    """The report, without what is known of labels and learning.

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
    known, predicted = references.reference(problem, features, seed=seed), predict(network, features, reduction)
    exact = as_prediction(known)
    accuracy = scores_by_place(predicted, exact, problem=problem, features=features)
    if len(problem.features) > 1:
        accuracy = replace(accuracy, second_order=second_order(predicted.gamma, known, box))
    return Report(
        accuracy=accuracy,
        reference=reference_quality(known, box),
        noise_floor=None if label_error is None else dict(label_error),
        shape=shape_checks(predicted, exact, problem=problem, features=features, tolerance=spec.tolerance),
        evaluation=EvaluationFacts(samples=samples, asked=spec.samples, seed=seed, points="scrambled Sobol in the Box"),
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


def as_prediction(exact: references.Reference) -> Prediction:
    """A reference as what a surrogate predicts. Shape: as `Prediction`."""
    return Prediction(value=exact.value, delta=exact.gradient, gamma=exact.hessian, judges=exact.known != "nothing")


def reference_quality(exact: references.Reference, box: Box) -> ReferenceQuality:
    """How surely the reference is right.

    ``relative_error`` is that of value or delta, whichever is larger: what the method may miss, or root mean square
    errors as a share of the root mean square; ``perfect_r2`` is what the truth itself would score against it;
    ``unjudged`` is there where it does not know the whole Hessian, and says why.
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
        if error is None or not error.any():
            continue
        sizes[name] = size = float(np.sqrt(np.mean(error**2)))
        scale = float(np.sqrt(np.mean(truth**2)))
        if name != "gamma" and scale > 0.0:
            relative = max(relative, size / scale)
        noisy = truth + error
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
