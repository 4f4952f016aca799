from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.estimators.exponentials import Exponentials, ramp, region, step
from pricing.specs.european import Side
from pricing.types import Array

SIDES: tuple[Side, ...] = ("call", "put")
# Sums of four items with positive weights and slopes, with slopes of both signs (convex), and with weights and slopes
# of the same, changing sign (increasing); strikes of both signs.
CASES = {
    "increasing": ((0.5, 0.2, 0.9, 0.4), (0.1, 0.3, 0.2, 0.0), 1.9),
    "convex": ((0.5, 0.2, 0.9, 0.4), (0.3, -0.2, 0.5, -0.4), 2.7),
    "long_short": ((0.9, -0.5, 0.4, -0.3), (0.3, -0.2, 0.1, -0.4), 0.4),
    "below_zero": ((0.9, -0.5, 0.4, -0.9), (0.3, -0.2, 0.1, -0.4), -0.2),
}


def tensors(case: str) -> tuple[Tensor, Tensor, Tensor]:
    amounts, slopes, strike = CASES[case]
    a = torch.tensor([amounts, [1.3 * x for x in amounts]], dtype=torch.float64)[None]
    return a, torch.tensor([[slopes]], dtype=torch.float64), torch.tensor([[strike]], dtype=torch.float64)


def function(amounts: Tensor, slopes: Tensor, strike: Tensor) -> Exponentials:
    return Exponentials(amounts=amounts, slopes=slopes, strike=strike)


def by_trapezium(case: str, side: Side) -> tuple[Array, Array]:
    """Expected ramp and probability of exercise of both paths on a fine grid."""
    amounts, slopes, strike = (tensor.numpy() for tensor in tensors(case))
    t = np.linspace(-12.0, 12.0, 400_001)
    f = (amounts[0][:, :, None] * np.exp(slopes[0].T * t)).sum(axis=1) - strike[0]
    signed = f if side == "call" else -f
    weight = np.exp(-0.5 * t * t) / math.sqrt(2.0 * math.pi) * (t[1] - t[0])
    return (np.maximum(signed, 0.0) * weight).sum(axis=1), ((signed > 0.0) * weight).sum(axis=1)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("side", SIDES)
def test_expectations_by_quadrature(case: str, side: Side) -> None:
    expected, probability = by_trapezium(case, side)
    f = function(*tensors(case))
    np.testing.assert_allclose(ramp(f, side)[0], expected, atol=1e-9)
    np.testing.assert_allclose(step(f, side)[0], probability, atol=4e-5)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("side", SIDES)
def test_first_and_second_derivatives(case: str, side: Side) -> None:
    arguments = [tensor.requires_grad_() for tensor in tensors(case)]
    for expectation in (ramp, step):

        def value(amounts: Tensor, slopes: Tensor, strike: Tensor, expectation=expectation) -> Tensor:  # type: ignore[no-untyped-def]
            expected: Tensor = expectation(function(amounts, slopes, strike), side)
            return expected

        assert torch.autograd.gradcheck(value, arguments, atol=1e-7)
        assert torch.autograd.gradgradcheck(value, arguments, atol=1e-6)


def test_one_item_is_the_formula_of_black() -> None:
    """a e^(ct): a e^(c^2 / 2) N(d1) - K N(d2)."""
    a, c, strike = 1.2, 0.3, 1.1
    f = function(*(torch.tensor(x, dtype=torch.float64) for x in ([[[a]]], [[[c]]], [[strike]])))
    d2 = math.log(a / strike) / c
    n1, n2 = (0.5 * math.erfc(-d / math.sqrt(2.0)) for d in (d2 + c, d2))
    assert float(ramp(f, "call")) == pytest.approx(a * math.exp(0.5 * c * c) * n1 - strike * n2, rel=1e-14)
    assert float(step(f, "call")) == pytest.approx(n2, rel=1e-14)


def test_a_convex_sum_that_stays_above_its_strike_is_always_exercised() -> None:
    f = function(*(torch.tensor(x, dtype=torch.float64) for x in ([[[1.0, 1.0]]], [[[0.5, -0.5]]], [[1.9]])))
    assert len(region(f)) == 2
    assert float(step(f, "call")) == 1.0
    assert float(step(f, "put")) == pytest.approx(0.0, abs=1e-16)
    assert float(ramp(f, "call")) == pytest.approx(2.0 * math.exp(0.125) - 1.9, rel=1e-14)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize(
    ("amount", "slope", "strike"),
    [(0.0, 0.2, 1.0), (1.0, 0.0, 1.0), (1.0, 0.0, 2.0), (1.0, 0.0, 0.5), (1.0, 0.2, 0.0), (1.0, 0.2, -1.0), (0.0,) * 3],
)
def test_limits_are_finite(side: Side, amount: float, slope: float, strike: float) -> None:
    """No spot, no volatility, no strike: the payoff of the one level, 0 from below 1e-15, and finite derivatives."""
    given = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in ([[[amount]]], [[[slope]]], [[strike]])]
    signed = (amount * math.exp(0.5 * slope * slope) - strike) * (1.0 if side == "call" else -1.0)
    assert float(ramp(function(*given), side).detach()) == pytest.approx(max(signed, 0.0), abs=1e-15)
    for expectation in (ramp, step):
        slopes = torch.autograd.grad(expectation(function(*given), side).sum(), given, create_graph=True)
        bends = torch.autograd.grad(sum(slope.sum() for slope in slopes), given, allow_unused=True)  # type: ignore[arg-type]
        assert all(bool(torch.isfinite(label).all()) for label in (*slopes, *bends) if label is not None)
