"""Integrals over one asset's normal: moments, corners, and turns of any sharpness."""

from __future__ import annotations

import math

import pytest
import torch
from scipy.stats import norm
from torch import Tensor

from pricing.references.conditioned import Pair, Turn, crossing, expectation


def pair(correlation: float, deviation: float = 0.3) -> Pair:
    one = torch.ones(1, dtype=torch.float64)
    return Pair(
        first=2.0 * one,
        second=3.0 * one,
        first_deviation=deviation * one,
        second_deviation=0.5 * one,
        correlation=correlation * one,
    )


FAR = torch.tensor([1e4], dtype=torch.float64)


@pytest.mark.parametrize("deviation", [0.01, 0.3, 11.0])
@pytest.mark.parametrize("correlation", [-1.0, -0.5, 0.99, 1.0])
def test_means_are_those_of_the_assets(correlation: float, deviation: float) -> None:
    both = pair(correlation, deviation)
    first = expectation(both, lambda z: both.given(z)[0], kink=FAR, turns=[])
    second = expectation(both, lambda z: both.given(z)[1], kink=FAR, turns=[])
    assert [float(first), float(second)] == pytest.approx([2.0, 3.0], rel=1e-12)


def test_a_corner_moves_with_its_place() -> None:
    """E[(z - k)^+] has the slope -N(-k) and the curvature n(k)."""
    place = torch.tensor([0.4], dtype=torch.float64, requires_grad=True)
    value = expectation(pair(0.5), lambda z: (z - place[:, None]).clamp(min=0.0), kink=place, turns=[])
    (slope,) = torch.autograd.grad(value.sum(), place, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), place)
    exact = [norm.pdf(0.4) - 0.4 * norm.sf(0.4), -norm.sf(0.4), norm.pdf(0.4)]
    assert [float(part.detach()) for part in (value, slope, bend)] == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("width", [1e-6, 1e-3, 0.1, 1.0])
def test_a_turn_is_resolved_whatever_its_width(width: float) -> None:
    """E[N((z - k) / w)] = N(-k / sqrt(1 + w^2))."""
    place, wide = torch.tensor([0.7], dtype=torch.float64), torch.tensor([width], dtype=torch.float64)

    def given(z: Tensor) -> Tensor:
        return 0.5 * torch.erfc(-(z - place[:, None]) / (width * math.sqrt(2.0)))

    value = expectation(pair(0.5), given, kink=FAR, turns=[Turn(place=place, width=wide)])
    assert float(value) == pytest.approx(float(norm.cdf(-0.7 / math.sqrt(1.0 + width * width))), rel=1e-13)


def test_a_crossing_is_found_from_either_side() -> None:
    low, high = torch.tensor([-9.0], dtype=torch.float64), torch.tensor([9.0], dtype=torch.float64)
    assert float(crossing(lambda z: z - 1.25, low, high)) == pytest.approx(1.25, abs=1e-14)
    assert float(crossing(lambda z: 1.25 - z, low, high)) == pytest.approx(1.25, abs=1e-14)
