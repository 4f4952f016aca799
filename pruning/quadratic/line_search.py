"""Iterative hard thresholding: gradient steps that keep k weights, with a line search over supports.

Along w - tau g the support of the k largest weights changes at breakpoints: hundreds in one step of a large problem.
On one support S the loss is a parabola in tau,

    Q((w - tau g)_S) = Q(w_S) - tau (u . v + damping (w_S - w0) . g_S) + tau^2 / 2 (|v|^2 + damping |g_S|^2),
    u = A (w_S - w0) + r,  v = A g_S,

whose minimum is exact and feasible whether or not thresholding would have chosen S there. So the search takes the
supports at tau = tau_S 2^j, tau_S the minimiser on the support so far, and of each the best point.

References: Benbaki et al. (ICML 2023); Blumensath & Davies, "Iterative hard thresholding" (2009).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from torch import Tensor

from pruning.quadratic.problem import Quadratic, restricted

# Trial step lengths of one step; the next step goes on from there. More find a little more in a step, less in a second.
TRIALS = 2
# Relative fall of Q below which the iteration has converged.
CONVERGED = 1e-7


@dataclass(frozen=True, kw_only=True)
class Point:
    """Weights with their error and loss, and the step length that led there. Shape: w (weight,); error (row,)."""

    w: Tensor
    error: Tensor
    loss: float
    length: float


# One step from a point that keeps so many weights; the point itself if none is better.
Step = Callable[[Quadratic, Point, int], Point]


def at(problem: Quadratic, w: Tensor) -> Point:
    """The point of some weights. Shape: weight ->."""
    error = problem.error(w)
    return Point(w=w, error=error, loss=problem.loss_at(w, error), length=math.inf)


def descend(
    problem: Quadratic, w: Tensor, count: int, steps: int, *, take: Step | None = None
) -> tuple[Tensor, tuple[float, ...]]:
    """Thresholded gradient steps until Q stops falling, and Q after each. Shape: weight -> weight.

    Args:
        take: one step; `step` by default.
    """
    take = take or step
    point, losses = at(problem, w), list[float]()
    for _ in range(steps):
        lower = take(problem, point, count)
        if lower.loss >= point.loss:
            break
        losses.append(lower.loss)
        done, point = point.loss - lower.loss <= CONVERGED * point.loss, lower
        if done:
            break
    return point.w, tuple(losses)


def step(problem: Quadratic, point: Point, count: int) -> Point:
    """The best of the trial supports along the negative gradient; the point itself if none is better.

    Trials start at the minimiser on the support or, as that is 0 where the support is fitted, along the whole gradient,
    but at most at twice the last length: up while Q falls, or down until it does.
    """
    gradient = problem.gradient_at(point.w, point.error)
    best = along(problem, point.w, gradient, point.w != 0, error=point.error)
    tau = min(max(best.length, _free(problem, gradient)), 2.0 * point.length)
    moved, factor = False, 1.0
    for _ in range(TRIALS):
        tau *= factor
        support = problem.support(point.w - tau * gradient, count)
        candidate = along(problem, point.w, gradient, support)
        falls = candidate.loss < best.loss
        if falls:
            best, moved = replace(candidate, length=tau), True
        if factor != 1.0 and falls == (factor < 1.0):
            break
        factor = 2.0 if falls else 0.5
    best = best if moved else replace(best, length=tau)
    return best if best.loss < point.loss else point


def _free(problem: Quadratic, gradient: Tensor) -> float:
    """The minimiser along the whole gradient, all weights free: |g|^2 / (|A g|^2 + damping |g|^2)."""
    image, square = problem.rows @ gradient, float(gradient @ gradient)
    curvature = float(image @ image) + problem.damping * square
    return square / curvature if curvature > 0.0 else 0.0


def along(problem: Quadratic, w: Tensor, gradient: Tensor, support: Tensor, *, error: Tensor | None = None) -> Point:
    """The least Q of (w - tau g) on a support over tau >= 0; ``error`` is that of w_S, if known. Shape: weight ->."""
    start, direction = restricted(w, support), restricted(gradient, support)
    deviation = start - problem.anchor
    error = problem.rows @ deviation + problem.residual if error is None else error
    image = problem.rows @ direction
    slope = float(error @ image) + problem.damping * float(deviation @ direction)
    curvature = float(image @ image) + problem.damping * float(direction @ direction)
    tau = max(0.0, slope / curvature) if curvature > 0.0 else 0.0
    w, error = start - tau * direction, error - tau * image
    return Point(w=w, error=error, loss=problem.loss_at(w, error), length=tau)
