from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.regression import (
    Polynomial,
    design,
    design_gradient,
    evaluate,
    fit,
    make_basis,
    value_gradient_hessian,
)


@pytest.fixture
def x() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 5.0 + 2.0 * torch.randn(2000, 3, generator=generator, dtype=torch.float64)


def random_polynomial(x: Tensor, degree: int) -> Polynomial:
    basis = make_basis(x, degree)
    generator = torch.Generator().manual_seed(1)
    return Polynomial(
        basis=basis, coefficients=torch.randn(len(basis), generator=generator, dtype=torch.float64), ridge=0.0
    )


def labels(polynomial: Polynomial, x: Tensor) -> tuple[Tensor, Tensor]:
    y, gradient, _ = value_gradient_hessian(polynomial, x)
    return y, gradient


@pytest.mark.parametrize("degree", [0, 1, 2, 5])
def test_every_monomial_up_to_the_degree_has_a_term(degree: int, x: Tensor) -> None:
    basis = make_basis(x, degree)
    assert len(basis) == math.comb(3 + degree, degree)
    assert basis.degree == degree
    assert not basis.exponents[0].any()
    assert len({tuple(row) for row in basis.exponents.tolist()}) == len(basis)


def test_terms_are_orthonormal_under_the_normal_law() -> None:
    generator = torch.Generator().manual_seed(2)
    z = torch.randn(1 << 17, 2, generator=generator, dtype=torch.float64)
    phi = design(make_basis(z, 3), z)
    torch.testing.assert_close(phi.T @ phi / len(z), torch.eye(10, dtype=torch.float64), rtol=0.0, atol=0.06)


def test_derivatives_are_those_of_the_value(x: Tensor) -> None:
    polynomial, points = random_polynomial(x, 4), x[:50].clone().requires_grad_()
    y = evaluate(polynomial, points)
    (gradient,) = torch.autograd.grad(y.sum(), points, create_graph=True)
    hessian = [torch.autograd.grad(g.sum(), points, retain_graph=True)[0] for g in gradient.unbind(dim=1)]
    derivatives = value_gradient_hessian(polynomial, points.detach())
    for got, expected in zip(derivatives, (y, gradient, torch.stack(hessian, dim=1)), strict=True):
        torch.testing.assert_close(got, expected.detach(), rtol=1e-10, atol=1e-12)
    slopes = design_gradient(polynomial.basis, points.detach())
    torch.testing.assert_close(torch.einsum("nti,t->ni", slopes, polynomial.coefficients), derivatives[1])


@pytest.mark.parametrize("differential", [False, True])
def test_a_polynomial_is_found_again(differential: bool, x: Tensor) -> None:
    polynomial = random_polynomial(x, 4)
    y, gradient = labels(polynomial, x)
    fitted = fit(polynomial.basis, x, y, gradient=gradient if differential else None)
    torch.testing.assert_close(fitted.coefficients, polynomial.coefficients, rtol=0.0, atol=1e-8)


def test_coefficients_solve_the_weighted_normal_equations(x: Tensor) -> None:
    """Against numpy's least squares on the stacked rows, with lambda_j = Var y / E (d_j y)^2."""
    generator = torch.Generator().manual_seed(3)
    y, gradient = torch.randn(2000, generator=generator, dtype=torch.float64), torch.exp(x / 8.0)
    weight = torch.rand(2000, generator=generator, dtype=torch.float64)
    basis = make_basis(x, 2)
    fitted = fit(basis, x, y, gradient=gradient, weight=weight, ridge=0.0)
    mean = (weight * y).sum() / weight.sum()
    variance = (weight * (y - mean).square()).sum() / weight.sum()
    blocks, targets = [design(basis, x)], [y]
    for j, slopes in enumerate(design_gradient(basis, x).unbind(dim=2)):
        size = (variance / ((weight * gradient[:, j].square()).sum() / weight.sum())).sqrt()
        blocks.append(size * slopes)
        targets.append(size * gradient[:, j])
    root = weight.sqrt()
    rows, right = torch.cat([root[:, None] * b for b in blocks]), torch.cat([root * t for t in targets])
    expected = torch.linalg.lstsq(rows, right[:, None]).solution[:, 0]
    torch.testing.assert_close(fitted.coefficients, expected, rtol=1e-9, atol=1e-11)


def test_a_sample_of_weight_zero_is_as_good_as_absent(x: Tensor) -> None:
    y, basis = torch.sin(x).sum(dim=1), make_basis(x, 3)
    keep = x[:, 0] > 5.0
    masked = fit(basis, x, y.where(keep, 1e9), weight=keep.double(), ridge=1e-8)
    alone = fit(basis, x[keep], y[keep], ridge=1e-8)
    torch.testing.assert_close(masked.coefficients, alone.coefficients, rtol=1e-7, atol=1e-9)


def test_differentials_beat_values_alone_on_noisy_labels(x: Tensor) -> None:
    """One noisy label a sample, the same samples: values and slopes are both nearer to the truth, for every seed."""
    polynomial = random_polynomial(x, 3)
    y, gradient = labels(polynomial, x)
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)

        def noisy(label: Tensor, generator: torch.Generator = generator) -> Tensor:
            return label + label.std() * torch.randn(label.shape, generator=generator, dtype=label.dtype)

        target, slopes = noisy(y), noisy(gradient)
        plain, differential = (fit(polynomial.basis, x, target, gradient=g) for g in (None, slopes))
        for order, truth in enumerate((y, gradient)):
            errors = [float((labels(fitted, x)[order] - truth).norm()) for fitted in (plain, differential)]
            assert errors[1] < errors[0]


def test_noise_raises_the_ridge(x: Tensor) -> None:
    """Pure noise is worth no coefficient but the mean's; exact labels need no ridge."""
    basis, generator = make_basis(x[:100], 4), torch.Generator().manual_seed(4)
    noise = torch.randn(100, generator=generator, dtype=torch.float64)
    exact = evaluate(random_polynomial(x[:100], 4), x[:100])
    fitted = fit(basis, x[:100], noise)
    assert fit(basis, x[:100], exact).ridge < 1e-9 < fitted.ridge
    free = fit(basis, x[:100], noise, ridge=0.0)
    assert fitted.coefficients.norm() < 0.5 * free.coefficients.norm()


def test_inputs_that_do_not_vary_and_labels_that_are_zero_leave_finite_coefficients(x: Tensor) -> None:
    still = torch.cat([x, torch.ones(2000, 1, dtype=torch.float64)], dim=1)
    basis = make_basis(still, 2)
    y, gradient = torch.zeros(2000, dtype=torch.float64), torch.zeros(2000, 4, dtype=torch.float64)
    assert not fit(basis, still, y, gradient=gradient).coefficients.any()
    varied = fit(basis, still, still[:, 0] ** 2, gradient=gradient + 1.0)
    assert torch.isfinite(varied.coefficients).all()


def test_too_many_terms_are_refused(x: Tensor) -> None:
    with pytest.raises(InvalidSpec, match="at most 2048"):
        make_basis(x.repeat(1, 20), 3)
