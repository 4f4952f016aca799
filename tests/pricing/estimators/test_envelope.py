from __future__ import annotations

import math
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.estimators.envelope import Lines, ramp
from pricing.specs.european import Side

Rank = Literal["lowest", "highest"]
Law = Literal["additive", "multiplicative"]


def lines(amounts: Tensor, slopes: Tensor, strike: Tensor, law: Law) -> Lines:
    return Lines(amounts=amounts, slopes=slopes, strike=strike, law=law)


def five() -> tuple[Tensor, Tensor, Tensor]:
    """Three paths of five assets, slopes of both signs, two of them alike."""
    amounts = 0.8 + 0.4 * torch.rand((1, 3, 5), dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    slopes = torch.tensor([[[0.3, -0.1, 0.2, 0.2, 0.0]]], dtype=torch.float64)
    return amounts, slopes, torch.tensor([[0.95]], dtype=torch.float64)


@pytest.mark.parametrize("law", ["additive", "multiplicative"])
@pytest.mark.parametrize("rank", ["lowest", "highest"])
@pytest.mark.parametrize("side", ["call", "put"])
def test_expectation_by_quadrature(law: Law, rank: Rank, side: Side) -> None:
    amounts, slopes, strike = five()
    t = torch.linspace(-10.0, 10.0, 200_001, dtype=torch.float64)
    along = slopes[..., None] * t
    levels = amounts[..., None] + along if law == "additive" else amounts[..., None] * torch.exp(along)
    ranked = levels.amin(dim=2) if rank == "lowest" else levels.amax(dim=2)
    cash = torch.relu((ranked - strike[..., None]) * (1.0 if side == "call" else -1.0))
    expected = (cash * torch.exp(-0.5 * t * t)).sum(dim=-1) * (t[1] - t[0]) / math.sqrt(2.0 * math.pi)
    torch.testing.assert_close(ramp(lines(amounts, slopes, strike, law), rank, side), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("law", ["additive", "multiplicative"])
@pytest.mark.parametrize("rank", ["lowest", "highest"])
def test_first_and_second_derivatives(law: Law, rank: Rank) -> None:
    """Through the switches of the worst as well: what smoothing by a kernel only approaches."""
    arguments = [tensor.requires_grad_() for tensor in five()]
    for side in ("call", "put"):

        def value(amounts: Tensor, slopes: Tensor, strike: Tensor, side: Side = side) -> Tensor:
            return ramp(lines(amounts, slopes, strike, law), rank, side)

        assert torch.autograd.gradcheck(value, arguments, atol=1e-7)
        assert torch.autograd.gradgradcheck(value, arguments, atol=1e-6)


@pytest.mark.parametrize("law", ["additive", "multiplicative"])
def test_equal_lines_count_once(law: Law) -> None:
    amounts, slopes = torch.tensor([[[1.0, 1.0, 1.2]]]).double(), torch.tensor([[[0.2, 0.2, 0.2]]]).double()
    strike = torch.tensor([[1.0]], dtype=torch.float64)
    alone = ramp(lines(amounts[..., :1], slopes[..., :1], strike, law), "lowest", "call")
    torch.testing.assert_close(ramp(lines(amounts, slopes, strike, law), "lowest", "call"), alone, rtol=1e-14, atol=0)


@pytest.mark.parametrize("level", [0.0, 0.7, 1.0, 1.3])
def test_no_randomness_leaves_the_payoff(level: float) -> None:
    amounts = torch.tensor([[[level, 2.0]]], dtype=torch.float64, requires_grad=True)
    still, strike = torch.zeros(1, 1, 2, dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    for law in ("additive", "multiplicative"):
        worst = ramp(lines(amounts, still, strike, law), "lowest", "put")
        assert float(worst.detach()) == pytest.approx(max(1.0 - level, 0.0), abs=1e-15)
        (gradient,) = torch.autograd.grad(worst.sum(), amounts)
        assert np.isfinite(gradient.numpy()).all()


@pytest.mark.parametrize(("rank", "sign"), [("highest", 1.0), ("lowest", -1.0)])
def test_curvature_of_assets_that_cross_away_from_the_strike(rank: Rank, sign: float) -> None:
    """E max(a + s t, b - s t) at a = b bends by the density of the crossing alone: n(0) / (2 s) (1, -1) (1, -1)^T."""
    amounts = torch.tensor([[[2.0, 2.0]]], dtype=torch.float64, requires_grad=True)
    slopes, strike = torch.tensor([[[0.1, -0.1]]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64)
    value = ramp(lines(amounts, slopes, strike, "additive"), rank, "call")
    (gradient,) = torch.autograd.grad(value.sum(), amounts, create_graph=True)
    bend = torch.stack([torch.autograd.grad(g, amounts, retain_graph=True)[0] for g in gradient.flatten()])
    size = sign / (0.2 * math.sqrt(2.0 * math.pi))
    torch.testing.assert_close(bend[:, 0, 0], size * torch.tensor([[1.0, -1.0], [-1.0, 1.0]], dtype=torch.float64))
