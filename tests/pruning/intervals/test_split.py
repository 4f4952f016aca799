from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

from pruning.intervals.adjoint import enclose
from pruning.intervals.affine_forms import EnclosureMethod
from pruning.intervals.interval import Interval
from pruning.intervals.significance import significance
from pruning.intervals.split import split
from surrogate.functions.network import Network, initialise

PointsIn = Callable[..., torch.Tensor]


@pytest.fixture
def box() -> Interval:
    half = torch.tensor([1.0, 0.5, 0.0], dtype=torch.float64)
    return Interval(-half, 1.5 * half)


@pytest.fixture
def network(generator: torch.Generator) -> Network:
    return initialise((3, 7, 6, 1), "silu", generator=generator)


@pytest.mark.parametrize("count", [1, 2, 7, 32])
def test_the_sub_boxes_cover_the_box_without_overlap(
    network: Network, box: Interval, count: int, points_in: PointsIn
) -> None:
    boxes = split(network, box, count)
    assert boxes.lower.shape == (count, 3)
    assert (box.lower <= boxes.lower).all()
    assert (boxes.upper <= box.upper).all()
    # The third coordinate is a point; the areas of the first two add up.
    areas = boxes.width[:, :2].prod(dim=1)
    assert float(areas.sum()) == pytest.approx(float(box.width[:2].prod()), rel=1e-12)
    points = points_in(box, 2000)
    inside = (boxes.lower <= points[:, None]) & (points[:, None] <= boxes.upper)
    assert inside.all(dim=-1).any(dim=1).all()


def test_the_coordinate_that_matters_is_halved(generator: torch.Generator) -> None:
    network = initialise((2, 5, 1), "tanh", generator=generator)
    network.weights[0][:, 1] *= 1e-3
    boxes = split(network, Interval(torch.zeros(2).double(), torch.ones(2).double()), 8)
    assert (boxes.width[:, 1] == 1.0).all()
    assert (boxes.width[:, 0] == 0.125).all()


@pytest.mark.parametrize("method", ["interval", "affine"])
def test_splitting_never_increases_a_significance(network: Network, box: Interval, method: EnclosureMethod) -> None:
    by_count = [significance(enclose(network, box, method=method))]
    for count in (2, 8, 32):
        by_count.append(significance(enclose(network, split(network, box, count, method=method), method=method)))
    for fewer, more in pairwise(by_count):
        for before, after in zip(fewer, more, strict=True):
            assert (after <= before * (1.0 + 1e-9) + 1e-12).all()
    assert sum(float(layer.sum()) for layer in by_count[-1]) < 0.8 * sum(float(layer.sum()) for layer in by_count[0])
