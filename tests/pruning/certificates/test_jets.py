from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from pruning.certificates.chart import BoxChart, chart
from pruning.certificates.jets import Jet, sweep
from pruning.intervals.interval import Interval
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, hessian_vector, initialise

PointsIn = Callable[..., torch.Tensor]

SMOOTH: tuple[ActivationName, ...] = ("silu", "softplus", "tanh")


@pytest.fixture(params=SMOOTH)
def network(request: pytest.FixtureRequest, generator: torch.Generator) -> Network:
    return initialise((4, 3, 5, 1), request.param, generator=generator)


@pytest.fixture
def box() -> Interval:
    half = torch.tensor([1.0, 0.5, 2.0, 0.7], dtype=torch.float64)
    return Interval(-half, 1.5 * half)


def jets(network: Network, coordinates: BoxChart, direction: torch.Tensor, t: Interval) -> Jet:
    tangent = (network.weights[0] @ direction)[None]
    form = coordinates.form(network.weights[0], network.biases[0])
    return sweep(network, form, Interval(tangent - 1e-14, tangent + 1e-14), t, order=2)[0]


def test_value_and_derivatives_are_enclosed(
    network: Network, box: Interval, points_in: PointsIn, generator: torch.Generator
) -> None:
    coordinates = chart(box, network.weights[0], network.biases[0])
    direction = torch.randn(4, generator=generator, dtype=torch.float64)
    x = points_in(box, 2000)
    value, gradient, product = hessian_vector(network, x, direction.expand(len(x), 1, -1))
    values = (value, gradient @ direction, product[:, 0] @ direction)
    t = coordinates.coordinates(x)
    for radius in (1.0, 0.1, 1e-3):
        # The point is anywhere in its sub-box.
        middle = t + radius * (2.0 * torch.rand(t.shape, generator=generator, dtype=torch.float64) - 1.0)
        jet = jets(network, coordinates, direction, Interval(middle - radius, middle + radius))
        for enclosed, held in zip(jet.orders, values, strict=True):
            assert (enclosed.lower[:, 0, 0] <= held).all()
            assert (held <= enclosed.upper[:, 0, 0]).all()


def test_slopes_hold_the_differences_of_neighbours(network: Network, box: Interval, generator: torch.Generator) -> None:
    coordinates = chart(box, network.weights[0], network.biases[0], turned=False)
    direction = torch.randn(4, generator=generator, dtype=torch.float64)
    t = 0.9 * (2.0 * torch.rand(200, 4, generator=generator, dtype=torch.float64) - 1.0)
    jet = jets(network, coordinates, direction, Interval(t - 0.05, t + 0.05))
    step = 1e-4
    for k in range(4):
        ends = []
        for sign in (-1.0, 1.0):
            x = coordinates.point(t + sign * step * torch.eye(4, dtype=torch.float64)[k])
            value, gradient, product = hessian_vector(network, x, direction.expand(len(x), 1, -1))
            ends.append((value, gradient @ direction, product[:, 0] @ direction))
        for slope, before, after in zip(jet.slopes, *ends, strict=True):
            quotient = (after - before) / (2.0 * step)
            assert (slope.lower[:, k, 0, 0] - 1e-7 <= quotient).all()
            assert (quotient <= slope.upper[:, k, 0, 0] + 1e-7).all()


def test_the_excess_falls_with_the_square_of_the_width(
    network: Network, box: Interval, generator: torch.Generator
) -> None:
    coordinates = chart(box, network.weights[0], network.biases[0])
    direction = torch.randn(4, generator=generator, dtype=torch.float64)
    centre = 0.3 * torch.randn(50, len(coordinates.directions), generator=generator, dtype=torch.float64)
    corners = torch.cartesian_prod(*[torch.linspace(-1.0, 1.0, 5, dtype=torch.float64)] * centre.shape[1])
    excesses = []
    for radius in (0.04, 0.02, 0.01):
        jet = jets(network, coordinates, direction, Interval(centre - radius, centre + radius))
        inside = (centre[:, None] + radius * corners).reshape(-1, centre.shape[1])
        points = jets(network, coordinates, direction, Interval(inside, inside))
        excess = []
        for enclosed, at in zip(jet.orders, points.orders, strict=True):
            seen = at.lower.reshape(len(centre), -1)
            width = (enclosed.upper - enclosed.lower).flatten() - (seen.amax(dim=1) - seen.amin(dim=1))
            excess.append(width.mean())
        excesses.append(torch.stack(excess))
    for wide, narrow in pairwise(excesses):
        assert (narrow < 0.35 * wide).all()
