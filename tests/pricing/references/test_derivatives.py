from __future__ import annotations

import numpy as np
import pytest
from torch import Tensor

from pricing.references.derivatives import ROWS, Order, differentiate

X = np.random.default_rng(1).uniform(0.5, 1.5, (2 * ROWS + 3, 3))


def cubic(x: Tensor) -> Tensor:
    """The function a^2 b + b c. Shape: batch 3 -> batch."""
    a, b, c = x.unbind(dim=1)
    return a * a * b + b * c


def test_a_polynomial_has_its_own_derivatives() -> None:
    a, b, c = X.T
    value, gradient, hessian = differentiate(cubic, X, order=2)
    one, zero = np.ones_like(a), np.zeros_like(a)
    rows = [[2.0 * b, 2.0 * a, zero], [2.0 * a, zero, one], [zero, one, zero]]
    np.testing.assert_allclose(value, a * a * b + b * c, rtol=1e-14)
    np.testing.assert_allclose(gradient, np.stack([2.0 * a * b, a * a + c, b], axis=1), rtol=1e-14)
    np.testing.assert_allclose(hessian, np.array(rows).transpose(2, 0, 1), rtol=1e-14)


@pytest.mark.parametrize("rows", [1, 7, len(X), 10 * len(X)])
def test_blocks_of_any_size_are_the_same_numbers(rows: int) -> None:
    for ours, theirs in zip(differentiate(cubic, X, order=2, rows=rows), differentiate(cubic, X, order=2), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("order", [0, 1])
def test_beyond_the_order_are_zeros(order: Order) -> None:
    whole, got = differentiate(cubic, X, order=2), differentiate(cubic, X, order=order)
    for k, (ours, theirs) in enumerate(zip(got, whole, strict=True)):
        assert ours.shape == theirs.shape
        np.testing.assert_array_equal(ours, theirs if k <= order else np.zeros_like(theirs))
