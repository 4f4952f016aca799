from __future__ import annotations

import pytest
import torch

from surrogate.functions.activations import ActivationName
from surrogate.functions.network import (
    flatten,
    hessian_vector,
    initialise,
    unflatten,
    value,
    value_and_gradient,
    value_gradient_hessian,
)

SHAPES = [(1, 1, 1), (3, 4, 1), (3, 2, 5, 1), (4, 6, 3, 2, 1)]
SMOOTH: list[ActivationName] = ["silu", "softplus", "tanh"]


@pytest.mark.parametrize("activation", SMOOTH)
@pytest.mark.parametrize("widths", SHAPES)
def test_sweeps_are_the_derivatives_of_the_value(
    widths: tuple[int, ...], activation: ActivationName, generator: torch.Generator
) -> None:
    network = initialise(widths, activation, generator=generator)
    x = torch.randn(7, widths[0], generator=generator, dtype=torch.float64)
    y, gradient, hessian = value_gradient_hessian(network, x)

    def single(point: torch.Tensor) -> torch.Tensor:
        return value(network, point[None])[0]

    first, second = torch.func.grad(single), torch.func.jacrev(torch.func.grad(single))
    for got, derivative in ((y, single), (gradient, first), (hessian, second)):
        torch.testing.assert_close(got, torch.stack([derivative(point) for point in x]), rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(value_and_gradient(network, x)[1], gradient, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("widths", SHAPES)
def test_hessian_vector_is_the_hessian_times_each_direction(
    widths: tuple[int, ...], generator: torch.Generator
) -> None:
    network = initialise(widths, "silu", generator=generator)
    x = torch.randn(5, widths[0], generator=generator, dtype=torch.float64)
    directions = torch.randn(5, 3, widths[0], generator=generator, dtype=torch.float64)
    y, gradient, product = hessian_vector(network, x, directions)
    expected = value_gradient_hessian(network, x)
    torch.testing.assert_close(product, directions @ expected[2], rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(y, expected[0])
    torch.testing.assert_close(gradient, expected[1])


def test_flatten_and_unflatten_are_inverse_and_differentiable(generator: torch.Generator) -> None:
    network = initialise((3, 4, 2, 1), "tanh", generator=generator)
    vector = flatten(network)
    again = unflatten(network, vector)
    assert torch.equal(flatten(again), vector)
    assert network.parameters == len(vector) - 1  # the output bias starts at exactly 0
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v: value(unflatten(network, v), x), vector.clone().requires_grad_())
