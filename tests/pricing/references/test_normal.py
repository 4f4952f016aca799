from __future__ import annotations

import pytest
import torch
from scipy.stats import norm

from pricing.references.normal import distribution, gaussian, gaussian_digital, lognormal, lognormal_digital

X = torch.linspace(-3.0, 3.0, 7, dtype=torch.float64)


@pytest.mark.parametrize("x", [-37.0, -20.0, -9.0, -1.0, 0.0, 5.0])
def test_the_distribution_keeps_its_digits_in_the_thin_tail(x: float) -> None:
    assert float(distribution(torch.tensor(x, dtype=torch.float64))) == pytest.approx(float(norm.cdf(x)), rel=1e-12)


@pytest.mark.parametrize("formula", [gaussian, lognormal])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_formulas_have_two_derivatives(formula, sign: float) -> None:  # type: ignore[no-untyped-def]
    numbers = ([1.3, 0.7, 1.0, 1.0], [1.0, 1.1, 1.4, 1.0], [0.3, 2.5, 0.09, 1e-3])
    parts = [torch.tensor(part, dtype=torch.float64, requires_grad=True) for part in numbers]
    assert torch.autograd.gradcheck(lambda *x: formula(*x, sign=sign), parts, eps=1e-7)
    assert torch.autograd.gradgradcheck(lambda *x: formula(*x, sign=sign), parts, eps=1e-7, rtol=1e-4)


@pytest.mark.parametrize("scale", [1e-14, 1.0, 1e12])
@pytest.mark.parametrize("formula", [gaussian, lognormal])
def test_formulas_have_no_unit(formula, scale: float) -> None:  # type: ignore[no-untyped-def]
    mean, strike = (torch.tensor(number, dtype=torch.float64) for number in (1.1, 1.0))
    variance = torch.tensor(0.04, dtype=torch.float64)
    moved = variance * scale**2 if formula is gaussian else variance
    value = formula(mean * scale, strike * scale, moved, sign=1.0)
    assert float(value) == pytest.approx(scale * float(formula(mean, strike, variance, sign=1.0)), rel=1e-14)


@pytest.mark.parametrize("formula", [gaussian, gaussian_digital, lognormal, lognormal_digital])
@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("numbers", [(1.2, 1.0, 0.0), (0.0, 1.0, 0.04), (0.0, 1.0, 0.0), (1.0, 0.0, 0.04)])
def test_limits_have_finite_derivatives(formula, sign: float, numbers: tuple[float, float, float]) -> None:  # type: ignore[no-untyped-def]
    parts = [torch.tensor(number, dtype=torch.float64, requires_grad=True) for number in numbers]
    value = formula(*parts, sign=sign)
    first = torch.autograd.grad(value, parts, create_graph=True, allow_unused=True)
    assert torch.isfinite(value)
    assert all(part is None or bool(torch.isfinite(part)) for part in first)
    for part in first:
        if part is not None and part.requires_grad:
            second = torch.autograd.grad(part, parts, retain_graph=True, allow_unused=True)
            assert all(entry is None or bool(torch.isfinite(entry)) for entry in second)


def test_a_lognormal_put_is_a_call_less_a_forward() -> None:
    forward = torch.exp(X)
    strike, variance = torch.tensor(1.3, dtype=torch.float64), torch.tensor(0.09, dtype=torch.float64)
    call, put = (lognormal(forward, strike, variance, sign=sign) for sign in (1.0, -1.0))
    assert torch.allclose(call - put, forward - strike, rtol=0.0, atol=1e-13)
