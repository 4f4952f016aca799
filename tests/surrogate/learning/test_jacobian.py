from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from surrogate.functions.activations import ActivationName
from surrogate.functions.network import flatten, hessian_vector, initialise, outputs, unflatten, value_and_gradient
from surrogate.learning.jacobian import jacobian

WIDTHS = [(3, 1, 1), (2, 5, 1), (3, 4, 2, 1), (1, 3, 4, 2, 1)]


@pytest.mark.parametrize("activation", ["silu", "softplus", "tanh"])
@pytest.mark.parametrize("widths", WIDTHS, ids=str)
@pytest.mark.parametrize("order", [0, 1, 2])
def test_rows_are_the_derivatives_of_the_sweeps(
    order: int, widths: tuple[int, ...], activation: ActivationName, generator: torch.Generator
) -> None:
    network = initialise(widths, activation, generator=generator)
    x = torch.randn(6, widths[0], generator=generator, dtype=torch.float64)
    directions = torch.randn(6, 2, widths[0], generator=generator, dtype=torch.float64)

    def sweep(theta: Tensor) -> Tensor:
        moved = unflatten(network, theta)
        y, gradient, product = hessian_vector(moved, x, directions)
        return torch.cat([y[:, None], gradient, product.flatten(start_dim=1)][: order + 1], dim=1)

    expected = torch.func.jacrev(sweep)(flatten(network))
    found = jacobian(network, x, order=order, directions=directions)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("linear", [{1}, {2}, {1, 3}])
def test_layers_without_activation_bend_nothing(linear: set[int], generator: torch.Generator) -> None:
    network = replace(initialise((4, 2, 3, 2, 1), "silu", generator=generator), linear=frozenset(linear))
    x = torch.randn(5, 4, generator=generator, dtype=torch.float64)

    def sweep(theta: Tensor) -> Tensor:
        y, gradient = value_and_gradient(unflatten(network, theta), x)
        return torch.cat([y[:, None], gradient], dim=1)

    expected = torch.func.jacrev(sweep)(flatten(network))
    torch.testing.assert_close(jacobian(network, x, order=1), expected, rtol=1e-11, atol=1e-13)


def test_a_network_without_hidden_layers_is_linear_in_its_parameters(generator: torch.Generator) -> None:
    network = initialise((3, 1), "silu", generator=generator)
    x = torch.randn(4, 3, generator=generator, dtype=torch.float64)
    found = jacobian(network, x, order=1)
    torch.testing.assert_close(found[:, 0], torch.cat([x, torch.ones(4, 1, dtype=x.dtype)], dim=1))
    torch.testing.assert_close(found[:, 1:], torch.eye(3, 4, dtype=x.dtype).expand(4, 3, 4))


def test_several_outputs_have_a_row_each(generator: torch.Generator) -> None:
    network = initialise((3, 4, 2), "relu", generator=generator)
    x = torch.randn(5, 3, generator=generator, dtype=torch.float64)
    expected = torch.func.jacrev(lambda theta: outputs(unflatten(network, theta), x))(flatten(network))
    torch.testing.assert_close(jacobian(network, x, order=0), expected, rtol=1e-12, atol=1e-14)
