"""The law of a variance after a step: moments against quadrature, and a map that is smooth where others switch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from pricing.processes.rectified_square import (
    HIGHEST,
    LARGEST,
    LOWEST,
    SMALLEST,
    log_spread,
    moments,
    shape,
    standardised,
)


@pytest.mark.parametrize("b", [-4.0, -1.5, 0.0, 0.7, 3.0])
def test_moments_are_those_of_the_rectified_square(b: float) -> None:
    def integral(power: int) -> float:
        return float(quad(lambda z: (b + z) ** (2 * power) * norm.pdf(z), -b, 12.0, epsabs=0, epsrel=1e-12)[0])

    mean, variance = moments(torch.tensor(b, dtype=torch.float64))
    assert float(mean) == pytest.approx(integral(1), rel=1e-10)
    assert float(variance) == pytest.approx(integral(2) - integral(1) ** 2, rel=1e-9)


def divided(offset: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return offset / w


def test_shape_inverts_the_spread_over_its_whole_range() -> None:
    r = torch.logspace(np.log10(SMALLEST), np.log10(LARGEST), 1001, dtype=torch.float64)
    b = divided(*shape(r))
    torch.testing.assert_close(torch.exp(log_spread(b)[0]), r, rtol=1e-7, atol=0.0)
    assert float(b.max()) == pytest.approx(HIGHEST, rel=1e-6)
    assert float(b.min()) == pytest.approx(LOWEST, rel=1e-6)


def test_quadratic_branch_of_andersen_is_the_limit_of_small_spreads() -> None:
    # b^2 = 2 / psi - 1 + sqrt(2 / psi) sqrt(2 / psi - 1), psi = r^2 (Andersen 2008, proposition 5).
    r = torch.tensor([1e-3, 1e-2, 0.1, 0.2], dtype=torch.float64)
    inverse = 2.0 / r.square()
    torch.testing.assert_close(
        divided(*shape(r)).square(), inverse - 1.0 + (inverse * (inverse - 1.0)).sqrt(), rtol=1e-6, atol=0.0
    )


@pytest.mark.parametrize("r", [0.0, 0.05, 0.5, 1.2, 1.5, 4.0])
def test_standardised_has_mean_zero_and_variance_one_and_is_never_too_negative(r: float) -> None:
    z = torch.linspace(-9.0, 9.0, 200_001, dtype=torch.float64)
    weight = torch.exp(-0.5 * z.square()) / np.sqrt(2.0 * np.pi) * (z[1] - z[0])
    zeta, relative = standardised(torch.tensor(r, dtype=torch.float64), z)
    assert float((weight * zeta).sum()) == pytest.approx(0.0, abs=1e-8)
    assert float((weight * zeta.square()).sum()) == pytest.approx(1.0, abs=1e-7)
    torch.testing.assert_close(relative, 1.0 + r * zeta, rtol=0.0, atol=1e-12)
    positive = z > -float(divided(*shape(torch.tensor(max(r, SMALLEST), dtype=torch.float64))))
    assert bool((relative[positive] > 0.0).all())
    assert bool((relative[~positive] == 0.0).all())


def test_derivatives_are_right_to_second_order_across_the_old_switch() -> None:
    z = torch.linspace(-2.0, 2.0, 7, dtype=torch.float64)

    def positive_part(r: torch.Tensor) -> torch.Tensor:
        return standardised(r, z)[0]

    r = torch.linspace(1.0, 1.5, 7, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(positive_part, (r,))
    assert torch.autograd.gradgradcheck(positive_part, (r,))


def test_pathwise_second_derivative_of_a_mean_is_the_second_derivative_of_the_mean() -> None:
    z = torch.linspace(-9.0, 9.0, 400_001, dtype=torch.float64)
    weight = torch.exp(-0.5 * z.square()) / np.sqrt(2.0 * np.pi) * (z[1] - z[0])

    def mean(r: torch.Tensor) -> torch.Tensor:
        laplace: torch.Tensor = (weight * torch.exp(-(1.0 + r * standardised(r, z)[0]))).sum()
        return laplace

    r = torch.tensor(1.3, dtype=torch.float64, requires_grad=True)
    (first,) = torch.autograd.grad(mean(r), r, create_graph=True)
    (second,) = torch.autograd.grad(first, r)
    with torch.no_grad():
        up, here, down = (mean(r + shift) for shift in (1e-3, 0.0, -1e-3))
    assert first.item() == pytest.approx(float(up - down) / 2e-3, rel=1e-5)
    assert float(second) == pytest.approx(float(up - 2.0 * here + down) / 1e-6, rel=1e-3)
