"""Polynomials as surrogates, on the features or on a few axes of them.

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

from pricing.regression import Basis, Polynomial, derivatives, design, exponents, pairs

# Coordinates end here, in standard deviations of the samples, none of which lies so far out. A polynomial of a scaled
# price is asked anywhere, where the asymptote speaks and the polynomial must only stay finite.
FARTHEST = 10.0
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
        return int(sum(torch.count_nonzero(numbers) for numbers in (self.matrix, self.offset, self.coefficients)))

    def to(self, dtype: torch.dtype) -> PolynomialSurrogate:
        """The same polynomial with numbers of another element type."""
        numbers = {name: getattr(self, name).to(dtype) for name in ("matrix", "offset", "coefficients")}
        return replace(self, **numbers)

    @cached_property
    def inner(self) -> Polynomial:
        """The polynomial p of z."""
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


def value_gradient_hessian(surrogate: PolynomialSurrogate, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """y, dy/dx and d2y/dx2. Shape: batch input -> batch; batch input; batch input input."""
    value, slopes, bends = (torch.cat(blocks) for blocks in zip(*_blocks(surrogate, x), strict=True))
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
    for rows in torch.split(z, max(1, BLOCK_NUMBERS // (len(surrogate.coefficients) * axes))):
        columns = design(surrogate.inner.basis, rows) @ surrogate.derivatives
        yield columns[:, 0], columns[:, 1 : 1 + axes], columns[:, 1 + axes + pairs(axes)]
