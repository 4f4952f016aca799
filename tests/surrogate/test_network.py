from __future__ import annotations

import pytest
import torch

from surrogate.activations import ActivationName
from surrogate.network import (
    flatten,
    from_sequential,
    hessian_vector,
    initialise,
    outputs,
    to_sequential,
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


def test_sequential_round_trip(generator: torch.Generator) -> None:
    network = initialise((3, 4, 2, 2), "softplus", generator=generator)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    module = to_sequential(network)
    torch.testing.assert_close(module(x), outputs(network, x))
    assert torch.equal(flatten(from_sequential(module)), flatten(network))


def test_from_sequential_refuses_what_it_cannot_represent() -> None:
    mixed = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Tanh(), torch.nn.Linear(2, 2), torch.nn.ReLU())
    with pytest.raises(ValueError, match="one kind of activation"):
        from_sequential(mixed)
    with pytest.raises(ValueError, match="BatchNorm1d"):
        from_sequential(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1)))
