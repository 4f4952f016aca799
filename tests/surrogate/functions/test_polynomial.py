from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pricing.regression import evaluate
from surrogate.functions import polynomial
from surrogate.functions.polynomial import FARTHEST, PolynomialSurrogate, value, value_gradient_hessian

Autograd = Callable[[Callable[[Tensor], Tensor], Tensor], tuple[Tensor, Tensor, Tensor]]


@pytest.fixture
def surrogate(generator: torch.Generator) -> PolynomialSurrogate:
    """Of degree 5 on two axes of three features."""
    numbers = torch.randn(21 + 6 + 2, generator=generator, dtype=torch.float64)
    return PolynomialSurrogate(
        matrix=numbers[:6].reshape(3, 2), offset=numbers[6:8], degree=5, coefficients=numbers[8:] / 5.0
    )


def test_derivatives_are_those_of_the_value(
    surrogate: PolynomialSurrogate,
    generator: torch.Generator,
    by_autograd: Autograd,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """By automatic differentiation of the recurrence, and of the value that formulas differentiate; in small blocks."""
    x = torch.rand(50, 3, generator=generator, dtype=torch.float64)
    whole = value_gradient_hessian(surrogate, x)
    plain = by_autograd(lambda at: evaluate(surrogate.inner, at @ surrogate.matrix + surrogate.offset), x)
    formula = by_autograd(lambda at: value(surrogate, at), x)
    monkeypatch.setattr(polynomial, "BLOCK_NUMBERS", 1000)
    for got, *others in zip(whole, plain, formula, value_gradient_hessian(surrogate, x), strict=True):
        for other in others:
            torch.testing.assert_close(got, other, rtol=1e-9, atol=1e-9)


def test_zeros_are_no_parameters_and_another_precision_is_the_same_polynomial(surrogate: PolynomialSurrogate) -> None:
    assert surrogate.parameters == 6 + 2 + 21
    single = surrogate.to(torch.float32)
    assert (single.dtype, single.degree) == (torch.float32, 5)
    x = torch.full((1, 3), 0.5, dtype=torch.float64)
    torch.testing.assert_close(value(single, x.float()).double(), value(surrogate, x), rtol=1e-4, atol=1e-4)


def test_far_outside_it_stays_finite() -> None:
    one = torch.ones(1, 1, dtype=torch.float64)
    surrogate = PolynomialSurrogate(matrix=one, offset=0.0 * one[0], degree=24, coefficients=one[0].repeat(25))
    for part in value_gradient_hessian(surrogate, 1e30 * one):
        assert part.isfinite().all()
    near, far = (value(surrogate, x * one) for x in (FARTHEST, 10.0 * FARTHEST))
    torch.testing.assert_close(near, far)
