"""From a network and its report to an Artifact: graph, parity, manifest, card."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, assert_never

import onnx
import torch
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from pricing.domain import Box
from pricing.specs.base import dump
from pricing.specs.problem import PricingProblem
from surrogate.artifact.dataset_card import dataset_card
from surrogate.artifact.environment import Environment
from surrogate.artifact.files import MODEL, MODEL_FLOAT32, Artifact, to_json
from surrogate.artifact.manifest import (
    Certificate,
    Manifest,
    NetworkFacts,
    Provenance,
    ReductionFacts,
    published,
)
from surrogate.artifact.model_card import model_card
from surrogate.artifact.sentences import few_points
from surrogate.errors import ParityFailure
from surrogate.export.onnx_writer import to_onnx
from surrogate.export.parity import check_parity
from surrogate.functions.network import Network
from surrogate.functions.polynomial import PolynomialSurrogate
from surrogate.functions.surrogate import Surrogate
from surrogate.greeks import greeks
from surrogate.reductions.choice import no_control, reason
from surrogate.reductions.control import CONTROL
from surrogate.reductions.reduction import Reduction
from surrogate.report.curves import TrainingCurves
from surrogate.report.gate import judge
from surrogate.report.report import AnyReport
from surrogate.requirement import Requirement


def make_artifact(
    network: Surrogate,
    *,
    name: str,
    problem: PricingProblem | Box,
    report: AnyReport,
    provenance: Provenance,
    certificate: Certificate | None = None,
    float32: bool = False,
    reduction: Reduction | None = None,
    training: TrainingCurves | None = None,
    requirement: Requirement | None = None,
    environment: Environment | None = None,
) -> Artifact:
    """Export the network and describe it; nothing here depends on the clock, so the same inputs give the same bytes.

    Args:
        network: single output, raw units; of the inputs of the reduction where there is one.
        problem: or only the Box, where nobody here knows what was priced and the labels were imported.
        certificate: what is proven of the network (`pruning.certificates`).
        float32: also export in single precision and measure its loss; what loses too much is left out, and the manifest
            says so.
        training: the losses on the way, where something was trained.
        requirement: what the report is held to.
        environment: where it was made.

    Raises:
        ParityFailure: the graph in double precision does not reproduce the network.
    """
    box = problem if isinstance(problem, Box) else problem.box
    spec_hash = spec_sha256(provenance.build)
    written = graphs(network, name=name, box=box, spec=spec_hash, float32=float32, reduction=reduction)
    parity, unfit = compared(written, network, box, reduction)
    manifest = Manifest(
        name=name,
        problem=None if isinstance(problem, Box) else dump(replace(problem, features=box.features)),
        features=published(box.features),
        outputs=describe_outputs(box),
        network=describe_network(network, nodes=len(onnx.load_from_string(written[MODEL]).graph.node)),
        reduction=None if reduction is None else describe_reduction(reduction),
        no_reduction=why_not_reduced(problem) if reduction is None else None,
        no_control=why_no_control(problem, reduction) or UNSET,
        accuracy=report.accuracy,
        accuracy_warning=few_points(report.evaluation) or UNSET,
        certificate=certificate,
        gate=UNSET if requirement is None else judge(report, requirement),
        parity=parity,
        float32_unfit=unfit,
        provenance=provenance,
        hashes={file: hashlib.sha256(graph).hexdigest() for file, graph in written.items()} | {"spec": spec_hash},
    )
    return Artifact(
        model=written[MODEL],
        manifest=manifest,
        report=report,
        card=card(manifest, report, problem),
        model_float32=written.get(MODEL_FLOAT32),
        training=training,
        environment=environment,
    )


def graphs(
    network: Surrogate, *, name: str, box: Box, spec: str, float32: bool, reduction: Reduction | None
) -> dict[str, bytes]:
    """The ONNX files by name; the same network, name and hash of the specification give the same bytes."""
    kinds = {MODEL: torch.float64, **({MODEL_FLOAT32: torch.float32} if float32 else {})}
    metadata = {"name": name, "spec_sha256": spec}
    return {
        file: to_onnx(network, box=box, metadata=metadata, dtype=dtype, reduction=reduction)
        for file, dtype in kinds.items()
    }


def compared(
    written: dict[str, bytes], network: Surrogate, box: Box, reduction: Reduction | None
) -> tuple[dict[str, dict[str, float]], str | UnsetType]:
    """How far each graph is from the network; one in single precision that is too far is taken out, with the reason.

    Raises:
        ParityFailure: the graph in double precision does not reproduce the network.
    """
    parity, unfit = dict[str, dict[str, float]](), UNSET
    for file, graph in tuple(written.items()):
        try:
            parity[file] = check_parity(graph, network, box, reduction=reduction)
        except ParityFailure as failure:
            if file == MODEL:
                raise
            del written[file]
            return parity, f"float32 was asked for and is unfit, so there is none: {failure}"
    return parity, unfit


def spec_sha256(build: Mapping[str, Any]) -> str:
    """The hash of a specification in plain data."""
    return hashlib.sha256(to_json(build)).hexdigest()


def card(manifest: Manifest, report: AnyReport, problem: PricingProblem | Box) -> str:
    """The model card."""
    if isinstance(problem, Box):
        return dataset_card(manifest, report)
    return model_card(manifest, report, problem)


def describe_network(network: Surrogate, *, nodes: int) -> NetworkFacts:
    """What a manifest says of what is learnt."""
    match network:
        case Network():
            return NetworkFacts(
                widths=network.widths,
                activation=network.activation,
                linear=tuple(sorted(network.linear)) or None,
                parameters=network.parameters,
                nodes=nodes,
            )
        case PolynomialSurrogate():
            return NetworkFacts(
                kind="polynomial",
                degree=network.degree,
                axes=network.matrix.shape[1],
                terms=len(network.coefficients),
                parameters=network.parameters,
                nodes=nodes,
            )
        case _:
            assert_never(network)


def describe_reduction(reduction: Reduction) -> ReductionFacts:
    """What a manifest says of an exact scaling."""
    return ReductionFacts(
        formula=reduction.kind,
        simulated=dump(reduction.canonical),
        inputs=published(reduction.box.features),
        control=UNSET if reduction.control is None else CONTROL,
    )


def why_not_reduced(problem: PricingProblem | Box) -> str | None:
    """Why there is no exact scaling, where more than the spots vary."""
    return None if isinstance(problem, Box) or len(problem.features) == 1 else reason(problem)


def why_no_control(problem: PricingProblem | Box, reduction: Reduction | None) -> str | None:
    """Why no closed form is taken off; None where one is, or none was to be."""
    if isinstance(problem, Box) or (reduction is not None and reduction.controlled):
        return None
    return no_control(problem)


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
