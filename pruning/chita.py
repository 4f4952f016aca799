"""CHITA: which k weights to keep and what to make of them, by sparse regression on per-sample rows.

    minimise Q(w) = 1/2 ||A (w - w0) + r||^2 + ridge / 2 ||w - w0||^2    subject to ||w||_0 <= k

with the dense weights w0, rows A and residuals r of `pruning.rows`. Iterative hard thresholding with an exact line
search on an active set finds the support, a ridge regression on it (in deviations from w0) the weights.

References: Benbaki et al., "Fast as CHITA: neural network pruning with combinatorial optimization" (ICML 2023).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.masks import top

# The active set of the inner iteration, as a multiple of k (the authors' choice).
ACTIVE_SHARE = 1.5
# Guards the division by the norm of a row matrix that is 0.
TINY = 1e-300
# Power iteration underestimates ||A||^2; 5 % more makes 1 / L a safe step (the authors' choice).
POWER_STEPS = 30
SAFETY = 1.05
# Iteration caps, and the relative fall of Q below which the inner iteration has converged.
OUTER_STEPS = 20
INNER_STEPS = 500
CONVERGED = 1e-7
# Doublings tried beyond the first breakpoint, and on the full set; the first trial stops just short of the breakpoint.
INNER_TRIALS = 5
OUTER_TRIALS = 10
SHORT_OF_BREAKPOINT = 1.0 + 1e-4


@dataclass(frozen=True, kw_only=True)
class Quadratic:
    """Q, and the priority with which weights enter a support: +inf always, -inf last.

    Shape: rows (row, weight); anchor, priority (weight,); residual (row,).
    """

    rows: Tensor
    anchor: Tensor
    residual: Tensor
    ridge: float
    priority: Tensor

    def error(self, w: Tensor) -> Tensor:
        """A (w - w0) + r. Shape: weight -> row."""
        return self.rows @ (w - self.anchor) + self.residual

    def loss(self, w: Tensor) -> float:
        """Q(w)."""
        return 0.5 * float(self.error(w).square().sum() + self.ridge * (w - self.anchor).square().sum())

    def gradient(self, w: Tensor) -> Tensor:
        """dQ/dw. Shape: weight -> weight."""
        return self.rows.T @ self.error(w) + self.ridge * (w - self.anchor)

    def restrict(self, active: Tensor) -> Quadratic:
        """Q as a function of the active weights, all others being 0 (short of a constant). Shape: weight ->."""
        return Quadratic(
            rows=self.rows[:, active],
            anchor=self.anchor[active],
            residual=self.residual - self.rows[:, ~active] @ self.anchor[~active],
            ridge=self.ridge,
            priority=self.priority[active],
        )

    def threshold(self, w: Tensor, count: int) -> Tensor:
        """The largest ``count`` weights by magnitude and priority, the others 0. Shape: weight -> weight."""
        return w.where(top(w.abs() + self.priority, count), w.new_zeros(()))


@dataclass(frozen=True, kw_only=True)
class Solution:
    """Weights with at most k not 0, and Q after every accepted step. Shape: weights, support (weight,)."""

    weights: Tensor
    support: Tensor
    losses: tuple[float, ...]


def solve(problem: Quadratic, count: int) -> Solution:
    """Support by active-set thresholding, weights by `back_solve`."""
    step = 1.0 / lipschitz(problem)
    first = problem.anchor - step * problem.gradient(problem.anchor)
    active = problem.threshold(first, min(math.ceil(ACTIVE_SHARE * count), len(first))) != 0
    w, losses = problem.threshold(first, count), []
    for _ in range(OUTER_STEPS):
        inner = problem.restrict(active)
        w = torch.zeros_like(w).masked_scatter(active, descend(inner, w[active], count))
        losses.append(problem.loss(w))
        w = search(problem, w, -problem.gradient(w), count, first=step / 2.0, trials=OUTER_TRIALS)
        entering = (w != 0) & ~active
        if not entering.any():
            break
        active = active | entering
    support = top(w.abs() + problem.priority, count)
    w = back_solve(problem, support)
    return Solution(weights=w, support=support, losses=(*losses, problem.loss(w)))


def lipschitz(problem: Quadratic) -> float:
    """L = 1.05 (sigma_max(A)^2 + ridge), sigma_max by power iteration from a fixed start."""
    v = torch.ones_like(problem.anchor) + problem.rows.abs().sum(dim=0)
    for _ in range(POWER_STEPS):
        v = problem.rows.T @ (problem.rows @ (v / v.norm().clamp(min=TINY)))
    return SAFETY * (float(v.norm()) + problem.ridge) or 1.0


def search(problem: Quadratic, w: Tensor, direction: Tensor, count: int, *, first: float, trials: int) -> Tensor:
    """The best of w + tau direction, thresholded, for tau = first, 2 first, 4 first, ... as long as Q falls."""
    best, loss = w, problem.loss(w)
    for trial in range(trials):
        candidate = problem.threshold(w + first * 2.0**trial * direction, count)
        if (reached := problem.loss(candidate)) >= loss:
            break
        best, loss = candidate, reached
    return best


def descend(problem: Quadratic, w: Tensor, count: int) -> Tensor:
    """Thresholded gradient steps with line search until Q stops falling."""
    loss = problem.loss(w)
    for _ in range(INNER_STEPS):
        w = line_search_step(problem, w, count)
        before, loss = loss, problem.loss(w)
        if before - loss <= CONVERGED * before:
            break
    return w


def line_search_step(problem: Quadratic, w: Tensor, count: int) -> Tensor:
    """One step along -dQ/dw: the minimiser on the support if no weight changes places before it, else a search."""
    gradient, support = problem.gradient(w), w != 0
    inside = gradient.where(support, gradient.new_zeros(()))
    square = float(inside.square().sum())
    curvature = float((problem.rows @ inside).square().sum()) + problem.ridge * square
    optimum = square / curvature if curvature > 0.0 else 0.0
    change = first_breakpoint(w, gradient, support & (problem.priority < torch.inf))
    if optimum < change:
        return w - optimum * inside
    return search(problem, w, -gradient, count, first=change / SHORT_OF_BREAKPOINT, trials=INNER_TRIALS)


def first_breakpoint(w: Tensor, gradient: Tensor, support: Tensor) -> float:
    """Least tau at which |w_i - tau g_i| of a supported weight meets tau max |g_j| of an unsupported one."""
    outside = gradient[w == 0].abs()
    if len(outside) == 0 or not support.any():
        return math.inf
    challenger = outside.max()
    closing = challenger + gradient[support] * w[support].sign()
    times = w[support].abs() / closing
    return float(times.where(closing > 0, times.new_full((), torch.inf)).min())


def back_solve(problem: Quadratic, support: Tensor) -> Tensor:
    """argmin Q on the support: w0_S + d with (A_S^T A_S + ridge) d = -A_S^T rho, rho = r - A_S' w0_S', S' the others.

    Solved in the smaller of its two forms. Shape: weight -> weight.
    """
    inner = problem.restrict(support)
    rows, target = inner.rows, -inner.residual
    if rows.shape[0] < rows.shape[1]:
        deviation = rows.T @ _ridge_solve(rows @ rows.T, target, problem.ridge)
    else:
        deviation = _ridge_solve(rows.T @ rows, rows.T @ target, problem.ridge)
    return torch.zeros_like(problem.anchor).masked_scatter(support, inner.anchor + deviation)


def _ridge_solve(gram: Tensor, target: Tensor, ridge: float) -> Tensor:
    """(G + ridge I)^-1 t for a positive semi-definite G."""
    factor = torch.linalg.cholesky(gram + ridge * torch.eye(len(gram), dtype=gram.dtype))
    return torch.cholesky_solve(target[:, None], factor)[:, 0]
