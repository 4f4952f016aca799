"""One ONNX graph with value, delta and gamma of a surrogate, as plain operators any runtime has."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.metadata import version
from typing import assert_never

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper

from pricing.domain import Box
from surrogate.export import network_graph, polynomial_graph
from surrogate.export.formula_graph import add_formula
from surrogate.export.graph import Graph, Names
from surrogate.functions.network import Network
from surrogate.functions.polynomial import PolynomialSurrogate
from surrogate.functions.surrogate import Surrogate
from surrogate.greeks import Greek, greeks
from surrogate.reductions.reduction import Reduction

# Operator set 17 and IR 8 are read by every onnxruntime since 1.12 (2022), in any language.
OPSET = 17
IR_VERSION = 8
FORMAT = "1"

OUTPUTS: Names = ("value", "delta", "gamma")
# What the surrogate's own tensors are called where the outputs are those of a formula around it.
INNER: Names = ("network_value", "network_gradient", "network_hessian")


def to_onnx(
    network: Surrogate,
    *,
    box: Box,
    metadata: Mapping[str, str],
    dtype: torch.dtype = torch.float64,
    reduction: Reduction | None = None,
) -> bytes:
    """The graph: ``features`` [n, d] -> ``value`` [n], ``delta`` [n, d], ``gamma`` [n, d, d], all in raw units.

    Where other features than spots vary, the derivatives by them are outputs of their own besides
    (`surrogate.greeks`): [n], or [n, k] for a feature of k coordinates.

    Args:
        network: or a polynomial; single output, raw units; of the inputs of the reduction where there is one.
        box: names, units and bounds of the features, written to the file's metadata.
        metadata: further properties, e.g. the hash of the specification.
        dtype: torch.float64 or torch.float32.
        reduction: from features to the network's inputs and from its output to the value.

    Raises:
        SurrogateError: no hidden layer has an activation.
    """
    graph = Graph(np.dtype(np.float64 if dtype == torch.float64 else np.float32))
    if reduction is None:
        _add(graph, network, OUTPUTS, "features")
    else:
        add_formula(graph, reduction.value, box, partial(_add, graph, network, INNER))
    for greek in greeks(box):
        _add_greek(graph, greek)
    model = _model(graph, box, TensorProto.DOUBLE if dtype == torch.float64 else TensorProto.FLOAT)
    scaled = {"reduction": reduction.kind} if reduction is not None else {}
    helper.set_model_props(model, {**_describe(box, network), **scaled, **metadata})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _model(graph: Graph, box: Box, kind: int) -> onnx.ModelProto:
    """The file without its metadata; ``kind`` is the element type of features and outputs."""
    d = box.dimension
    shapes: dict[str, list[str | int | None]] = {"value": ["n"], "delta": ["n", d], "gamma": ["n", d, d]}
    shapes |= {greek.name: ["n"] if greek.size == 1 else ["n", greek.size] for greek in greeks(box)}
    return helper.make_model(
        helper.make_graph(
            graph.nodes,
            "sobolite",
            [helper.make_tensor_value_info("features", kind, ["n", d])],
            [helper.make_tensor_value_info(name, kind, shape) for name, shape in shapes.items()],
            list(graph.constants.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="sobolite",
    )


def _add_greek(graph: Graph, greek: Greek) -> None:
    """A derivative by one feature, cut out of the delta."""
    ends = [graph.integers([end]) for end in (greek.columns.start, greek.columns.stop)]
    columns = graph.node("Slice", "delta", *ends, graph.integers([1]))
    columns = graph.node("Neg", columns) if greek.sign < 0.0 else columns
    graph.node("Reshape", columns, graph.integers([-1] if greek.size == 1 else [-1, greek.size]), name=greek.name)


def _add(graph: Graph, network: Surrogate, names: Names, source: str) -> Names:
    """The surrogate of the tensor ``source`` under ``names``."""
    match network:
        case Network():
            network_graph.add_network(graph, network, source, names)
        case PolynomialSurrogate():
            polynomial_graph.add_polynomial(graph, network, source, names)
        case _:
            assert_never(network)
    return names


def _describe(box: Box, network: Surrogate) -> dict[str, str]:
    """Metadata that every file carries; ``version`` is the library's, lists have one entry per coordinate."""
    units = [feature.unit for feature in box.features for _ in range(feature.size)]
    return {
        "format": FORMAT,
        "version": version("sobolite"),
        **_reading(network),
        "feature_names": ",".join(box.labels),
        "feature_units": ",".join(units),
        "lower": ",".join(map(repr, box.lower.tolist())),
        "upper": ",".join(map(repr, box.upper.tolist())),
    }


def _reading(network: Surrogate) -> dict[str, str]:
    """What it takes to read the surrogate back, besides its constants."""
    match network:
        case Network():
            return network_graph.metadata(network)
        case PolynomialSurrogate():
            return polynomial_graph.metadata(network)
        case _:
            assert_never(network)
