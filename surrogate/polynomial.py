"""Polynomials as surrogates: differential regression of the labels, on the features or on a few axes of them.

    f(x) = p(z),  z = x A + a,    p = sum_t b_t prod_j he_{n_tj}(z_j),    total degrees up to the degree

with he_n the normalised Hermite polynomials of `pricing.regression`. The axes, the standardisation and the units are
all in A, a and b, so that the polynomial takes raw features. Every derivative of p is a polynomial on the same terms:
value, gradient and Hessian are one product of the terms with a matrix of coefficients.

References: Huge & Savine (2020), "Differential machine learning"; Huge & Savine (2021), "Axes that matter".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.regression import Basis, Polynomial, derivatives, design, exponents, fit, make_basis, pairs
from pricing.specs.base import require_terms
from surrogate.dataset import Dataset, normalise
from surrogate.differential_pca import Axes, find_axes, project
from surrogate.scaling import fit_scaling
from surrogate.spec import PolynomialSpec

# Coordinates end here, in standard deviations of the samples, none of which lies so far out. A polynomial of a scaled
# price is asked anywhere, where the asymptote speaks and the polynomial must only stay finite.
FARTHEST = 10.0
# Deltas by every input weigh the same, but for inputs that move the value by less than this share of what the first one
# does: theirs may be rounding or noise, and would weigh as much as all that is known.
LEAST_INFLUENCE = 1e-2
# Numbers in one block of terms: 32 MB.
BLOCK_NUMBERS = 1 << 22


@dataclass(frozen=True, kw_only=True)
class PolynomialSurrogate:
    """A polynomial of raw features. Shape: matrix (feature, axis), offset (axis,), coefficients (term,)."""

    matrix: Tensor
    offset: Tensor
    degree: int
    coefficients: Tensor

    @property
    def dtype(self) -> torch.dtype:
        """Element type of the numbers."""
        return self.matrix.dtype

    @property
    def parameters(self) -> int:
        """Number of coefficients and of entries of the axes that are not exactly zero."""
        return int(sum(torch.count_nonzero(part) for part in (self.matrix, self.offset, self.coefficients)))

    def to(self, dtype: torch.dtype) -> PolynomialSurrogate:
        """The same polynomial with numbers of another element type."""
        numbers = {name: getattr(self, name).to(dtype) for name in ("matrix", "offset", "coefficients")}
        return replace(self, **numbers)

    @cached_property
    def inner(self) -> Polynomial:
        """P, a polynomial of z."""
        basis = Basis(
            exponents=exponents(self.matrix.shape[1], self.degree),
            mean=torch.zeros_like(self.offset),
            scale=torch.ones_like(self.offset),
        )
        return Polynomial(basis=basis, coefficients=self.coefficients, ridge=0.0)

    @cached_property
    def derivatives(self) -> Tensor:
        """Coefficients of value, gradient and Hessian by z. Shape: -> term, 1 + axis + pair."""
        return derivatives(self.inner)


@dataclass(frozen=True, kw_only=True)
class Regression:
    """A fitted surrogate, the ridge it was fitted with, and its axes where it does not see all features."""

    surrogate: PolynomialSurrogate
    ridge: float
    axes: Axes | None


def fit_polynomial(dataset: Dataset, spec: PolynomialSpec) -> Regression:
    """The least-squares polynomial of the labels.

    Args:
        dataset: raw units, with delta labels where ``spec.order`` is 1; curvature labels are not used.

    Raises:
        InvalidSpec: more terms than `pricing.specs.base.MAXIMUM_TERMS`.
        SurrogateError: labels that the axes need are missing.
    """
    axes = None
    if spec.inputs == "differential_pca":
        axes = find_axes(dataset, spec)
        require_few(axes, spec)
    scaling = fit_scaling(dataset.x, dataset.y) if axes is None else axes.scaling
    seen = normalise(dataset, scaling) if axes is None else project(dataset, axes)
    found = fit(
        make_basis(seen.x, spec.degree),
        seen.x,
        seen.y,
        gradient=seen.gradient if spec.derivative_weight > 0.0 else None,
        weight=seen.weight,
        ridge=spec.ridge,
        derivative_weight=spec.derivative_weight * influence(seen) if spec.derivative_weight > 0.0 else 0.0,
    )
    turn = torch.eye(dataset.x.shape[1], dtype=dataset.x.dtype) if axes is None else axes.matrix
    matrix = turn / scaling.x_scale[:, None] / found.basis.scale
    coefficients = found.coefficients * scaling.y_scale
    coefficients[0] += scaling.y_mean
    surrogate = PolynomialSurrogate(
        matrix=matrix,
        offset=-scaling.x_mean @ matrix - found.basis.mean / found.basis.scale,
        degree=spec.degree,
        coefficients=coefficients,
    )
    return Regression(surrogate=surrogate, ridge=found.ridge, axes=axes)


def require_few(axes: Axes, spec: PolynomialSpec) -> None:
    """Raise InvalidSpec for too many terms on the axes; where they were found, with what to do about their number."""
    try:
        require_terms(spec.degree, len(axes))
    except InvalidSpec as error:
        raise InvalidSpec(
            f"axes: {len(axes)} of {len(axes.matrix)} lose at most lost_gradient = {spec.lost_gradient:g} of deltas, "
            f"noise in the labels included, and {str(error).partition(' - at ')[0]}; give axes, such as 1 for a basket",
            path="polynomial.axes",
        ) from error


def influence(data: Dataset) -> Tensor:
    """min(1, s_j / (LEAST_INFLUENCE max_k s_k)) with s_j = E (d_j y)^2 Var x_j, whatever the units. Shape: -> input."""
    assert data.gradient is not None
    size = data.gradient.square() * data.x.var(dim=0, correction=0)
    mean = size.mean(dim=0) if data.weight is None else data.weight @ size
    least = (LEAST_INFLUENCE * mean.max()).clamp(min=torch.finfo(mean.dtype).tiny)
    return (mean / least).clamp(max=1.0)


def value_gradient_hessian(surrogate: PolynomialSurrogate, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y, dy/dx and d2y/dx2. Shape: batch input -> batch; batch input; batch input input."""
    value, slopes, bends = (torch.cat(parts) for parts in zip(*_blocks(surrogate, x), strict=True))
    turn = surrogate.matrix
    return value, slopes @ turn.T, turn @ bends @ turn.T


def value(surrogate: PolynomialSurrogate, x: Tensor) -> Tensor:
    """y, twice differentiable in x. Shape: batch input -> batch."""
    at, slope, bend = value_gradient_hessian(surrogate, x.detach())
    step = x - x.detach()
    return at + (slope * step).sum(dim=1) + 0.5 * ((bend @ step[:, :, None])[:, :, 0] * step).sum(dim=1)


def _blocks(surrogate: PolynomialSurrogate, x: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Value, gradient and Hessian by z, for as many rows at a time as memory should hold."""
    z = (x @ surrogate.matrix + surrogate.offset).clamp(-FARTHEST, FARTHEST)
    axes = z.shape[1]
    for part in torch.split(z, max(1, BLOCK_NUMBERS // (len(surrogate.coefficients) * axes))):
        found = design(surrogate.inner.basis, part) @ surrogate.derivatives
        yield found[:, 0], found[:, 1 : 1 + axes], found[:, 1 + axes + pairs(axes)]
