"""The model card of a surrogate: what the file prices, where, how well, and against what, in Markdown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from surrogate.artifact.dataset_card import dataset_card
from surrogate.artifact.files import show_bounds, show_network, show_outputs, show_r2
from surrogate.reductions.reduction import BLEND

# A standard error from fewer replicates is off by half of itself or more: 1 / sqrt(2 (R - 1)).
FEW_REPLICATES = 4
LABELS = ("value", "delta", "curvature")


def card(manifest: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The model card."""
    if manifest["problem"] is None:
        return dataset_card(manifest, report)
    accuracy, network = manifest["accuracy"], manifest["network"]
    problem, provenance = manifest["problem"], manifest["provenance"]
    varies = "maturity" in (feature["name"] for feature in manifest["features"])
    years = "a varying maturity" if varies else f"maturity {problem['maturity']:g} years"
    text = f"""# {manifest["name"]}

A {problem["payoff"]["kind"]} under the {problem["process"]["kind"]} process, {years}:
{show_network(network)}, {network["parameters"]} parameters,
{network["nodes"]} ONNX nodes.
{scaling(manifest)}
`model.onnx` takes `features` float64 [n, d] in raw units and returns {show_outputs(manifest["outputs"])}.

{scores(manifest)}

{unjudged(report["reference"]) if accuracy["gamma"]["r2"] is None else gammas(accuracy, problem["payoff"])}
{judged(report["reference"], report["evaluation"])}
{label_errors(manifest, report["noise_floor"])}
Buckets, the stated bias of the labels and shape checks are in `report.json`.

"""
    text += bounds(report.get("bounds", [])) + proven(manifest["certificate"]) + scaled_proof(manifest)
    return f"""{text}{show_bounds(manifest["features"])}

Outside these bounds the surrogate extrapolates and nothing is claimed. Trained on {provenance["simulated_paths"]}
simulated paths, seed {provenance["seed"]}; `manifest.json` holds the whole specification, `SHA256SUMS` the hashes.
"""


def scaling(manifest: Mapping[str, Any]) -> str:
    """Whether exact scaling leaves less to learn, and why not."""
    if "reduction" in manifest:
        return f"Exact scaling, {manifest['reduction']['formula']}, leaves h to learn.\n"
    return f"No exact scaling: {manifest['no_reduction']}.\n" if "no_reduction" in manifest else ""


def scores(manifest: Mapping[str, Any]) -> str:
    """How far every output is from the reference."""
    rows = (
        f"| {name} | unjudged | - | - |"
        if found["r2"] is None
        else f"| {name} | {show_r2(found['r2'])} | {found['rmse']:.2e} | {found['max_error']:.2e} |"
        for name, found in ((name, manifest["accuracy"][name]) for name in manifest["outputs"])
    )
    return "\n".join(("| output | R2 | RMSE | largest error |\n|---|---|---|---|", *rows))


def unjudged(reference: Mapping[str, Any]) -> str:
    """What is said in place of `gammas` where no reference knows gamma."""
    return (
        "Delta is scored on the spots. No reference knows, and nothing vouches for, what `gamma` returns.\n"
        f"Unjudged are {reference['unjudged']}."
    )


def gammas(accuracy: Mapping[str, Any], payoff: Mapping[str, Any]) -> str:
    """Of which features the rows of delta and gamma are, and how the other second derivatives do."""
    parallel = accuracy["gamma"]["parallel_r2"]
    said = f"has an R2 of {show_r2(parallel)}{_cancels(payoff)}" if parallel is not None else "vanishes"
    text = f"Delta and gamma are scored on the spots, gamma over the whole Hessian; the parallel gamma 1'H1 {said}."
    if "second_order" not in accuracy:
        return text
    pairs = [pair for pair in accuracy["second_order"] if pair["r2"] is not None]
    if not pairs:
        return f"{text}\nThe reference knows no other second derivatives that vary: `gamma` has them unjudged."
    worst = pairs[0]
    perfect = "" if worst["perfect_r2"] is None else f"; the truth would score {show_r2(worst['perfect_r2'])}"
    return (
        f"{text}\nOf the other second derivatives ({len(pairs)}) that {_by(worst['pair'])} has the least R2, "
        f"{show_r2(worst['r2'])}{perfect}:\n`second_order` in `report.json` has all."
    )


def _by(pair: str) -> str:
    one, other = pair.split(", ")
    return f"twice by {one}" if one == other else f"by {one} and {other}"


def _cancels(payoff: Mapping[str, Any]) -> str:
    weights = payoff.get("option", payoff).get("weights", ())
    if not weights or min(weights) >= 0.0 or max(weights) <= 0.0:
        return ""
    return ",\nwhich says little of weights of both signs: entries of H cancel in it, their errors do not"


def judged(reference: Mapping[str, Any], evaluation: Mapping[str, Any]) -> str:
    """Against what the scores are, and how surely that is right."""
    kind, errors = reference["kind"], [name for name in ("value", "delta", "gamma") if f"{name}_error" in reference]
    how = (
        f"another simulation, which is not independent of the labels: {kind}"
        if kind.startswith("resimulated")
        else f"an independent reference: {kind}"
    )
    asked = evaluation["asked"]
    points = f"{evaluation['samples']} points" + (f" ({asked} asked for)" if asked > evaluation["samples"] else "")
    text = f"Measured on {points} of the Box against {how}, relative error {reference['relative_error']:.0e}."
    if not errors:
        return text
    sizes = ", ".join(f"{reference[f'{name}_error']:.1e} in {name}" for name in errors)
    perfect = ", ".join(f"{show_r2(reference['perfect_r2'][name])} in {name}" for name in errors)
    return f"{text}\nIts own root mean square errors are {sizes};\nagainst it the truth would score R2 of {perfect}."


def label_errors(manifest: Mapping[str, Any], floor: Mapping[str, float] | None) -> str:
    """How noisy the labels were; of the simulated problem, which exact scaling makes another one."""
    if not floor:
        return "How noisy the labels were was not measured, which takes two replicates."
    whose = " of the simulated problem h" if "reduction" in manifest else ""
    if not any(floor.values()):
        return f"All replicates gave the same labels{whose}: what is wrong with them is their bias alone."
    replicates = manifest["provenance"]["build"]["labels"]["replicates"]
    sizes = ", ".join(f"{floor[name]:.1e} in {name}" for name in LABELS if name in floor)
    text = (
        f"Standard errors of the labels{whose} (root mean square, delta by all features):\n"
        f"{sizes}; from {replicates} replicates"
    )
    if replicates >= FEW_REPLICATES:
        return f"{text}."
    doubt = 100.0 / math.sqrt(2.0 * (replicates - 1))
    return f"{text}, which is few: these errors are themselves uncertain by {doubt:.0f} %."


def bounds(points: list[Mapping[str, Any]]) -> str:
    """Between what values early exercise lies at a few points; empty where there is none."""
    if not points:
        return ""
    rows = "\n".join(
        f"| {', '.join(f'{x:g}' for x in point['features'])} | {_plus_minus(point, 'low')} | "
        f"{_plus_minus(point, 'high')} | {sum(point['exercise_probability']):.3f} |"
        for point in points
    )
    return f"""| features | low bound | high bound | chance of exercise |
|---|---|---|---|
{rows}

Low: what the exercise rule of the labels earns on other paths; high: its dual; ± one standard error. Where they cross
within a few of these, they are equal as far as simulation can tell.

"""


def _plus_minus(point: Mapping[str, Any], name: str) -> str:
    return f"{point[name]:.6g} ± {point[f'{name}_error']:.2g}" if name in point else "-"


def proven(certificate: Mapping[str, Any] | None) -> str:
    """The card's table of what is proven, empty where nothing was tried or there is no shape to prove."""
    if certificate is None or not certificate["shape"]:
        return ""
    rows = "\n".join(
        f"| {entry['statement']} | {_number(entry['smallest_tolerance'])} | "
        f"{'all' if entry['proven'] else format(100.0 * entry['share'], '.1f') + ' % (estimate)'} |"
        for entry in certificate["shape"]
    )
    tolerance, pruning = certificate["shape"][0]["tolerance"], certificate["pruning"]
    table = f"""| proven, within eps | smallest eps on the whole Box | part of the Box at eps = {tolerance:g} |
|---|---|---|
{rows}

eps is a share of the largest value, of 1 for delta, of the largest gamma. Proven by interval arithmetic with branch and
bound.
Arithmetic: {certificate["arithmetic"]}.
"""
    if pruning is not None:
        seen = pruning["seen"]
        bounds = [("the value", pruning["value"], seen["value"])]
        if pruning["largest_delta"] is not None:
            bounds.append(("every delta", pruning["largest_delta"], max(seen["delta"])))
        held = " and ".join(
            f"{name} within {bound:g} (largest difference seen {met:.1e})"
            for name, bound, met in bounds
            if bound is not None
        )
        table += f"Against the network that was pruned, everywhere in the Box: {held or 'nothing is proven'}.\n"
    return table + "\n"


def scaled_proof(manifest: Mapping[str, Any]) -> str:
    """What a proof about the network says of the price that is scaled from it."""
    certificate = manifest["certificate"]
    if "reduction" not in manifest or certificate is None or not certificate["shape"]:
        return ""
    return (
        "They are proven of the simulated problem and its inputs, and hold of the price by its scaling where |d| is\n"
        f"at most {BLEND[0]:g}; beyond {BLEND[1]:g} the price is the asymptote.\n\n"
    )


def _number(bound: float | None) -> str:
    return "not proven" if bound is None else f"{bound:g}"
