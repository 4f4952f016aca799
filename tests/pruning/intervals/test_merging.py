from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pruning.intervals.adjoint import enclose
from pruning.intervals.interval import Interval
from pruning.intervals.merging import merge, saved_by_merging
from surrogate.functions.activations import ACTIVATIONS, ActivationName
from surrogate.functions.network import initialise, outputs

PointsIn = Callable[..., torch.Tensor]


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
def test_the_bound_of_a_merge_holds(
    activation: ActivationName, points_in: PointsIn, generator: torch.Generator
) -> None:
    box = Interval(torch.full((3,), -1.0, dtype=torch.float64), torch.full((3,), 0.5, dtype=torch.float64))
    x = points_in(box, 20_000)
    for _ in range(5):
        network = initialise((3, 4, 5, 4, 1), activation, generator=generator)
        enclosure = enclose(network, box)
        for layer in (1, 2, 3):
            merged, bound = merge(network, enclosure, layer)
            assert len(merged.weights) == 3
            assert float((outputs(merged, x) - outputs(network, x)).abs().max()) <= bound
            dense = sum(t.numel() for t in (*network.weights, *network.biases))
            left = sum(t.numel() for t in (*merged.weights, *merged.biases))
            assert dense - left == saved_by_merging(network, layer)


def test_a_layer_that_is_affine_over_the_box_merges_exactly(generator: torch.Generator) -> None:
    network = initialise((2, 3, 4, 1), "relu", generator=generator)
    network = replace(network, biases=(network.biases[0] + 50.0, *network.biases[1:]))
    box = Interval(torch.full((2,), -1.0, dtype=torch.float64), torch.full((2,), 1.0, dtype=torch.float64))
    merged, bound = merge(network, enclose(network, box), 1)
    x = 2.0 * torch.rand(100, 2, generator=generator, dtype=torch.float64) - 1.0
    torch.testing.assert_close(outputs(merged, x), outputs(network, x), rtol=0.0, atol=1e-12)
    assert bound < 1e-9
