from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pricing.domain import Box, Feature
from surrogate.errors import ParityFailure
from surrogate.export.onnx_writer import to_onnx
from surrogate.export.parity import POINTS, check_parity, parity_points
from surrogate.functions.network import Network


def test_points_hold_every_corner_and_go_beyond_the_box(box: Box) -> None:
    points = parity_points(box, seed=3)
    assert points.shape == (POINTS, 3)
    corners = {tuple(p) for p in points[:8]}
    assert len(corners) == 8
    assert box.contains(points[:8]).all()
    assert 0.5 < box.contains(points[8:]).mean() < 1.0
    wide = Box(features=(Feature(name="spot", lower=(0.0,) * 30, upper=(1.0,) * 30),))
    assert parity_points(wide, seed=3).shape == (POINTS, 30)


@pytest.mark.parametrize("relative", [1e-9, np.nan])
def test_a_changed_weight_is_noticed(relative: float, network: Network, box: Box) -> None:
    model = to_onnx(network, box=box, metadata={})
    bent = replace(network, weights=(network.weights[0] * (1.0 + relative), *network.weights[1:]))
    with pytest.raises(ParityFailure, match="differs from the network"):
        check_parity(model, bent, box)


def test_single_precision_has_its_own_bound(network: Network, box: Box) -> None:
    model = to_onnx(network, box=box, metadata={}, dtype=torch.float32)
    assert 1e-9 < check_parity(model, network, box)["gamma"] < 1e-5
