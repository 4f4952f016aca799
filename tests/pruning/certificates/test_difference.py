from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pruning.certificates.chart import BoxChart, chart
from pruning.certificates.difference import Pair, less
from pruning.certificates.jets import Jet, sweep
from pruning.intervals.interval import Interval
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, initialise, value_and_gradient

PointsIn = Callable[..., torch.Tensor]
# Derivatives along every input, and the value.
FIRST_ORDER = 1


@pytest.fixture(params=["silu", "softplus", "tanh"])
def networks(request: pytest.FixtureRequest, generator: torch.Generator) -> tuple[Network, Network]:
    """A network and another one of its shape, its weights a little moved and some of them 0."""
    activation: ActivationName = request.param
    network = initialise((3, 6, 5, 1), activation, generator=generator)
    moved = tuple(
        (w + 0.05 * torch.randn(w.shape, generator=generator, dtype=torch.float64))
        * (torch.rand(w.shape, generator=generator) < 0.9)
        for w in network.weights
    )
    return network, replace(network, weights=moved)


def coordinates_of(networks: tuple[Network, Network], box: Interval) -> BoxChart:
    return chart(box, *(torch.cat([getattr(n, kind)[0] for n in networks]) for kind in ("weights", "biases")))


def pair_of(networks: tuple[Network, Network], coordinates: BoxChart, *, linked: bool) -> Pair:
    """Both networks; ``linked`` with the difference of their first layers."""
    first, second = networks
    forms = [coordinates.form(network.weights[0], network.biases[0]) for network in networks]
    tangents = [Interval(network.weights[0].T, network.weights[0].T) for network in networks]
    if linked:
        gap = second.weights[0] - first.weights[0]
        change = coordinates.form(gap, second.biases[0] - first.biases[0], 1e-14 * torch.ones(len(gap)).double())
        # The second form is the first and the change, which two forms of the same layer are to rounding alone.
        forms = [forms[0], forms[0] + change, change]
        tangents.append(Interval(gap.T, gap.T).widen(1e-14 * gap.T.abs() + 1e-300))
    return Pair(networks=networks, forms=tuple(forms), tangents=tuple(tangents))


def part_of_the_way(networks: tuple[Network, Network], share: float) -> tuple[Network, Network]:
    """The first network, and one between it and the second."""
    first, second = networks
    between = tuple(torch.lerp(a, b, share) for a, b in zip(first.weights, second.weights, strict=True))
    return first, replace(first, weights=between)


def around(t: torch.Tensor, radius: float) -> Interval:
    return Interval(t - radius, t + radius)


@pytest.mark.parametrize("linked", [True, False])
def test_differences_of_value_and_deltas_are_enclosed(
    linked: bool, networks: tuple[Network, Network], interval: Interval, points_in: PointsIn
) -> None:
    coordinates = coordinates_of(networks, interval)
    x = points_in(interval, 1000)
    (value, gradient), (other, other_gradient) = (value_and_gradient(network, x) for network in networks)
    pair = pair_of(networks, coordinates, linked=linked)
    for radius in (1.0, 0.1, 1e-3):
        jet = pair.over(around(coordinates.coordinates(x), radius), order=FIRST_ORDER)
        changes = ((other - value)[:, None], other_gradient - gradient)
        for enclosed, change in zip(jet.orders, changes, strict=True):
            assert (enclosed.lower[:, :, 0] <= change + 1e-13).all()
            assert (change - 1e-13 <= enclosed.upper[:, :, 0]).all()


def test_layer_by_layer_is_narrower_than_the_difference_of_two_enclosures(
    networks: tuple[Network, Network], interval: Interval, points_in: PointsIn
) -> None:
    coordinates = coordinates_of(networks, interval)
    sub_boxes = around(coordinates.coordinates(points_in(interval, 50)), 0.3)
    pair = part_of_the_way(networks, 0.01)
    linked, apart = (
        pair_of(pair, coordinates, linked=linked).over(sub_boxes, order=FIRST_ORDER) for linked in (True, False)
    )
    for narrow, wide in zip(linked.orders, apart.orders, strict=True):
        assert float(narrow.width.mean()) < 0.1 * float(wide.width.mean())


def test_the_enclosure_goes_with_the_size_of_the_difference(
    networks: tuple[Network, Network], interval: Interval, points_in: PointsIn
) -> None:
    coordinates = coordinates_of(networks, interval)
    sub_boxes = around(coordinates.coordinates(points_in(interval, 50)), 0.3)

    def magnitudes(share: float) -> list[float]:
        pair = pair_of(part_of_the_way(networks, share), coordinates, linked=True)
        return [float(each.magnitude.mean()) for each in pair.over(sub_boxes, order=FIRST_ORDER).orders]

    for large, small in zip(magnitudes(1e-3), magnitudes(1e-6), strict=True):
        assert small == pytest.approx(1e-3 * large, rel=0.05)


def test_a_jet_less_itself_holds_0(networks: tuple[Network, Network], interval: Interval, points_in: PointsIn) -> None:
    network, _ = networks
    coordinates = coordinates_of(networks, interval)
    form = coordinates.form(network.weights[0], network.biases[0])
    tangents = Interval(network.weights[0].T, network.weights[0].T)
    sub_boxes = around(coordinates.coordinates(points_in(interval, 20)), 0.1)
    jet: Jet = sweep(network, form, tangents, sub_boxes, order=FIRST_ORDER)[0]
    for enclosed in (*less(jet, jet).orders, *less(jet, jet).slopes):
        assert (enclosed.lower <= 0.0).all()
        assert (enclosed.upper >= 0.0).all()
