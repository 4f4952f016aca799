from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from pricing.references.normal import bivariate, gaussian, gaussian_digital, lognormal, lognormal_digital

X = torch.linspace(-3.0, 3.0, 7, dtype=torch.float64)


@pytest.mark.parametrize("rho", [-0.95, -0.3, 0.0, 0.6, 0.99])
def test_the_bivariate_distribution_is_scipys(rho: float) -> None:
    x, y = (part.flatten() for part in torch.meshgrid(X, X, indexing="ij"))
    ours = bivariate(x, y, torch.tensor(rho, dtype=torch.float64)).numpy()
    law = multivariate_normal(cov=[[1.0, rho], [rho, 1.0]])
    assert np.abs(ours - law.cdf(np.stack([x.numpy(), y.numpy()], axis=1))).max() < 1e-7


def test_the_bivariate_distribution_has_two_derivatives() -> None:
    points = [torch.tensor(part, dtype=torch.float64, requires_grad=True) for part in ([0.3, -1.2], [0.7, 0.1])]
    rho = torch.tensor([0.5, -0.8], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(bivariate, (*points, rho))
    assert torch.autograd.gradgradcheck(bivariate, (*points, rho))


def test_perfect_correlation_is_the_smaller_of_two() -> None:
    together = bivariate(X, X.flip(0), torch.tensor(1.0, dtype=torch.float64)).numpy()
    assert np.abs(together - norm.cdf(np.minimum(X.numpy(), X.numpy()[::-1]))).max() < 1e-6


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
