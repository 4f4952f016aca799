from __future__ import annotations

import pytest
import torch

from pricing.domain import Box, Feature
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise, value_gradient_hessian


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
