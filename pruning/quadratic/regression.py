"""The weights that minimise Q on a support: ridge regression, in one go, block by block, or by conjugate gradients.

In deviations d from the dense weights w0, and with S the support and S' all other weights,

    (A_S^T A_S + damping I) d = -A_S^T rho,    rho = r - A_S' w0_S'.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pruning.quadratic.problem import Quadratic, restricted

# Conjugate gradients stop when the squared gradient has fallen by this share: below it lies float32 rounding.
RELAXED = 1e-12
# Supports up to this size are relaxed with their columns written out: a product then costs less than with the factors.
EXPLICIT = 2000


def damped_factor(gram: Tensor, damping: float) -> Tensor:
    """The triangle C with C C^T = G + damping I. Shape: n n -> n n."""
    triangle: Tensor = torch.linalg.cholesky(gram + damping * torch.eye(len(gram), dtype=gram.dtype))
    return triangle


def ridge_regression(rows: Tensor, target: Tensor, ridge: float) -> Tensor:
    """argmin ||A d - t||^2 + ridge ||d||^2 in the smaller of its two forms. Shape: row weight, row -> weight."""
    if rows.shape[0] < rows.shape[1]:
        return rows.T @ torch.cholesky_solve(target[:, None], damped_factor(rows @ rows.T, ridge))[:, 0]
    return torch.cholesky_solve((rows.T @ target)[:, None], damped_factor(rows.T @ rows, ridge))[:, 0]


def fit(problem: Quadratic, support: Tensor, blocks: tuple[slice, ...]) -> Tensor:
    """The weights that lower Q most on a support, the others being 0; one block gives the minimum of Q there.

    Blocks are cut one after the other. What a block keeps is fitted to the error of its own cut and of what those
    before it have left, not to that of cuts to come: their own weights answer to those with smaller steps.
    Shape: weight -> weight.
    """
    w, error, matrix = restricted(problem.anchor, support), problem.residual, problem.matrix
    for block in blocks:
        kept = support[block]
        rows = matrix[:, block]
        error = error - rows @ problem.anchor[block].where(~kept, 0.0)
        rows = rows[:, kept]
        deviation = ridge_regression(rows, -error, problem.damping)
        error = error + rows @ deviation
        w[block] = w[block].masked_scatter(kept, w[block][kept] + deviation)
    return w


def back_solve(problem: Quadratic, support: Tensor) -> Tensor:
    """argmin Q on the support, solved in float64. Shape: weight -> weight."""
    return solve_block(problem, restricted(problem.anchor, support), support.nonzero()[:, 0])


def solve_block(problem: Quadratic, w: Tensor, index: Tensor) -> Tensor:
    """argmin Q over some weights, the others as they are in w. Shape: weight, block -> weight."""
    fixed = w.index_fill(0, index, 0.0).index_put((index,), problem.anchor[index])
    rows, target = problem.columns(index).double(), -problem.error(fixed).double()
    deviation = ridge_regression(rows, target, problem.damping)
    return fixed.index_put((index,), problem.anchor[index] + deviation.to(w.dtype))


def relax(problem: Quadratic, w: Tensor, support: Tensor, steps: int) -> Tensor:
    """Conjugate gradients on the support, which lower Q at every step. Shape: weight, weight -> weight."""
    index = support.nonzero()[:, 0]
    if len(index) > EXPLICIT:
        return _conjugate_gradients(problem, w, support, steps)
    inside = replace(
        problem,
        rows=problem.columns(index),
        anchor=problem.anchor[index],
        residual=problem.error(restricted(problem.anchor, support)),
        sizes=[len(index)],
        priority=problem.priority[index],
    )
    fitted = _conjugate_gradients(inside, w[index], support[index], steps)
    return torch.zeros_like(w).index_put((index,), fitted)


def _conjugate_gradients(problem: Quadratic, w: Tensor, support: Tensor, steps: int) -> Tensor:
    """At most so many steps from w, zero outside the support. Shape: weight, weight -> weight."""
    error = problem.error(w)
    gradient = restricted(problem.gradient_at(w, error), support)
    direction, square = -gradient, float(gradient @ gradient)
    enough = RELAXED * square
    for _ in range(steps):
        image = problem.rows @ direction
        curvature = float(image @ image) + problem.damping * float(direction @ direction)
        if square <= enough or curvature <= 0.0:
            break
        w, error = w + square / curvature * direction, error + square / curvature * image
        gradient = restricted(problem.gradient_at(w, error), support)
        before, square = square, float(gradient @ gradient)
        direction = square / before * direction - gradient
    return w
