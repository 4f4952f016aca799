"""What rates and volatilities add up to is what the simulation says, on either side of every change and at it."""

from __future__ import annotations

import pytest
import torch

from pricing.simulation import scenario
from pricing.specs.schedule import Piece
from surrogate.reductions.expressions import constant, enclose, evaluate, feature
from surrogate.reductions.schedule import integral, lengths

PIECES = (Piece(start=0.5, value=0.0), Piece(start=1.25, value=0.0))
VALUES = (0.02, 0.07, -0.03)


@pytest.mark.parametrize("pieces", [PIECES, PIECES[:1], ()])
def test_the_integral_and_its_slope(pieces: tuple[Piece, ...]) -> None:
    """At a change itself the slope is that of the piece that begins."""
    values = torch.tensor(VALUES[: len(pieces) + 1], dtype=torch.float64)
    years = torch.tensor([[0.1], [0.5], [0.9], [1.25], [2.0]], dtype=torch.float64).requires_grad_()
    (formula,) = evaluate([integral(constant(VALUES[: len(pieces) + 1]), pieces, feature(0, 1))], years)
    (slope,) = torch.autograd.grad(formula.sum(), years)
    right = scenario.integral(values[None, None], pieces, years[:, None])
    (expected,) = torch.autograd.grad(right.sum(), years)
    torch.testing.assert_close(formula[:, 0], right[:, 0, 0], rtol=1e-11, atol=1e-13)
    torch.testing.assert_close(slope, expected, rtol=0.0, atol=0.0)
    place = [sum(piece.start <= float(year) for piece in pieces) for year in years.detach()[:, 0]]
    torch.testing.assert_close(slope[:, 0], values[place], rtol=0.0, atol=0.0)


def test_lengths_are_bounded_as_they_are() -> None:
    low, high = (torch.tensor([year], dtype=torch.float64) for year in (0.1, 1.0))
    least, most = enclose(lengths(PIECES, feature(0, 1)), low, high)
    torch.testing.assert_close(least, torch.tensor([0.1, 0.0, 0.0], dtype=torch.float64))
    torch.testing.assert_close(most, torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64))
