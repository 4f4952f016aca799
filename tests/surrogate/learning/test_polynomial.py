from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from msgspec.structs import replace as replace_fields
from torch import Tensor

from pricing.errors import InvalidSpec
from surrogate.dataset import Dataset
from surrogate.errors import SurrogateError
from surrogate.functions.polynomial import value, value_gradient_hessian
from surrogate.learning.polynomial import fit_polynomial
from surrogate.spec import PolynomialSpec

Function = Callable[[Tensor], Tensor]
Autograd = Callable[[Function, Tensor], tuple[Tensor, Tensor, Tensor]]
Labelled = Callable[..., Dataset]
ALL = PolynomialSpec(degree=3, inputs="features")


def cubic(x: Tensor) -> Tensor:
    """A polynomial of degree 3 in raw units far from standardised ones."""
    return 7.0 + 3.0 * x[:, 0] ** 3 - 2.0 * x[:, 0] * x[:, 1] * x[:, 2] + x[:, 2] ** 2 - x[:, 1]


def bent(x: Tensor) -> Tensor:
    """The same of one direction of the features, and no polynomial."""
    return torch.exp(0.3 * x @ x.new_tensor([1.0, -2.0, 0.5]))


@pytest.fixture
def labelled(by_autograd: Autograd, generator: torch.Generator) -> Labelled:
    """Values and gradients of a function at random points."""

    def made(function: Function, samples: int = 300) -> Dataset:
        x = 5.0 + 2.0 * torch.rand(samples, 3, generator=generator, dtype=torch.float64)
        y, gradient, _ = by_autograd(function, x)
        return Dataset(x=x, y=y, gradient=gradient)

    return made


@pytest.mark.parametrize("spec", [ALL, PolynomialSpec(degree=3), PolynomialSpec(degree=3, axes=3)])
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_a_polynomial_is_found_again_with_its_derivatives(
    spec: PolynomialSpec, weight: float, labelled: Labelled, by_autograd: Autograd
) -> None:
    data = labelled(cubic)
    found = fit_polynomial(data, replace_fields(spec, derivative_weight=weight)).surrogate
    fresh = labelled(cubic).x
    for got, want in zip(value_gradient_hessian(found, fresh), by_autograd(cubic, fresh), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-7, atol=1e-6)


def test_one_axis_takes_one_term_a_degree(labelled: Labelled, by_autograd: Autograd) -> None:
    data = labelled(bent)
    found = fit_polynomial(data, PolynomialSpec(degree=9))
    assert found.axes is not None
    assert len(found.axes) == 1
    assert len(found.surrogate.coefficients) == 10
    assert found.surrogate.parameters <= 3 + 1 + 10
    for got, want in zip(value_gradient_hessian(found.surrogate, data.x), by_autograd(bent, data.x), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("digits", [16, 5, 4])
def test_axes_without_influence_do_no_harm(
    digits: int, generator: torch.Generator, labelled: Labelled, by_autograd: Autograd
) -> None:
    """Of three axes of one direction two have deltas that are rounding: as large as in files of so many digits."""
    data = labelled(bent)
    assert data.gradient is not None
    rounding = 0.1**digits * torch.randn(data.gradient.shape, generator=generator, dtype=torch.float64)
    found = fit_polynomial(replace(data, gradient=data.gradient * (1.0 + rounding)), PolynomialSpec(degree=9, axes=3))
    for got, want in zip(value_gradient_hessian(found.surrogate, data.x), by_autograd(bent, data.x), strict=True):
        assert float((got - want).norm()) < 1e-2 * float(want.norm())


def test_a_feature_without_influence_does_no_harm(
    generator: torch.Generator, labelled: Labelled, by_autograd: Autograd
) -> None:
    """Deltas that ought to be 0, and are so but for rounding, are as good as none."""
    data = labelled(lambda x: x[:, 0] ** 3 - x[:, 0] * x[:, 2])
    assert data.gradient is not None
    data.gradient[:, 1] = 1e-16 * torch.randn(len(data), generator=generator, dtype=torch.float64)
    found = value_gradient_hessian(fit_polynomial(data, ALL).surrogate, data.x)
    exact = by_autograd(lambda x: x[:, 0] ** 3 - x[:, 0] * x[:, 2], data.x)
    for got, want in zip(found, exact, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-6, atol=1e-6)


def test_values_alone_need_no_deltas_and_axes_do(labelled: Labelled) -> None:
    data = replace(labelled(cubic), gradient=None)
    spec = PolynomialSpec(degree=3, inputs="features", derivative_weight=0.0)
    assert spec.order == 0
    torch.testing.assert_close(value(fit_polynomial(data, spec).surrogate, data.x), data.y)
    with pytest.raises(SurrogateError, match="needs delta labels"):
        fit_polynomial(data, PolynomialSpec(degree=3, derivative_weight=0.0))


def test_deltas_of_one_path_beat_values_of_one_path(generator: torch.Generator) -> None:
    """A call on one path a sample: the same rows with their slopes give better values, deltas and gammas."""
    x = torch.rand(4096, 1, generator=generator, dtype=torch.float64) * 2.0
    end = x + 0.3 * torch.randn(4096, 1, generator=generator, dtype=torch.float64)
    data = Dataset(x=x, y=(end - 1.0).clamp(min=0.0)[:, 0], gradient=(end > 1.0).double())
    d = (x[:, 0] - 1.0) / 0.3
    above, density = torch.special.ndtr(d), torch.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)
    exact = (0.3 * (d * above + density), above[:, None], (density / 0.3)[:, None, None])
    errors = []
    for weight in (0.0, 1.0):
        spec = PolynomialSpec(inputs="features", derivative_weight=weight)
        found = value_gradient_hessian(fit_polynomial(data, spec).surrogate, x)
        errors.append([float((got - want).norm()) for got, want in zip(found, exact, strict=True)])
    assert all(with_slopes < alone for alone, with_slopes in zip(*errors, strict=True))


def test_noise_in_deltas_makes_axes_and_the_error_asks_for_their_number(generator: torch.Generator) -> None:
    """One direction of seven features; deltas of one path have noise in every other direction."""
    x = torch.rand(500, 7, generator=generator, dtype=torch.float64)
    y = x.sum(dim=1).square()
    gradient = 2.0 * x.sum(dim=1, keepdim=True).expand(-1, 7)
    noisy = gradient * (1.0 + 0.3 * torch.randn(gradient.shape, generator=generator, dtype=torch.float64))
    with pytest.raises(InvalidSpec, match=r"7 of 7 lose at most.*noise.*11440 terms.*give axes") as error:
        fit_polynomial(Dataset(x=x, y=y, gradient=noisy), PolynomialSpec(degree=9))
    assert error.value.fields["path"] == "polynomial.axes"
    found = fit_polynomial(Dataset(x=x, y=y, gradient=gradient), PolynomialSpec(degree=9))
    assert found.axes is not None
    assert len(found.axes) == 1
