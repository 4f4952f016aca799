from __future__ import annotations

import pytest
import torch

from pruning.adjoint import enclose
from pruning.interval import Interval
from pruning.significance import significance
from surrogate.activations import ACTIVATIONS, ActivationName
from surrogate.network import Network, adjoints, forward, initialise


@pytest.fixture(params=list(ACTIVATIONS))
def network(request: pytest.FixtureRequest, generator: torch.Generator) -> Network:
    activation: ActivationName = request.param
    return initialise((3, 6, 5, 2), activation, generator=generator)


@pytest.fixture
def wide() -> Interval:
    half = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    return Interval(-half, 1.5 * half)


def test_every_value_and_derivative_is_enclosed(network: Network, wide: Interval, generator: torch.Generator) -> None:
    x = wide.lower + wide.width * torch.rand(100_000, 3, generator=generator, dtype=torch.float64)
    enclosure = enclose(network, wide)
    _, hidden = forward(network, x)
    for node, values in zip(enclosure.nodes, [x, *(phi[0] for phi in hidden)], strict=True):
        assert (node.lower <= values).all()
        assert (values <= node.upper).all()
    for output in range(2):
        single = Network(
            weights=(*network.weights[:-1], network.weights[-1][output : output + 1]),
            biases=network.biases,
            activation=network.activation,
        )
        for found, values in zip(enclosure.adjoints, adjoints(single, hidden), strict=True):
            assert (found.lower[output] <= values).all()
            assert (values <= found.upper[output]).all()


def test_a_degenerate_box_gives_the_gradient_and_no_significance(network: Network, generator: torch.Generator) -> None:
    point = torch.randn(3, generator=generator, dtype=torch.float64)
    enclosure = enclose(network, Interval(point, point))
    x = point[None].requires_grad_()
    for output in range(2):
        (gradient,) = torch.autograd.grad(forward(network, x)[0][0, output], x)
        torch.testing.assert_close(enclosure.adjoints[0].middle[output], gradient[0], rtol=1e-12, atol=1e-12)
    assert all(float(part.max()) < 1e-12 for part in significance(enclosure))


def test_a_larger_box_has_larger_enclosures(network: Network, wide: Interval) -> None:
    inner = enclose(network, Interval(0.5 * wide.lower, 0.7 * wide.upper))
    outer = enclose(network, wide)
    for small, large in zip((*inner.nodes, *inner.adjoints), (*outer.nodes, *outer.adjoints), strict=True):
        assert (large.lower <= small.lower).all()
        assert (small.upper <= large.upper).all()
    for small_s, large_s in zip(significance(inner), significance(outer), strict=True):
        assert (small_s <= large_s).all()
