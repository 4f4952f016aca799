"""Elementary functions at and beside the points where their usual formulas are 0 / 0."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.special import exprel as accurate_exprel
from scipy.special import log_ndtr, ndtr
from torch import Tensor

from pricing.elementary import SERIES, cumulative, density, exprel, mass, ratio, root, tail
from tests.pricing.cases import doubles

# On both sides of the switch to the series, at 0 and far from it.
AROUND = (-30.0, -1.0, -1.001 * SERIES, -0.999 * SERIES, -1e-9, 0.0, 1e-12, 0.5 * SERIES, 1.001 * SERIES, 2.0, 50.0)


def slopes(f: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """First and second derivative."""
    x = x.clone().requires_grad_()
    (slope,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    (bend,) = torch.autograd.grad(slope.sum(), x)
    return slope.detach(), bend


def test_exprel_keeps_every_digit_across_its_series() -> None:
    x = doubles(AROUND)
    np.testing.assert_allclose(exprel(x), accurate_exprel(x.numpy()), rtol=1e-15)


def test_derivatives_of_exprel_are_those_of_its_series() -> None:
    """f' = (e^x - f) / x away from 0, 1 / 2 and 1 / 3 at 0."""
    x = doubles(AROUND)
    slope, bend = slopes(exprel, x)
    far = x.abs() > 0.1
    expected = (torch.exp(x) - exprel(x)) / x
    torch.testing.assert_close(slope[far], expected[far], rtol=1e-12, atol=0.0)
    near = x.abs() < 2.0 * SERIES
    torch.testing.assert_close(slope[near], 0.5 + x[near] / 3.0 + x[near].square() / 8.0, rtol=1e-8, atol=0.0)
    torch.testing.assert_close(bend[near], 1.0 / 3.0 + x[near] / 4.0 + x[near].square() / 10.0, rtol=1e-5, atol=0.0)


def test_root_is_flat_at_zero_and_the_root_elsewhere() -> None:
    x = doubles([0.0, 1e-300, 0.3, 4.0])
    slope, bend = slopes(root, x)
    torch.testing.assert_close(root(x).square(), x, rtol=1e-15, atol=0.0)
    torch.testing.assert_close(slope[2:], 0.5 / x[2:].sqrt(), rtol=1e-15, atol=0.0)
    assert slope[0] == bend[0] == 0.0


def test_ratio_is_its_limit_without_a_derivative_where_nothing_divides() -> None:
    numerator, denominator = doubles([0.0, 1.0, 3.0]), doubles([0.0, 0.0, 2.0])
    numerator.requires_grad_()
    denominator.requires_grad_()
    quotient = ratio(numerator, denominator, limit=0.7)
    assert quotient.tolist() == [0.7, 0.7, 1.5]
    by_numerator, by_denominator = torch.autograd.grad(quotient.sum(), (numerator, denominator))
    assert by_numerator.tolist() == [0.0, 0.0, 0.5]
    assert by_denominator.tolist() == [0.0, 0.0, -0.75]


def test_distribution_function_is_the_integral_of_the_density() -> None:
    x = torch.linspace(-8.0, 8.0, 33, dtype=torch.float64)
    np.testing.assert_allclose(cumulative(x), ndtr(x.numpy()), rtol=1e-13)
    slope, bend = slopes(cumulative, x)
    torch.testing.assert_close(slope, density(x), rtol=1e-13, atol=0.0)
    torch.testing.assert_close(bend, -x * density(x), rtol=1e-12, atol=0.0)
    torch.testing.assert_close(cumulative(x) + cumulative(-x), torch.ones_like(x), rtol=0.0, atol=1e-15)
    assert density(doubles(0.0)).item() == pytest.approx(1.0 / math.sqrt(2.0 * math.pi), rel=1e-15)


def test_masses_do_not_cancel_in_the_upper_tail() -> None:
    low, high = torch.tensor([6.0, -7.0], dtype=torch.float64), torch.tensor([7.0, -6.0], dtype=torch.float64)
    upper, lower = mass(low, high)
    assert upper.item() == pytest.approx(lower.item(), rel=1e-14)
    assert lower.item() == pytest.approx(math.exp(log_ndtr(-6.0)) - math.exp(log_ndtr(-7.0)), rel=1e-12)


@pytest.mark.parametrize("x", [-30.0, -8.0, -6.0, -1.0, 0.0, 3.0])
def test_the_distribution_keeps_its_relative_accuracy_in_the_lower_tail(x: float) -> None:
    value = cumulative(torch.tensor(x, dtype=torch.float64)).log()
    assert value.item() == pytest.approx(float(log_ndtr(x)), rel=1e-13)


@pytest.mark.parametrize(("y", "weight"), [(-2.0, 0.1), (0.5, 0.3), (1.5, 1.0), (38.0, 700.0), (100.0, 5002.0)])
def test_a_weighted_tail_is_a_probability_whatever_its_factors(y: float, weight: float) -> None:
    got = tail(torch.tensor(y, dtype=torch.float64), torch.tensor(weight, dtype=torch.float64))
    assert got.item() == pytest.approx(math.exp(weight + log_ndtr(-y)), rel=1e-11)


def test_a_weighted_mass_has_two_derivatives() -> None:
    parts = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in ([-1.0, 2.0], [0.5, 3.0], [0.2, 1.5])]
    assert torch.autograd.gradcheck(mass, parts)
    assert torch.autograd.gradgradcheck(mass, parts)
