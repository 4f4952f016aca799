from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pricing.domain import Box, Feature
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, value_gradient_hessian
from surrogate.reductions.expressions import (
    Expression,
    clamp,
    constant,
    exp,
    feature,
    indicator,
    log,
    magnitude,
    product,
    reciprocal,
    square_root,
    total,
)


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20)


@pytest.fixture
def box() -> Box:
    return Box(features=(Feature(name="spot", lower=(0.5, 0.4, 0.3), upper=(1.5, 1.6, 1.7), unit="currency"),))


@pytest.fixture
def network(generator: torch.Generator) -> Network:
    """A teacher of three features in raw units."""
    return initialise((3, 5, 4, 1), "silu", generator=generator)


@pytest.fixture
def dataset(network: Network, box: Box, generator: torch.Generator) -> Dataset:
    """Exact labels of the teacher: value, gradient and curvature along two directions a sample."""
    uniforms = torch.rand(128, 3, generator=generator, dtype=torch.float64)
    x = torch.from_numpy(box.from_uniforms(uniforms.numpy()))
    y, gradient, hessian = value_gradient_hessian(network, x)
    directions = torch.randn(128, 2, 3, generator=generator, dtype=torch.float64)
    return Dataset(x=x, y=y, gradient=gradient, directions=directions, curvature=directions @ hessian)


@pytest.fixture(scope="session")
def formula() -> tuple[Expression, list[Expression]]:
    """Every operator but the network, with broadcasts of one column to three and back."""
    a, b = feature(0, 2), feature(2, 3)
    mixed = product(a, torch.tensor([[1.0, 0.5, -0.2], [0.3, -1.0, 2.0]], dtype=torch.float64))
    bent = exp(mixed * 0.3) + square_root(b) + log(magnitude(mixed) + 1.5) / (b + 2.0)
    held = clamp(bent, 0.5, 2.0) * indicator(mixed) - reciprocal(b) * b * b
    return total(held * held * constant([1.0, 2.0, 3.0]) + bent) * b + total(a), [a, b]


@pytest.fixture
def by_autograd() -> Callable[[Callable[[Tensor], Tensor], Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Value, gradient and Hessian of a function. Shape: batch input -> batch; batch input; batch input input."""

    def derivatives(function: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        points = x.clone().requires_grad_()
        y = function(points)
        (gradient,) = torch.autograd.grad(y.sum(), points, create_graph=True)
        hessian = [torch.autograd.grad(column.sum(), points, retain_graph=True)[0] for column in gradient.unbind(dim=1)]
        return y.detach(), gradient.detach(), torch.stack(hessian, dim=1)

    return derivatives
