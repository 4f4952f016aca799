"""The model card of a surrogate: what the file prices, where, how well, and against what, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from msgspec import UNSET

from pricing.specs.base import load
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Payoff
from pricing.specs.problem import PricingProblem
from surrogate.artifact.manifest import Certificate, DifferenceProof, Manifest
from surrogate.artifact.sentences import (
    few_points,
    nothing_proven,
    show_bound,
    show_bounds,
    show_choices,
    show_gate,
    show_implied,
    show_lineage,
    show_network,
    show_offsets,
    show_outputs,
    show_pruning,
    show_r2,
    show_taught,
)
from surrogate.reductions.reduction import BLEND
from surrogate.report.record import known
from surrogate.report.report import AnyReport, EvaluationFacts
from surrogate.report.scores import Accuracy, OutputScore, ReferenceQuality
from surrogate.report.sources import ExerciseBounds, ImportedLabels, TaughtLabels

# A standard error from fewer replicates is off by half of itself or more: 1 / sqrt(2 (R - 1)).
FEW_REPLICATES = 4
LABELS = ("value", "delta", "curvature")
HEADS = "| output | R2 | 1 - R2 | RMSE | largest error | 95 % sure of | noise of labels | unit |"
SURE = """Errors, and the noise of the labels (root mean square), are in the unit of the output. "95 % sure of": with
that confidence the error is below the figure in so large a part of the Box at least, whatever its law, twice the
standard error of the reference added."""


def model_card(manifest: Manifest, report: AnyReport, problem: PricingProblem) -> str:
    """The card of a surrogate of what was simulated."""
    accuracy, network, provenance = manifest.accuracy, manifest.network, manifest.provenance
    varies = "maturity" in (feature.name for feature in manifest.features)
    years = "a varying maturity" if varies else f"maturity {problem.maturity:g} years"
    text = f"""# {manifest.name}

A {problem.payoff.__struct_config__.tag} under the {problem.process.__struct_config__.tag} process, {years}:
{show_network(network)}, {network.parameters} parameters,
{network.nodes} ONNX nodes.
{scaling(manifest)}
`model.onnx` takes `features` float64 [n, d] in raw units and returns {show_outputs(manifest.outputs)}.
It needs a runtime that computes in float64; one that computes in less without a word (OpenVINO: in bfloat16) is wrong
by percents in gamma.

{scores(manifest, report)}

{unjudged(report.reference) if accuracy["gamma"].r2 is None else gammas(accuracy, problem.payoff)}
{judged(report.reference, report.evaluation)}
{labels(manifest, report)}
Buckets, the stated bias of the labels and shape checks are in `report.json`.

"""
    certificate = known(manifest.certificate)
    text += show_gate(known(manifest.gate)) + show_choices(report.choices)
    text += show_pruning(known(report.pruning)) + bounds(report.bounds or ()) + proven(certificate)
    if manifest.reduction is not None:
        text += scaled_proof(certificate)
    return f"""{text}{show_implied(report.implied_volatility)}{show_lineage(provenance)}{show_bounds(manifest.features)}

Outside these bounds the surrogate extrapolates and nothing is claimed. Trained on {provenance.simulated_paths}
simulated paths, seed {provenance.seed}; `manifest.json` holds the whole specification, `SHA256SUMS` the hashes.
"""


def scaling(manifest: Manifest) -> str:
    """Whether exact scaling and a closed form leave less to learn, and why not."""
    lines, reduction, missing = [], manifest.reduction, known(manifest.no_control)
    if reduction is not None:
        control = known(reduction.control)
        beside = "" if control is None else f" C is {control}, and the graph adds it again."
        lines.append(f"Exact scaling, {reduction.formula}, leaves h to learn.{beside}\n")
    elif manifest.no_reduction is not None:
        lines.append(f"No exact scaling: {manifest.no_reduction}.\n")
    if missing is not None:
        lines.append(f"The value itself is learnt, without a closed form beside it: {missing}.\n")
    return "".join(lines)


def scores(manifest: Manifest, report: AnyReport) -> str:
    """How far every output is from the reference."""
    floor = report.noise_floor or {}
    rows = (_score(name, manifest.outputs[name], manifest.accuracy[name], floor.get(name)) for name in manifest.outputs)
    told = [few_points(report.evaluation), *show_offsets(manifest.accuracy)]
    said = "".join(f"\n\n{sentence[0].upper()}{sentence[1:]}." for sentence in told if sentence is not None)
    return "\n".join((HEADS, "|---" * HEADS.count(" | ") + "|---|", *rows)) + f"{said}\n\n{SURE}"


def _score(name: str, unit: str, score: OutputScore, noise: float | None) -> str:
    cells = ["unjudged", *("-",) * 5]
    if score.rmse is not None:
        share = known(score.unexplained)
        cells = [
            "too few points" if score.r2 is None else show_r2(score.r2),
            "-" if share is None else f"{share:.1e}",
            *(f"{score.rmse:.2e}", f"{score.max_error:.2e}"),
            show_bound(known(score.bounds) or ()),
            "-" if noise is None else f"{noise:.2e}",
        ]
    return f"| {' | '.join((name, *cells, unit))} |"


def unjudged(reference: ReferenceQuality) -> str:
    """What is said in place of `gammas` where no reference knows gamma."""
    return (
        "Delta is scored on the spots. No reference knows, and nothing vouches for, what `gamma` returns.\n"
        f"Unjudged are {reference.unjudged}."
    )


def gammas(accuracy: Accuracy, payoff: Payoff) -> str:
    """Of which features the rows of delta and gamma are, and how the other second derivatives do."""
    parallel = known(accuracy["gamma"].parallel_r2)
    said = "vanishes" if parallel is None else f"has an R2 of {show_r2(parallel)}{_cancels(payoff)}"
    text = f"Delta and gamma are scored on the spots, gamma over the whole Hessian; the parallel gamma 1'H1 {said}."
    if accuracy.second_order is None:
        return text
    judged_pairs = [(pair.r2, pair) for pair in accuracy.second_order if pair.r2 is not None]
    if not judged_pairs:
        return f"{text}\nThe reference knows no other second derivatives that vary: `gamma` has them unjudged."
    least, worst = judged_pairs[0]
    perfect = "" if worst.perfect_r2 is None else f"; the truth would score {show_r2(worst.perfect_r2)}"
    return (
        f"{text}\nOf the other second derivatives ({len(judged_pairs)}) that {_by(worst.pair)} has the least R2, "
        f"{show_r2(least)}{perfect}:\n`second_order` in `report.json` has all."
    )


def _by(pair: str) -> str:
    one, other = pair.split(", ")
    return f"twice by {one}" if one == other else f"by {one} and {other}"


def _cancels(payoff: Payoff) -> str:
    weights = payoff.facts.weights
    if weights is None or not min(weights) < 0.0 < max(weights):
        return ""
    return ",\nwhich says little of weights of both signs: entries of H cancel in it, their errors do not"


def judged(reference: ReferenceQuality, evaluation: EvaluationFacts) -> str:
    """Against what the scores are, and how surely that is right."""
    kind, errors, perfect = reference.kind, reference.errors, known(reference.perfect_r2) or {}
    how = (
        f"another simulation, which is not independent of the labels: {kind}"
        if kind.startswith("resimulated")
        else f"an independent reference: {kind}"
    )
    reason = known(evaluation.reason)
    points = f"{evaluation.samples} points of the Box" + ("" if reason is None else f" ({reason})")
    text = f"Measured on {points} against {how}, relative error {reference.relative_error:.0e}."
    if not errors:
        return text
    sizes = ", ".join(f"{error:.1e} in {output}" for output, error in errors.items())
    truth = ", ".join(f"{show_r2(perfect[output])} in {output}" for output in errors)
    return f"{text}\nIts own root mean square errors are {sizes};\nagainst it the truth would score R2 of {truth}."


def labels(manifest: Manifest, report: AnyReport) -> str:
    """Where the labels come from, if they were not simulated, and how noisy they are."""
    match report.labels:
        case TaughtLabels() as taught:
            return show_taught(taught)
        case ImportedLabels(dataset=dataset, rows=rows, noise=noise):
            sizes = ", ".join(f"{told.square**0.5:.1e} in {output}" for output, told in (known(noise) or {}).items())
            noisy = (
                f"repeated rows say that the noise in them is {sizes}" if sizes else "how noisy they are is not known"
            )
            return f"The labels are {rows} rows of dataset `{dataset}`; {noisy}."
        case _:
            made = report.labels
            return label_errors(manifest, made.standard_error if made is not UNSET else report.noise_floor)


def label_errors(manifest: Manifest, floor: Mapping[str, float] | None) -> str:
    """How noisy the labels were, all features together; of the simulated problem, which scaling makes another one."""
    if not floor:
        return "How noisy the labels were was not measured, which takes two replicates."
    whose = "" if manifest.reduction is None else " of the simulated problem h"
    if not any(floor.values()):
        return f"All replicates gave the same labels{whose}: what is wrong with them is their bias alone."
    replicates = load(LabelSpec, manifest.provenance.build["labels"]).replicates
    sizes = ", ".join(f"{floor[name]:.1e} in {name}" for name in LABELS if name in floor)
    text = (
        f"Standard errors of the labels{whose} (root mean square, delta by all features):\n"
        f"{sizes}; from {replicates} replicates"
    )
    if replicates >= FEW_REPLICATES:
        return f"{text}."
    doubt = 100.0 / math.sqrt(2.0 * (replicates - 1))
    return f"{text}, which is few: these errors are themselves uncertain by {doubt:.0f} %."


def bounds(points: Sequence[ExerciseBounds]) -> str:
    """Between what values early exercise lies at a few points; empty where there is none."""
    if not points:
        return ""
    rows = "\n".join(
        f"| {', '.join(f'{x:g}' for x in point.features)} | {_plus_minus(point.low, point.low_error)} | "
        f"{_plus_minus(point.high, point.high_error)} | {sum(point.exercise_probability):.3f} |"
        for point in points
    )
    return f"""| features | low bound | high bound | chance of exercise |
|---|---|---|---|
{rows}

Low: what the exercise rule of the labels earns on other paths; high: its dual; ± one standard error. Where they cross
within a few of these, they are equal as far as simulation can tell.

"""


def _plus_minus(bound: float | None, error: float | None) -> str:
    return "-" if bound is None else f"{bound:.6g} ± {error:.2g}"


def proven(certificate: Certificate | None) -> str:
    """The card's table of what is proven, or that nothing is."""
    if certificate is None or not certificate.shape:
        told = nothing_proven(certificate)
        moving = "" if certificate is None else moved(certificate.pruning)
        return f"{told[0].upper()}{told[1:]}.\n{moving}\n"
    tolerance = certificate.shape[0].tolerance
    rows = "\n".join(
        f"| {proof.statement} | {_number(proof.smallest_tolerance)} | "
        f"{'all' if proof.proven else format(100.0 * proof.share, '.1f') + ' % (estimate)'} |"
        for proof in certificate.shape
    )
    return f"""| proven, within eps | smallest eps on the whole Box | part of the Box at eps = {tolerance:g} |
|---|---|---|
{rows}

eps is a share of the largest value, of 1 for delta, of the largest gamma. Proven by interval arithmetic with branch and
bound.
Arithmetic: {certificate.arithmetic}.
{moved(certificate.pruning)}
"""


def moved(pruning: DifferenceProof | None) -> str:
    """How far pruning moved the network at most; empty where nothing was pruned."""
    if pruning is None:
        return ""
    bounds = [("the value", pruning.value, pruning.seen.value)]
    if pruning.largest_delta is not None:
        bounds.append(("every delta", pruning.largest_delta, max(pruning.seen.delta or ())))
    held = " and ".join(
        f"{name} within {bound:g} (largest difference seen {seen:.1e})"
        for name, bound, seen in bounds
        if bound is not None
    )
    return f"Against the network that was pruned, everywhere in the Box: {held or 'nothing is proven'}.\n"


def scaled_proof(certificate: Certificate | None) -> str:
    """What a proof about the network says of the price that is scaled from it."""
    if certificate is None or not certificate.shape:
        return ""
    return (
        "They are proven of the simulated problem and its inputs, and hold of the price by its scaling where |d| is\n"
        f"at most {BLEND[0]:g}; beyond {BLEND[1]:g} the price is the asymptote.\n\n"
    )


def _number(bound: float | None) -> str:
    return "not proven" if bound is None else f"{bound:g}"
