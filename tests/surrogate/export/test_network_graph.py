from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from pricing.domain import Box
from surrogate.errors import SurrogateError
from surrogate.export.onnx_reader import read_network
from surrogate.export.onnx_writer import to_onnx
from surrogate.export.parity import check_parity
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, flatten, initialise, value_gradient_hessian
from surrogate.runtime import open_session

Cube = Callable[[int], Box]
SMOOTH: list[ActivationName] = ["silu", "softplus", "tanh"]
# One neuron in the last layer once lost half its digits to a float32 fusion; 3 < d and 8 > d take both Hessian paths.
SHAPES = [(1, 1, 1), (5, 1, 1), (5, 8, 1), (5, 3, 1), (5, 8, 4, 1), (5, 3, 2, 2, 1), (5, 8, 7, 6, 2, 1)]


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("widths", SHAPES)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_graph_and_network_agree(
    widths: tuple[int, ...],
    activation: ActivationName,
    dtype: torch.dtype,
    generator: torch.Generator,
    cube: Cube,
) -> None:
    network = initialise(widths, activation, generator=generator)
    model = to_onnx(network, box=cube(widths[0]), metadata={}, dtype=dtype)
    assert set(check_parity(model, network, cube(widths[0]))) == {"value", "delta", "gamma"}


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("widths", SHAPES)
def test_nothing_invites_a_fusion_that_old_runtimes_have_no_kernel_for(
    widths: tuple[int, ...], activation: ActivationName, generator: torch.Generator, cube: Cube
) -> None:
    """Before 1.26 onnxruntime fuses Transpose into MatMul, in 1.15 Tanh into Gemm; `tests/runtimes` runs them."""
    network = initialise(widths, activation, generator=generator)
    graph = onnx.load_from_string(to_onnx(network, box=cube(widths[0]), metadata={})).graph
    maker = {output: node.op_type for node in graph.node for output in node.output}
    pairs = {(maker.get(name), node.op_type) for node in graph.node for name in node.input}
    assert not pairs & {("Transpose", "MatMul"), ("Transpose", "Gemm"), ("Gemm", "Tanh"), ("Gemm", "Sigmoid")}


def test_float64_keeps_relative_accuracy_far_in_the_tail(generator: torch.Generator, cube: Cube) -> None:
    """With every pre-activation near -30 the outputs are tiny, and still right to 1e-12 of themselves."""
    network = initialise((2, 3, 1), "softplus", generator=generator)
    network = Network(
        weights=network.weights,
        biases=(network.biases[0] - 30.0, torch.zeros(1, dtype=torch.float64)),
        activation="softplus",
    )
    x = np.random.default_rng(0).uniform(0.3, 1.7, (50, 2))
    session = open_session(to_onnx(network, box=cube(2), metadata={}))
    _, delta, gamma = session.run(None, {"features": x})
    _, want_delta, want_gamma = value_gradient_hessian(network, torch.from_numpy(x))
    np.testing.assert_allclose(delta, want_delta.numpy(), rtol=1e-12, atol=0.0)
    np.testing.assert_allclose(gamma, want_gamma.numpy(), rtol=1e-10, atol=0.0)


def test_many_assets_do_not_swell_the_file(generator: torch.Generator, cube: Cube) -> None:
    """W1 x W1 of 24 neurons and 30 features would take 4 MB; the weights take 11 kB."""
    network = initialise((30, 24, 24, 1), "silu", generator=generator)
    model = to_onnx(network, box=cube(30), metadata={})
    assert len(model) < 1_000_000
    check_parity(model, network, cube(30))


# Hidden layers without activation first, last, in a row, and narrower or wider than the features.
LINEAR = [((7, 8, 4, 6, 1), {2}), ((7, 3, 8, 4, 6, 1), {1}), ((7, 9, 8, 4, 6, 5, 1), {1, 2, 4, 5}), ((5, 1, 1, 1), {1})]


@pytest.mark.parametrize(("widths", "linear"), LINEAR)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_layers_without_activation_are_products_alone(
    widths: tuple[int, ...],
    linear: set[int],
    dtype: torch.dtype,
    generator: torch.Generator,
    cube: Cube,
) -> None:
    network = replace(initialise(widths, "silu", generator=generator), linear=frozenset(linear))
    model = to_onnx(network, box=cube(widths[0]), metadata={}, dtype=dtype)
    check_parity(model, network, cube(widths[0]))
    again = read_network(model)
    assert again.linear == network.linear
    assert torch.equal(flatten(again), flatten(network.to(dtype)))
    operators = [node.op_type for node in onnx.load_from_string(model).graph.node]
    assert operators.count("Exp") == len(widths) - 2 - len(linear)


def test_an_affine_network_is_refused(generator: torch.Generator, cube: Cube) -> None:
    network = replace(initialise((2, 3, 1), "silu", generator=generator), linear=frozenset({1}))
    with pytest.raises(SurrogateError, match="hidden layer with an activation"):
        to_onnx(network, box=cube(2), metadata={})
