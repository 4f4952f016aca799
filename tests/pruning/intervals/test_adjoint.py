from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pruning.intervals.adjoint import Enclosure, enclose
from pruning.intervals.affine_forms import EnclosureMethod
from pruning.intervals.interval import Interval
from pruning.intervals.significance import significance
from surrogate.functions.activations import ACTIVATIONS, ActivationName
from surrogate.functions.network import Network, adjoints, forward, initialise

PointsIn = Callable[..., torch.Tensor]

both_methods = pytest.mark.parametrize("method", ["interval", "affine"])
# Sums over a batch may be taken in another order.
ROUNDING = 1e-12


@pytest.fixture(params=list(ACTIVATIONS))
def network(request: pytest.FixtureRequest, generator: torch.Generator) -> Network:
    activation: ActivationName = request.param
    return initialise((3, 6, 5, 2), activation, generator=generator)


@pytest.fixture
def wide() -> Interval:
    half = torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64)
    return Interval(-half, 1.5 * half)


def intervals(enclosure: Enclosure) -> tuple[Interval, ...]:
    return (*enclosure.nodes, *enclosure.preactivations, *enclosure.adjoints, *enclosure.preadjoints)


@both_methods
def test_every_value_and_derivative_is_enclosed(
    network: Network, wide: Interval, method: EnclosureMethod, points_in: PointsIn
) -> None:
    x = points_in(wide, 100_000)
    enclosure = enclose(network, wide, method=method)
    _, hidden = forward(network, x)
    for node, values in zip(enclosure.nodes, [x, *(phi[0] for phi in hidden)], strict=True):
        assert (node.lower <= values).all()
        assert (values <= node.upper).all()
    for output in range(2):
        single = replace(network, weights=(*network.weights[:-1], network.weights[-1][output : output + 1]))
        for enclosed, values in zip(enclosure.adjoints, adjoints(single, hidden), strict=True):
            assert (enclosed.lower[output] <= values).all()
            assert (values <= enclosed.upper[output]).all()


@both_methods
def test_a_degenerate_box_gives_the_gradient_and_no_significance(
    network: Network, method: EnclosureMethod, generator: torch.Generator
) -> None:
    point = torch.randn(3, generator=generator, dtype=torch.float64)
    enclosure = enclose(network, Interval(point, point), method=method)
    x = point[None].requires_grad_()
    for output in range(2):
        (gradient,) = torch.autograd.grad(forward(network, x)[0][0, output], x)
        torch.testing.assert_close(enclosure.adjoints[0].middle[output], gradient[0], rtol=1e-12, atol=1e-12)
    assert all(float(layer.max()) < 1e-12 for layer in significance(enclosure))


def test_a_larger_box_has_larger_enclosures(network: Network, wide: Interval) -> None:
    inner = enclose(network, Interval(0.5 * wide.lower, 0.7 * wide.upper))
    outer = enclose(network, wide)
    for small, large in zip(intervals(inner), intervals(outer), strict=True):
        assert (large.lower <= small.lower).all()
        assert (small.upper <= large.upper).all()
    for small_s, large_s in zip(significance(inner), significance(outer), strict=True):
        assert (small_s <= large_s).all()


@both_methods
def test_a_batch_of_boxes_has_the_enclosures_of_its_boxes(
    network: Network, method: EnclosureMethod, generator: torch.Generator
) -> None:
    lower = torch.randn(2, 3, 3, generator=generator, dtype=torch.float64)
    boxes = Interval(lower, lower + torch.rand(2, 3, 3, generator=generator, dtype=torch.float64))
    together = enclose(network, boxes, method=method)
    for i in range(2):
        for j in range(3):
            alone = enclose(network, Interval(boxes.lower[i, j], boxes.upper[i, j]), method=method)
            for many, one in zip(intervals(together), intervals(alone), strict=True):
                torch.testing.assert_close(many.lower[i, j], one.lower, rtol=ROUNDING, atol=ROUNDING)
                torch.testing.assert_close(many.upper[i, j], one.upper, rtol=ROUNDING, atol=ROUNDING)
            for many_slack, one_slack in zip(together.slack, alone.slack, strict=True):
                torch.testing.assert_close(many_slack[i, j], one_slack)


@both_methods
def test_nodes_that_may_be_constants_have_them_in_their_intervals(
    network: Network, wide: Interval, method: EnclosureMethod, points_in: PointsIn
) -> None:
    """What is downstream must hold as well when the constant has taken the node's place."""
    free = enclose(network, wide, method=method)
    constants = [torch.full((width,), torch.nan, dtype=torch.float64) for width in network.widths[:-1]]
    constants[1][2] = free.nodes[1].upper[2]
    loosened = enclose(network, wide, method=method, constants=constants)
    x = points_in(wide, 20_000)
    h = forward(network, x)[1][0][0].clone()
    h[:, 2] = constants[1][2]
    above = h @ network.weights[1].T + network.biases[1]
    assert (loosened.preactivations[1].lower <= above).all()
    assert (above <= loosened.preactivations[1].upper).all()
