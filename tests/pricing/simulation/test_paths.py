"""The assets on their paths, kept in two factors or summands."""

from __future__ import annotations

from typing import Literal

import pytest
import torch

from pricing.simulation.paths import Paths
from tests.pricing.cases import doubles, normals

Law = Literal["additive", "multiplicative"]


def two_assets(law: Law) -> Paths:
    """Two samples, 64 shared paths, three dates."""
    noise = 0.3 * normals(6, paths=64).reshape(1, 64, 3, 2)
    return Paths(
        forward=doubles([[[1.0, 2.0]], [[1.5, 0.5]]])[:, None].expand(-1, -1, 3, -1),
        noise=noise if law == "additive" else torch.exp(noise),
        law=law,
        discount=doubles([[[0.98, 0.95, 0.9]]]),
    )


def own(paths: Paths) -> Paths:
    """The same with noise of every sample's own."""
    return Paths(**{**vars(paths), "noise": paths.noise.expand(2, -1, -1, -1).clone()})


@pytest.mark.parametrize("law", ["additive", "multiplicative"])
def test_basket_is_the_weighted_sum_of_the_assets(law: Law) -> None:
    """Shared noise or a sample's own, one matrix product or all assets."""
    for paths in (two_assets(law), own(two_assets(law))):
        levels = paths.levels(1)
        expected = 2.0 * levels[..., 0] - 3.0 * levels[..., 1]
        torch.testing.assert_close(paths.basket((2.0, -3.0), 1), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("law", ["additive", "multiplicative"])
def test_noise_that_is_shared_is_that_of_every_sample(law: Law) -> None:
    shared, separate = two_assets(law), own(two_assets(law))
    for date in range(shared.dates):
        assert torch.equal(shared.levels(date), separate.levels(date))
    assert torch.equal(shared.levels(), shared.levels(2))


def test_levels_grow_with_the_forward_by_the_law() -> None:
    """dS / dF is 1 where noise is added, and the noise where it multiplies."""
    for law in ("additive", "multiplicative"):
        paths = two_assets(law)
        forward = paths.forward.clone().requires_grad_()
        levels = Paths(**{**vars(paths), "forward": forward}).levels()
        (slope,) = torch.autograd.grad(levels.sum(), forward)
        expected = torch.full((2, 2), 64.0, dtype=torch.float64)
        if law == "multiplicative":
            expected = paths.noise[0, :, -1].sum(dim=0).expand(2, -1)
        torch.testing.assert_close(slope[:, 0, -1], expected)
