"""Differential regression on polynomials: value and derivatives of a least-squares fit from noisy labels of both.

    min  E (y - phi b)^2 + alpha sum_j lambda_j E (d_j y - d_j phi b)^2 + rho |b|^2,   lambda_j = Var y / E (d_j y)^2

so that every differential weighs as much as the value (Huge & Savine 2020, "Differential machine learning"). The normal
equations are summed fold by fold: leaving a fold out is a subtraction, and rho is the one that predicts the folds left
out best. phi are products of normalised Hermite polynomials of the standardised inputs, he_n' = sqrt(n) he_{n-1}.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch
from torch import Tensor

from pricing.specs.base import require_terms

# Numbers in one block of the design's gradient: 32 MB.
BLOCK_NUMBERS = 1 << 22
# Folds that rho is chosen by, and the candidates as shares of the largest eigenvalue of the normal equations.
FOLDS = 5
RIDGES = tuple(10.0**power for power in range(-14, 1))
# A loss on held-out folds below this share of the labels' own size is rounding: the fit is exact.
EXACT = 1e-14
# Below this share of the largest eigenvalue a direction is rounding noise of the normal equations.
NEGLIGIBLE_EIGENVALUE = 1e-14


@dataclass(frozen=True, kw_only=True)
class Basis:
    """All products of Hermite polynomials up to a total degree, of inputs that are standardised first.

    Shape: exponents (term, input) integers, the constant term first; mean and scale (input,).
    """

    exponents: Tensor
    mean: Tensor
    scale: Tensor

    @property
    def degree(self) -> int:
        """The total degree."""
        return int(self.exponents.sum(dim=1).max())

    def __len__(self) -> int:
        return len(self.exponents)


@dataclass(frozen=True, kw_only=True)
class Polynomial:
    """A fitted polynomial; ``ridge`` is rho as a share of the largest eigenvalue. Shape: coefficients (term,)."""

    basis: Basis
    coefficients: Tensor
    ridge: float


def make_basis(x: Tensor, degree: int) -> Basis:
    """The basis whose inputs have mean 0 and standard deviation 1 over ``x``; one that does not vary keeps its unit.

    Shape: batch input ->.

    Raises:
        InvalidSpec: more terms than `MAXIMUM_TERMS`.
    """
    spread = x.std(dim=0, correction=0)
    scale = spread.where(spread > NEGLIGIBLE_EIGENVALUE * x.abs().amax(dim=0), torch.ones_like(spread))
    return Basis(exponents=exponents(x.shape[1], degree), mean=x.mean(dim=0), scale=scale)


def exponents(inputs: int, degree: int) -> Tensor:
    """The powers of every input in every term, total degrees ascending. Shape: -> term input.

    Raises:
        InvalidSpec: more terms than `MAXIMUM_TERMS`.
    """
    powers = torch.zeros(require_terms(degree, inputs), inputs, dtype=torch.long)
    chosen = (c for total in range(degree + 1) for c in combinations_with_replacement(range(inputs), total))
    for row, factors in zip(powers, chosen, strict=True):
        for factor in factors:
            row[factor] += 1
    return powers


def hermite(basis: Basis, x: Tensor) -> Tensor:
    """he_n of every standardised input, n = 0 to the degree. Shape: batch input -> batch input power."""
    z = (x - basis.mean) / basis.scale
    values = [torch.ones_like(z), z]
    for n in range(1, basis.degree):
        values.append((z * values[n] - math.sqrt(n) * values[n - 1]) / math.sqrt(n + 1))
    return torch.stack(values[: basis.degree + 1], dim=-1)


def derivative(table: Tensor) -> Tensor:
    """d he_n / dz = sqrt(n) he_{n-1} of a table of he_n. Shape: ... power -> the same."""
    n = torch.arange(1, table.shape[-1], dtype=table.dtype)
    return torch.cat([torch.zeros_like(table[..., :1]), n.sqrt() * table[..., :-1]], dim=-1)


def factors(basis: Basis, table: Tensor) -> list[Tensor]:
    """The factor of every input in every term. Shape: batch input power -> batch term, per input."""
    return [table[:, j, powers] for j, powers in enumerate(basis.exponents.unbind(dim=1))]


def product(tensors: list[Tensor]) -> Tensor:
    """Elementwise product of at least one tensor. Shape: any, each -> the same."""
    return math.prod(tensors[1:], start=tensors[0])


def design(basis: Basis, x: Tensor) -> Tensor:
    """The terms phi. Shape: batch input -> batch term."""
    return product(factors(basis, hermite(basis, x)))


def design_gradient(basis: Basis, x: Tensor) -> Tensor:
    """d phi / dx_j in units of the raw inputs. Shape: batch input -> batch term input."""
    table = hermite(basis, x)
    plain, slope = factors(basis, table), factors(basis, derivative(table))
    columns = [product([*plain[:j], slope[j], *plain[j + 1 :]]) for j in range(len(plain))]
    return torch.stack(columns, dim=-1) / basis.scale


def evaluate(polynomial: Polynomial, x: Tensor) -> Tensor:
    """The value, differentiable in x as often as wanted. Shape: batch input -> batch."""
    return design(polynomial.basis, x) @ polynomial.coefficients


def derivatives(polynomial: Polynomial) -> Tensor:
    """Coefficients on the same terms of the value, of the derivative by every input, and of those by all pairs.

    Shape: -> term, 1 + input + pair, where `pairs` says which pair is where.
    """
    basis, b = polynomial.basis, polynomial.coefficients
    rows = {tuple(row): i for i, row in enumerate(basis.exponents.tolist())}
    inputs = basis.exponents.shape[1]

    def along(coefficients: Tensor, j: int) -> Tensor:
        higher = basis.exponents[:, j].nonzero()[:, 0]
        lowered = basis.exponents[higher]
        lowered[:, j] -= 1
        slope, places = torch.zeros_like(b), [rows[tuple(row)] for row in lowered.tolist()]
        slope[places] = coefficients[higher] * basis.exponents[higher, j].to(b.dtype).sqrt()
        return slope / basis.scale[j]

    slopes = [along(b, j) for j in range(inputs)]
    bends = [along(slopes[i], j) for i, j in torch.triu_indices(inputs, inputs).T.tolist()]
    return torch.stack([b, *slopes, *bends], dim=1)


def pairs(inputs: int) -> Tensor:
    """Where the second derivative by two inputs is, counted from the first of them. Shape: -> input input."""
    first, second = torch.triu_indices(inputs, inputs)
    place = torch.zeros(inputs, inputs, dtype=torch.long)
    place[first, second] = place[second, first] = torch.arange(len(first))
    return place


def value_gradient_hessian(polynomial: Polynomial, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Value and derivatives in raw units. Shape: batch input -> batch; batch input; batch input input."""
    inputs = x.shape[1]
    value, slopes, bends = (design(polynomial.basis, x) @ derivatives(polynomial)).tensor_split([1, 1 + inputs], dim=1)
    return value[:, 0], slopes, bends[:, pairs(inputs)]


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Sums of a weighted least-squares loss c - 2 r.b + b.S b. Shape: square (term, term), right (term,), level ()."""

    square: Tensor
    right: Tensor
    level: Tensor

    def __sub__(self, other: Moments) -> Moments:
        return Moments(
            square=self.square - other.square, right=self.right - other.right, level=self.level - other.level
        )

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            square=self.square + other.square, right=self.right + other.right, level=self.level + other.level
        )


def fit(
    basis: Basis,
    x: Tensor,
    y: Tensor,
    *,
    gradient: Tensor | None = None,
    weight: Tensor | None = None,
    ridge: float | None = None,
    derivative_weight: float | Tensor = 1.0,
) -> Polynomial:
    """Least squares on values, and on derivatives where they are given.

    Args:
        gradient: d y / d x labels, per unit of each input.
        weight: of every sample, >= 0; 0 leaves it out.
        ridge: rho as a share of the largest eigenvalue of the normal equations; None chooses it on held-out folds.
        derivative_weight: alpha, of all inputs or of each.

    Shape: x batch input, y batch, gradient batch input, weight batch.
    """
    weight = torch.ones_like(y) if weight is None else weight
    total = weight.sum().clamp(min=torch.finfo(y.dtype).tiny)
    mean = (weight @ y) / total
    share = torch.zeros_like(x[0])
    if gradient is not None:
        second = (weight @ gradient.square()) / total
        variance = (weight @ (y - mean).square()) / total
        share = derivative_weight * torch.where(second > 0.0, variance / second, 0.0)
    folds = [Moments(square=y.new_zeros(len(basis), len(basis)), right=y.new_zeros(len(basis)), level=y.new_zeros(()))]
    folds = folds * FOLDS
    for fold in range(FOLDS):
        rows = slice(fold, None, FOLDS)
        slopes = None if gradient is None else gradient[rows]
        for block in moments(basis, x[rows], y[rows], gradient=slopes, weight=weight[rows] / total, share=share):
            folds[fold] = folds[fold] + block
    whole = sum(folds[1:], start=folds[0])
    rho = choose_ridge(folds, whole) if ridge is None else ridge
    return Polynomial(basis=basis, coefficients=solve(whole, (rho,))[0], ridge=rho)


def moments(
    basis: Basis, x: Tensor, y: Tensor, *, gradient: Tensor | None, weight: Tensor, share: Tensor
) -> Iterator[Moments]:
    """The sums of blocks of samples, differentials weighted by ``share``. Shape: share (input,)."""
    rows = max(1, BLOCK_NUMBERS // (len(basis) * (1 if gradient is None else 1 + x.shape[1])))
    for start in range(0, len(x), rows):
        block = slice(start, start + rows)
        root = weight[block].sqrt()
        columns, targets = design(basis, x[block]) * root[:, None], y[block] * root
        if gradient is not None:
            sized = share.sqrt() * root[:, None]
            slopes = design_gradient(basis, x[block]) * sized[:, None, :]
            columns = torch.cat([columns, slopes.transpose(1, 2).flatten(end_dim=1)])
            targets = torch.cat([targets, (gradient[block] * sized).flatten()])
        yield Moments(square=columns.T @ columns, right=columns.T @ targets, level=targets @ targets)


def solve(moments: Moments, ridges: tuple[float, ...]) -> Tensor:
    """Coefficients for every rho; directions without information stay 0. Shape: -> ridge term."""
    values, vectors = torch.linalg.eigh(moments.square)
    largest = values[-1].clamp(min=torch.finfo(values.dtype).tiny)
    known = values > NEGLIGIBLE_EIGENVALUE * largest
    rho = largest * values.new_tensor(ridges)[:, None]
    inverse = torch.where(known, 1.0 / (values.where(known, largest) + rho), 0.0)
    coefficients: Tensor = (inverse * (vectors.T @ moments.right)) @ vectors.T
    return coefficients


def choose_ridge(folds: list[Moments], whole: Moments) -> float:
    """The rho of `RIDGES` with the least loss on folds that its coefficients have not seen; of exact fits the least."""
    losses = torch.zeros(len(RIDGES), dtype=whole.right.dtype)
    for fold in folds:
        b = solve(whole - fold, RIDGES)
        losses += ((b @ fold.square) * b).sum(dim=1) - 2.0 * b @ fold.right + fold.level
    exact = losses <= EXACT * whole.level
    return RIDGES[int(exact.nonzero()[0]) if exact.any() else int(losses.argmin())]
