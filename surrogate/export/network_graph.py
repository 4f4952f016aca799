"""Networks as nodes of an ONNX graph, and back.

The nodes are the explicit sweeps of `surrogate.functions.network`. Products of two constants are taken at export: the
second layer's tangent is phi'(a_1) @ M with M[k, (j, i)] = W2[i, k] W1[k, j], and the first layer's share of the
Hessian is c_1 @ M with M[k, (i, j)] = W1[k, i] W1[k, j]. Where the first layer is narrower than the features, the
Hessian is built with respect to a_1 and mapped out once: H = W1^T G W1, in one product with the constant W1 x W1 where
that is small. Hidden layers without an activation are products alone: no slope multiplies there, nothing bends.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np
import numpy.typing as npt
from torch import Tensor

from surrogate.errors import CorruptArtifact, SurrogateError
from surrogate.export.graph import Graph, Names, mapped_out
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network

# Metadata by which a file says which network it holds.
ACTIVATION, LINEAR = "activation", "linear"

NumpyArray = npt.NDArray[np.floating]
# Names of the slope and of the bend at a hidden layer; None of one without an activation.
Derivatives = tuple[str, str] | None


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
    """phi = -u, phi' = 1 - u^2, phi'' = 2 u (1 - u^2) with u = tanh(-a).

    Old onnxruntimes fuse a Tanh into the Gemm before it and have no float64 kernel for that; a Neg they leave alone.
    """
    u = graph.node("Tanh", graph.node("Neg", a))
    slope = graph.node("Sub", graph.one(), graph.node("Mul", u, u))
    return graph.node("Neg", u), slope, graph.node("Mul", graph.constant("two", 2.0), graph.node("Mul", u, slope))


# By activation, the names of phi, phi' and phi'' of a tensor.
ACTIVATION_NODES: Mapping[ActivationName, Callable[[Graph, str], tuple[str, str, str]]] = {
    "silu": _silu,
    "softplus": _softplus,
    "tanh": _tanh,
}


def add_network(graph: Graph, network: Network, source: str, names: Names) -> None:
    """Value [n], gradient [n, d] and Hessian [n, d, d] of the tensor ``source`` [n, d], under ``names``.

    Raises:
        SurrogateError: no hidden layer has an activation.
    """
    if len(network.linear) == len(network.weights) - 1:
        raise SurrogateError("an affine network has no curvature to export; give it a hidden layer with an activation")
    weights, biases = [w.numpy() for w in network.weights], [b.numpy() for b in network.biases]
    matrices = [graph.constant(f"weight_{layer}", w) for layer, w in enumerate(weights, 1)]
    offsets = [graph.constant(f"bias_{layer}", b) for layer, b in enumerate(biases, 1)]
    h, hidden = source, list[Derivatives]()
    for layer, (weight, bias) in enumerate(zip(matrices[:-1], offsets[:-1], strict=True), 1):
        h = graph.node("Gemm", h, weight, bias, transB=1)
        if layer in network.linear:
            hidden.append(None)
            continue
        h, slope, bend = ACTIVATION_NODES[network.activation](graph, h)
        hidden.append((slope, bend))
    y = graph.node("Gemm", h, matrices[-1], offsets[-1], transB=1)
    graph.node("Reshape", y, graph.integers([-1]), name=names[0])
    curvature = _adjoint(graph, weights, matrices, hidden, name=names[1])
    _hessian(graph, weights, hidden, curvature, name=names[2])


def _adjoint(
    graph: Graph, weights: list[NumpyArray], names: list[str], hidden: list[Derivatives], *, name: str
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


def _bending(hidden: list[Derivatives]) -> list[int]:
    """Indices of the hidden layers that have an activation."""
    return [layer for layer, derivatives in enumerate(hidden) if derivatives]


def _product(weights: Sequence[NumpyArray]) -> NumpyArray:
    """W_n ... W_2 W_1 of consecutive layers."""
    return reduce(lambda below, weight: weight @ below, weights)


def _hessian(
    graph: Graph,
    weights: list[NumpyArray],
    hidden: list[Derivatives],
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
            # Before 1.26 onnxruntime fuses a transposition into the product after it and has no such kernel of doubles.
            turned = graph.node("Transpose", tangent, perm=[0, 2, 1])
            unfused = graph.node("Reshape", turned, graph.integers([-1, weights[layer].shape[0], size]))
            term = graph.node("MatMul", weighted, unfused)
            flat = graph.node("Add", flat, graph.node("Reshape", term, graph.integers([-1, size * size])))
    if narrow:
        flat = mapped_out(graph, weights[0], "weight_1", flat)
    graph.node("Reshape", flat, graph.integers([-1, d, d]), name=name)


def _tangent(
    graph: Graph,
    weights: list[NumpyArray],
    below: Derivatives,
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


def metadata(network: Network) -> dict[str, str]:
    """What it takes to read a network back, besides its constants."""
    # Files of networks without such layers, which is nearly all of them, say nothing about them.
    linear = {LINEAR: ",".join(map(str, sorted(network.linear)))} if network.linear else {}
    return {ACTIVATION: network.activation, **linear}


def read_constants(constants: Mapping[str, Tensor], properties: Mapping[str, str]) -> Network:
    """The network of a file's constants and metadata; exact in float64. Shape: constants weight_l out in, bias_l out.

    Raises:
        CorruptArtifact: they are not those of `add_network`.
    """
    layers = sum(name.startswith("weight_") for name in constants)
    activation = next((name for name in ACTIVATION_NODES if name == properties.get(ACTIVATION)), None)
    if not layers or activation is None:
        raise CorruptArtifact("this ONNX file was not written by Sobolite: it has no weight_1 or no known activation")
    return Network(
        weights=tuple(constants[f"weight_{layer}"] for layer in range(1, layers + 1)),
        biases=tuple(constants[f"bias_{layer}"] for layer in range(1, layers + 1)),
        activation=activation,
        linear=frozenset(int(layer) for layer in properties.get(LINEAR, "").split(",") if layer),
    )
