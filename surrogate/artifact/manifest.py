"""From a network and its report to an Artifact: graph, parity, manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import onnx
import torch
from msgspec.structs import replace

from pricing.domain import Box
from pricing.specs.base import dump
from pricing.specs.problem import PricingProblem
from surrogate.artifact.files import MODEL, MODEL_FLOAT32, Artifact, to_json
from surrogate.artifact.model_card import card
from surrogate.export.onnx_writer import to_onnx
from surrogate.export.parity import check_parity
from surrogate.functions.surrogate import Surrogate
from surrogate.functions.surrogate import describe as describe_surrogate
from surrogate.greeks import greeks
from surrogate.reductions.choice import reason
from surrogate.reductions.reduction import Reduction


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
        report: what `surrogate.evaluation.evaluate.evaluate` returned.
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
        **describe_reduction(problem, reduction),
        "accuracy": report["accuracy"],
        "certificate": None if certificate is None else dict(certificate),
        "parity": parity,
        "provenance": dict(provenance),
        "hashes": hashes,
    }
    manifest["network"]["nodes"] = len(onnx.load_from_string(model).graph.node)
    return Artifact(model=model, manifest=manifest, report=report, card=card(manifest, report), model_float32=single)


def describe_reduction(problem: PricingProblem | Box, reduction: Reduction | None) -> dict[str, Any]:
    """What the manifest says of an exact scaling: its formula, and the problem that was simulated in its place.

    Or why there is none, where more than the spots vary.
    """
    if reduction is not None:
        scaled = {
            "formula": reduction.kind,
            "simulated": dump(reduction.canonical),
            "inputs": [dump(part) for part in reduction.box.features],
        }
        return {"reduction": scaled}
    if isinstance(problem, Box) or len(problem.features) == 1:
        return {}
    return {"no_reduction": reason(problem)}


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
        "problem": None if isinstance(problem, Box) else dump(replace(problem, features=box.features)),
        "features": [dump(feature) for feature in box.features],
        "outputs": describe_outputs(box),
        "network": describe_surrogate(network),
    }
