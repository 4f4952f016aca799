"""From a network and its report to an Artifact: graph, parity, manifest, model card."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import onnx
import torch

from pricing.domain import Box
from pricing.specs.base import dump
from pricing.specs.problem import PricingProblem
from surrogate.artifact import MODEL, MODEL_FLOAT32, Artifact, show_network, show_r2, to_json
from surrogate.dataset_card import dataset_card
from surrogate.export import OUTPUTS, to_onnx
from surrogate.greeks import greeks
from surrogate.parity import check_parity
from surrogate.reductions.reduction import BLEND, Reduction
from surrogate.surrogates import Surrogate
from surrogate.surrogates import describe as describe_surrogate


def make_artifact(
    network: Surrogate,
    *,
    name: str,
    problem: PricingProblem | Box,
    report: Mapping[str, Any],
    provenance: Mapping[str, Any],
    certificate: Mapping[str, Any] | None = None,
    float32: bool = False,
    reduction: Reduction | None = None,
) -> Artifact:
    """Export the network and describe it; nothing here depends on the clock, so the same inputs give the same bytes.

    Args:
        network: single output, raw units; of the inputs of the reduction where there is one.
        problem: or only the Box, where nobody here knows what was priced.
        report: what `surrogate.evaluation.evaluate` returned.
        provenance: build specification, seed, paths, data hash, libraries, parent version.
        certificate: what is proven of the network (`pruning.shape`, `pruning.certificate`).
        float32: also export in single precision and measure its loss.

    Raises:
        ParityFailure: a graph does not reproduce the network.
    """
    box = problem if isinstance(problem, Box) else problem.box
    spec_hash = hashlib.sha256(to_json(provenance["build"])).hexdigest()
    metadata = {"name": name, "spec_sha256": spec_hash}
    model = to_onnx(network, box=box, metadata=metadata, reduction=reduction)
    parity = {MODEL: check_parity(model, network, box, reduction=reduction)}
    single = None
    if float32:
        single = to_onnx(network, box=box, metadata=metadata, dtype=torch.float32, reduction=reduction)
        parity[MODEL_FLOAT32] = check_parity(single, network, box, reduction=reduction)
    hashes = {MODEL: hashlib.sha256(model).hexdigest(), "spec": spec_hash}
    if single is not None:
        hashes[MODEL_FLOAT32] = hashlib.sha256(single).hexdigest()
    manifest = {
        **describe(network, name=name, problem=problem),
        **({"reduction": describe_reduction(reduction)} if reduction is not None else {}),
        "accuracy": report["accuracy"],
        "certificate": None if certificate is None else dict(certificate),
        "parity": parity,
        "provenance": dict(provenance),
        "hashes": hashes,
    }
    manifest["network"]["nodes"] = len(onnx.load_from_string(model).graph.node)
    return Artifact(model=model, manifest=manifest, report=report, card=card(manifest, report), model_float32=single)


def describe_reduction(reduction: Reduction) -> dict[str, Any]:
    """What the manifest says of an exact scaling: its formula, and the problem that was simulated in its place."""
    return {
        "formula": reduction.kind,
        "simulated": dump(reduction.canonical),
        "inputs": [dump(part) for part in reduction.box.features],
    }


def describe_outputs(box: Box) -> dict[str, str]:
    """Units of the outputs; those with the name of a Greek are columns of ``delta``, theta with the sign changed."""
    unit = box.features[0].unit
    outputs = {"value": "currency", "delta": f"currency per {unit}", "gamma": f"currency per {unit} squared"}
    if len(box.features) > 1:
        outputs = {
            "value": "currency",
            "delta": "currency per unit of each feature, in their order",
            "gamma": "currency per unit of each of two features",
        }
    return outputs | {greek.name: greek.unit for greek in greeks(box)}


def describe(network: Surrogate, *, name: str, problem: PricingProblem | Box) -> dict[str, Any]:
    """What the manifest says of a network and its problem before anything is measured."""
    box = problem if isinstance(problem, Box) else problem.box
    return {
        "name": name,
        "problem": None if isinstance(problem, Box) else dump(problem),
        "features": [dump(feature) for feature in problem.features],
        "outputs": describe_outputs(box),
        "network": describe_surrogate(network),
    }


def card(manifest: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The model card: what the file prices, where, how well and from what, in Markdown."""
    if manifest["problem"] is None:
        return dataset_card(manifest, report)
    floor, reference = report["noise_floor"] or {}, report["reference"]
    accuracy, network = manifest["accuracy"], manifest["network"]
    problem, provenance = manifest["problem"], manifest["provenance"]
    rows = "\n".join(
        f"| {greek} | {show_r2(scores['r2'])} | {scores['rmse']:.2e} | {scores['max_error']:.2e} | {label} |"
        for greek, scores, label in (
            (greek, accuracy[greek], f"{floor[greek]:.2e}" if greek in floor else "-") for greek in manifest["outputs"]
        )
    )
    parallel = accuracy["gamma"]["parallel_r2"]
    parallel_gamma = "vanishes for these weights" if parallel is None else f"has an R2 of {show_r2(parallel)}"
    bounds = "\n".join(
        f"| {feature['name']} ({len(feature['lower'])}) | {min(feature['lower']):g} | {max(feature['upper']):g} | "
        f"{feature['unit']} |"
        for feature in manifest["features"]
    )
    scaling, greek_outputs = manifest.get("reduction"), [name for name in manifest["outputs"] if name not in OUTPUTS]
    scaled = f"Exact scaling, {scaling['formula']}, leaves h to learn.\n" if scaling else ""
    named = f", and columns of `delta` as\n{', '.join(f'`{name}`' for name in greek_outputs)}" if greek_outputs else ""
    varies = "maturity" in (feature["name"] for feature in manifest["features"])
    years = "a varying maturity" if varies else f"maturity {problem['maturity']:g} years"
    return f"""# {manifest["name"]}

A {problem["payoff"]["kind"]} under the {problem["process"]["kind"]} process, {years}:
{show_network(network)}, {network["parameters"]} parameters,
{network["nodes"]} ONNX nodes.
{scaled}
`model.onnx` takes `features` float64 [n, d] in raw units and returns `value` [n], `delta` [n, d] and
`gamma` [n, d, d]{named}.

| output | R2 | RMSE | largest error | label error |
|---|---|---|---|---|
{rows}

Gamma's R2 is over all entries of the Hessian; the parallel gamma 1'H1 {parallel_gamma}.
Measured on {accuracy["samples"]} points of the Box against an independent reference ({reference["kind"]},
relative error {reference["relative_error"]:.0e}); label error is the root mean square standard error of the training
labels. Buckets, the stated bias of the labels and shape checks are in `report.json`.

{proven(manifest["certificate"])}{scaled_proof(manifest)}| feature (coordinates) | lowest | highest | unit |
|---|---|---|---|
{bounds}

Outside these bounds the surrogate extrapolates and nothing is claimed. Trained on {provenance["simulated_paths"]}
simulated paths, seed {provenance["seed"]}; `manifest.json` holds the whole specification, `SHA256SUMS` the hashes.
"""


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
