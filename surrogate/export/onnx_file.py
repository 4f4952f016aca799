"""One ONNX graph with value, delta and gamma of a network, as plain operators any runtime has.

The graph is the explicit sweeps of `surrogate.functions.network` node by node. Products of two constants are taken at
export: the second layer's tangent is phi'(a_1) @ M with M[k, (j, i)] = W2[i, k] W1[k, j], and the first layer's share
of the Hessian is c_1 @ M with M[k, (i, j)] = W1[k, i] W1[k, j]. Where the first layer is narrower than the features,
the Hessian is built with respect to a_1 and mapped out once: H = W1^T G W1, in one product with the constant W1 x W1
where that is small. Hidden layers without an activation are products alone: no slope multiplies there, nothing bends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial, reduce
from importlib.metadata import version

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from pricing.domain import Box
from surrogate.errors import CorruptArtifact, SurrogateError
from surrogate.export.formula_graph import add_formula
from surrogate.export.graph import Graph, mapped_out
from surrogate.export.polynomial_graph import DEGREE, add_polynomial, read_polynomial
from surrogate.functions.network import Network
from surrogate.functions.polynomial import PolynomialSurrogate
from surrogate.functions.surrogate import Surrogate
from surrogate.greeks import Greek, greeks
from surrogate.reductions.reduction import Reduction

# Operator set 17 and IR 8 are read by every onnxruntime since 1.12 (2022), in any language.
OPSET = 17
IR_VERSION = 8
FORMAT = "1"

# Names of value, gradient and Hessian in the graph.
Names = tuple[str, str, str]
OUTPUTS: Names = ("value", "delta", "gamma")

NumpyArray = npt.NDArray[np.floating]


def _silu(graph: Graph, a: str) -> tuple[str, str, str]:
    """phi = a s, phi' = s + a k, phi'' = k (2 + a (1 - 2 s)) with k = s (1 - s)."""
    s = graph.logistic(a)
    k = graph.node("Mul", s, graph.node("Sub", graph.one(), s))
    slant = graph.node("Sub", graph.one(), graph.node("Add", s, s))
    two = graph.constant("two", 2.0)
    bend = graph.node("Mul", k, graph.node("Add", two, graph.node("Mul", a, slant)))
    return graph.node("Mul", a, s), graph.node("Add", s, graph.node("Mul", a, k)), bend


def _softplus(graph: Graph, a: str) -> tuple[str, str, str]:
    """phi = max(a, 0) + log(1 + e^-|a|), which unlike the Softplus operator does not overflow; phi' = s, phi'' = k."""
    tail = graph.node("Exp", graph.node("Neg", graph.node("Abs", a)))
    phi = graph.node("Add", graph.node("Relu", a), graph.node("Log", graph.node("Add", graph.one(), tail)))
    s = graph.logistic(a)
    return phi, s, graph.node("Mul", s, graph.node("Sub", graph.one(), s))


def _tanh(graph: Graph, a: str) -> tuple[str, str, str]:
    """phi = t, phi' = 1 - t^2, phi'' = -2 t (1 - t^2)."""
    t = graph.node("Tanh", a)
    slope = graph.node("Sub", graph.one(), graph.node("Mul", t, t))
    return t, slope, graph.node("Mul", graph.constant("minus_two", -2.0), graph.node("Mul", t, slope))


_ACTIVATIONS = {"silu": _silu, "softplus": _softplus, "tanh": _tanh}


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
    if isinstance(network, Network) and len(network.linear) == len(network.weights) - 1:
        raise SurrogateError("an affine network has no curvature to export; give it a hidden layer with an activation")
    number = np.dtype(np.float64 if dtype == torch.float64 else np.float32)
    graph, named = Graph(number), greeks(box)
    if reduction is None:
        _add(graph, network, "features", OUTPUTS)
    else:
        add_formula(graph, reduction.value, box, partial(_inner_sweeps, graph, network))
    for greek in named:
        _named(graph, greek)
    kind = TensorProto.DOUBLE if dtype == torch.float64 else TensorProto.FLOAT
    d = box.dimension
    shapes: dict[str, list[str | int | None]] = {"value": ["n"], "delta": ["n", d], "gamma": ["n", d, d]}
    shapes |= {greek.name: ["n"] if greek.size == 1 else ["n", greek.size] for greek in named}
    model = helper.make_model(
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
    scaled = {"reduction": reduction.kind} if reduction is not None else {}
    helper.set_model_props(model, {**_describe(box, network), **scaled, **metadata})
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _named(graph: Graph, greek: Greek) -> None:
    """A derivative by one feature, cut out of the delta."""
    ends = [graph.integers([end]) for end in (greek.columns.start, greek.columns.stop)]
    part = graph.node("Slice", "delta", *ends, graph.integers([1]))
    part = graph.node("Neg", part) if greek.sign < 0.0 else part
    graph.node("Reshape", part, graph.integers([-1] if greek.size == 1 else [-1, greek.size]), name=greek.name)


def _inner_sweeps(graph: Graph, network: Surrogate, inputs: str) -> Names:
    names = ("network_value", "network_gradient", "network_hessian")
    _add(graph, network, inputs, names)
    return names


def _add(graph: Graph, network: Surrogate, source: str, names: Names) -> None:
    if isinstance(network, PolynomialSurrogate):
        add_polynomial(graph, network, source, names)
    else:
        _sweeps(graph, network, source, names)


def _describe(box: Box, network: Surrogate) -> dict[str, str]:
    """Metadata that every file carries; ``version`` is the library's, lists have one entry per coordinate."""
    units = [feature.unit for feature in box.features for _ in range(feature.size)]
    return {
        "format": FORMAT,
        "version": version("sobolite"),
        **_kind(network),
        "feature_names": ",".join(box.labels),
        "feature_units": ",".join(units),
        "lower": ",".join(map(repr, box.lower.tolist())),
        "upper": ",".join(map(repr, box.upper.tolist())),
    }


def _kind(network: Surrogate) -> dict[str, str]:
    """What it takes to read the surrogate back, besides its constants."""
    if isinstance(network, PolynomialSurrogate):
        return {DEGREE: str(network.degree)}
    # Files of networks without such layers, which is nearly all of them, say nothing about them.
    linear = {"linear": ",".join(map(str, sorted(network.linear)))} if network.linear else {}
    return {"activation": network.activation, **linear}


def _sweeps(graph: Graph, network: Network, source: str, names: Names) -> None:
    """Forward, adjoint and Hessian sweeps; weights[l] is (out, in), hidden[l] None after a layer without activation."""
    weights, biases = [w.numpy() for w in network.weights], [b.numpy() for b in network.biases]
    matrices = [graph.constant(f"weight_{layer}", w) for layer, w in enumerate(weights, 1)]
    offsets = [graph.constant(f"bias_{layer}", b) for layer, b in enumerate(biases, 1)]
    h, hidden = source, list[tuple[str, str] | None]()
    for layer, (weight, bias) in enumerate(zip(matrices[:-1], offsets[:-1], strict=True), 1):
        h = graph.node("Gemm", h, weight, bias, transB=1)
        if layer in network.linear:
            hidden.append(None)
            continue
        h, slope, bend = _ACTIVATIONS[network.activation](graph, h)
        hidden.append((slope, bend))
    y = graph.node("Gemm", h, matrices[-1], offsets[-1], transB=1)
    graph.node("Reshape", y, graph.integers([-1]), name=names[0])
    curvature = _adjoint(graph, weights, matrices, hidden, name=names[1])
    _hessian(graph, weights, hidden, curvature, name=names[2])


def _adjoint(
    graph: Graph, weights: list[NumpyArray], names: list[str], hidden: list[tuple[str, str] | None], *, name: str
) -> list[str]:
    """q_{l-1} = (q_l o phi'(a_l)) W_l down to the inputs; returns q_l o phi''(a_l), "" for layers that do not bend."""
    bending = _bending(hidden)
    first, last = bending[0], bending[-1]
    top = _product(weights[last + 1 :])
    slope, bend = hidden[last] or ("", "")
    # q_{L-1} = phi'(a_L) @ (diag(w) W_L): the product of constants is taken here, because onnxruntime would fuse the
    # one weight of a one-neuron layer into the matrix product as a float32 factor.
    through = graph.constant("last_adjoint", top[0][:, None] * weights[last])
    adjoint = graph.node("MatMul", slope, through, name=name if last == 0 else None)
    if first < last:
        factor = names[-1] if last == len(hidden) - 1 else graph.constant("output_adjoint", top)
        bend = graph.node("Mul", bend, factor)
    curvature = [bend]
    for layer in range(last - 1, -1, -1):
        derivatives, bent = hidden[layer], adjoint
        curvature.insert(0, graph.node("Mul", adjoint, derivatives[1]) if derivatives else "")
        if derivatives:
            bent = graph.node("Mul", adjoint, derivatives[0])
        adjoint = graph.node("MatMul", bent, names[layer], name=name if layer == 0 else None)
    return curvature


def _bending(hidden: list[tuple[str, str] | None]) -> list[int]:
    """Indices of the hidden layers that have an activation."""
    return [layer for layer, derivatives in enumerate(hidden) if derivatives]


def _product(weights: Sequence[NumpyArray]) -> NumpyArray:
    """W_n ... W_2 W_1 of consecutive layers."""
    return reduce(lambda below, weight: weight @ below, weights)


def _hessian(
    graph: Graph,
    weights: list[NumpyArray],
    hidden: list[tuple[str, str] | None],
    curvature: list[str],
    *,
    name: str,
) -> None:
    """gamma = sum_l J_l^T diag(q_l o phi''(a_l)) J_l, in the narrower of feature space and first-layer space."""
    d = weights[0].shape[1]
    narrow = weights[0].shape[0] < d
    first, last = _bending(hidden)[0], len(curvature) - 1
    seed = _product([np.eye(weights[0].shape[0]) if narrow else weights[0], *weights[1 : first + 1]])
    size = seed.shape[1]
    squares = np.einsum("ki,kj->kij", seed, seed).reshape(len(seed), -1)
    if first == last:
        squares = _product(weights[last + 1 :])[0][:, None] * squares
    flat = graph.node("MatMul", curvature[first], graph.constant("seed_squares", squares))
    tangent = ""  # J^T of the layer
    for layer in range(first + 1, last + 1):
        tangent = _tangent(graph, weights, hidden[layer - 1], tangent, layer=layer, seed=seed)
        if curvature[layer]:
            weighted = graph.node("Mul", tangent, graph.node("Unsqueeze", curvature[layer], graph.integers([1])))
            term = graph.node("MatMul", weighted, graph.node("Transpose", tangent, perm=[0, 2, 1]))
            flat = graph.node("Add", flat, graph.node("Reshape", term, graph.integers([-1, size * size])))
    if narrow:
        flat = mapped_out(graph, weights[0], "weight_1", flat)
    graph.node("Reshape", flat, graph.integers([-1, d, d]), name=name)


def _tangent(
    graph: Graph,
    weights: list[NumpyArray],
    below: tuple[str, str] | None,
    tangent: str,
    *,
    layer: int,
    seed: NumpyArray,
) -> str:
    """J^T of a layer from that of the layer below and its slope; the first is one product with a constant."""
    if not tangent and below:
        products = np.einsum("ik,kj->kji", weights[layer], seed).reshape(len(seed), -1)
        start = graph.node("MatMul", below[0], graph.constant("seed_products", products))
        return graph.node("Reshape", start, graph.integers([-1, seed.shape[1], weights[layer].shape[0]]))
    bent = graph.node("Mul", tangent, graph.node("Unsqueeze", below[0], graph.integers([1]))) if below else tangent
    return graph.node("MatMul", bent, graph.constant(f"transposed_{layer + 1}", weights[layer].T))


def read_surrogate(model: bytes) -> Surrogate:
    """The network or polynomial that `to_onnx` wrote; exact in float64.

    Raises:
        CorruptArtifact: the bytes are not such a file.
    """
    try:
        proto = onnx.load_from_string(model)
    except Exception as error:  # protobuf raises its own DecodeError type, which moved between releases
        raise CorruptArtifact(f"these bytes are not an ONNX file: {error}") from error
    constants = {c.name: torch.from_numpy(numpy_helper.to_array(c).copy()) for c in proto.graph.initializer}
    properties = {p.key: p.value for p in proto.metadata_props}
    if DEGREE in properties:
        return read_polynomial(constants, int(properties[DEGREE]))
    layers = sum(name.startswith("weight_") for name in constants)
    if not layers or properties.get("activation") not in _ACTIVATIONS:
        raise CorruptArtifact("this ONNX file was not written by Sobolite: it has no weight_1 or no known activation")
    return Network(
        weights=tuple(constants[f"weight_{layer}"] for layer in range(1, layers + 1)),
        biases=tuple(constants[f"bias_{layer}"] for layer in range(1, layers + 1)),
        activation=properties["activation"],
        linear=frozenset(int(layer) for layer in properties.get("linear", "").split(",") if layer),
    )


def read_network(model: bytes) -> Network:
    """The network that `to_onnx` wrote; exact in float64.

    Raises:
        CorruptArtifact: the bytes are not such a file.
        SurrogateError: it holds a polynomial.
    """
    found = read_surrogate(model)
    if not isinstance(found, Network):
        raise SurrogateError("this file holds a polynomial; a network is needed")
    return found
