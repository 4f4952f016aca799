from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pruning.intervals.adjoint import enclose
from pruning.intervals.affine_forms import EnclosureMethod
from pruning.intervals.derivatives import products, tangents
from pruning.intervals.interval import Interval
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import forward, initialise

PointsIn = Callable[..., torch.Tensor]


@pytest.mark.parametrize("activation", ["silu", "softplus", "tanh"])
@pytest.mark.parametrize("method", ["interval", "affine"])
def test_every_tangent_and_product_is_enclosed(
    activation: ActivationName, method: EnclosureMethod, points_in: PointsIn, generator: torch.Generator
) -> None:
    network = initialise((3, 6, 5, 4, 1), activation, generator=generator)
    half = torch.tensor([0.5, 0.2, 0.4], dtype=torch.float64)
    box = Interval(-half, 1.5 * half)
    x = points_in(box, 20_000)
    directions = torch.randn(2, 3, generator=generator, dtype=torch.float64)
    nodes, preactivations = tangents(network, enclose(network, box, method=method), directions)
    first, second = torch.triu_indices(2, 2).unbind()
    along = directions.expand(len(x), -1, -1)
    _, hidden = forward(network, x)
    for layer, (_, slope, *_) in enumerate(hidden):
        bent = along @ network.weights[layer].T
        along = slope[:, None] * bent
        pairs = products(preactivations[layer], first, second)
        for enclosed, values in (
            (preactivations[layer], bent),
            (nodes[layer + 1], along),
            (pairs, bent[:, first] * bent[:, second]),
        ):
            assert (enclosed.lower <= values).all()
            assert (values <= enclosed.upper).all()
        assert (pairs.lower[first == second] >= 0.0).all()
