"""CHITA's problem: which k weights to keep and what to make of them, by sparse regression on per-sample rows.

    minimise Q(w) = 1/2 ||A (w - w0) + r||^2 + ridge / 2 ||w - w0||^2    subject to ||w||_0 <= k

with the dense weights w0, rows A and residuals r of `pruning.rows`. `pruning.quadratic.line_search` finds the support,
`back_solve` or, where that is dear, `relax` the weights on it, both in deviations from w0.

References: Benbaki et al., "Fast as CHITA: neural network pruning with combinatorial optimization" (ICML 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.masks import top
from pruning.quadratic.factored import Factored

# Conjugate gradients stop when the squared gradient has fallen by this share: below it lies float32 rounding.
RELAXED = 1e-12
# Supports up to this size are relaxed with their columns written out: a product then costs less than with the factors.
EXPLICIT = 2000


@dataclass(frozen=True, kw_only=True)
class Quadratic:
    """Q, and the priority with which weights enter a support: +inf always, -inf last.

    Shape: rows (row, weight), a matrix or its factors; anchor, priority (weight,); residual (row,).
    """

    rows: Tensor | Factored
    anchor: Tensor
    residual: Tensor
    ridge: float
    priority: Tensor

    def transposed(self, u: Tensor) -> Tensor:
        """A^T u. Shape: row -> weight."""
        return self.rows.T @ u if isinstance(self.rows, Tensor) else self.rows.transposed(u)

    def columns(self, index: Tensor) -> Tensor:
        """A explicitly, some columns. Shape: column -> row column."""
        return self.rows[:, index] if isinstance(self.rows, Tensor) else self.rows.columns(index)

    def error(self, w: Tensor) -> Tensor:
        """A (w - w0) + r. Shape: weight -> row."""
        return self.rows @ (w - self.anchor) + self.residual

    def loss(self, w: Tensor) -> float:
        """Q(w)."""
        return self.loss_at(w, self.error(w))

    def loss_at(self, w: Tensor, error: Tensor) -> float:
        """Q(w) for a known error, summed in float64. Shape: weight, row ->."""
        return 0.5 * float(error.double().square().sum() + self.ridge * (w - self.anchor).double().square().sum())

    def gradient(self, w: Tensor) -> Tensor:
        """dQ/dw. Shape: weight -> weight."""
        return self.gradient_at(w, self.error(w))

    def gradient_at(self, w: Tensor, error: Tensor) -> Tensor:
        """dQ/dw for a known error. Shape: weight, row -> weight."""
        return self.transposed(error) + self.ridge * (w - self.anchor)

    def support(self, w: Tensor, count: int) -> Tensor:
        """The largest ``count`` weights by magnitude and priority. Shape: weight -> weight."""
        return top(w.abs() + self.priority, count)

    def threshold(self, w: Tensor, count: int) -> Tensor:
        """The largest ``count`` weights by magnitude and priority, the others 0. Shape: weight -> weight."""
        return restricted(w, self.support(w, count))


def restricted(w: Tensor, support: Tensor) -> Tensor:
    """The entries on a support, the others 0. Shape: weight, weight -> weight."""
    return w.where(support, w.new_zeros(()))


def back_solve(problem: Quadratic, support: Tensor) -> Tensor:
    """argmin Q on the support: w0_S + d with (A_S^T A_S + ridge) d = -A_S^T rho, rho = r - A_S' w0_S', S' the others.

    Solved in float64, in the smaller of its two forms. Shape: weight -> weight.
    """
    return solve_block(problem, restricted(problem.anchor, support), support.nonzero()[:, 0])


def solve_block(problem: Quadratic, w: Tensor, index: Tensor) -> Tensor:
    """argmin Q over some weights, the others as they are in w. Shape: weight, block -> weight."""
    fixed = w.index_fill(0, index, 0.0).index_put((index,), problem.anchor[index])
    rows, target = problem.columns(index).double(), -problem.error(fixed).double()
    if rows.shape[0] < rows.shape[1]:
        deviation = rows.T @ _ridge_solve(rows @ rows.T, target, problem.ridge)
    else:
        deviation = _ridge_solve(rows.T @ rows, rows.T @ target, problem.ridge)
    return fixed.index_put((index,), problem.anchor[index] + deviation.to(w.dtype))


def _ridge_solve(gram: Tensor, target: Tensor, ridge: float) -> Tensor:
    """(G + ridge I)^-1 t for a positive semi-definite G."""
    return torch.cholesky_solve(target[:, None], factor(gram, ridge))[:, 0]


def factor(gram: Tensor, ridge: float) -> Tensor:
    """The triangle C with C C^T = G + ridge I. Shape: n n -> n n."""
    triangle: Tensor = torch.linalg.cholesky(gram + ridge * torch.eye(len(gram), dtype=gram.dtype))
    return triangle


def relax(problem: Quadratic, w: Tensor, support: Tensor, steps: int) -> Tensor:
    """Conjugate gradients on the support, which lower Q at every step. Shape: weight, weight -> weight."""
    index = support.nonzero()[:, 0]
    if len(index) > EXPLICIT:
        return _conjugate_gradients(problem, w, support, steps)
    inner = Quadratic(
        rows=problem.columns(index),
        anchor=problem.anchor[index],
        residual=problem.error(restricted(problem.anchor, support)),
        ridge=problem.ridge,
        priority=problem.priority[index],
    )
    fitted = _conjugate_gradients(inner, w[index], support[index], steps)
    return torch.zeros_like(w).index_put((index,), fitted)


def _conjugate_gradients(problem: Quadratic, w: Tensor, support: Tensor, steps: int) -> Tensor:
    """At most so many steps from w, zero outside the support. Shape: weight, weight -> weight."""
    error = problem.error(w)
    gradient = restricted(problem.gradient_at(w, error), support)
    direction, square = -gradient, float(gradient @ gradient)
    enough = RELAXED * square
    for _ in range(steps):
        image = problem.rows @ direction
        curvature = float(image @ image) + problem.ridge * float(direction @ direction)
        if square <= enough or curvature <= 0.0:
            break
        w, error = w + square / curvature * direction, error + square / curvature * image
        gradient = restricted(problem.gradient_at(w, error), support)
        before, square = square, float(gradient @ gradient)
        direction = square / before * direction - gradient
    return w
