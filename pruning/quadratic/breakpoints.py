"""The exact line search of iterative hard thresholding: the least of Q(P_k(w - tau g)) over all tau >= 0.

Along the ray the k largest weights change where |w_j - tau g_j| of one outside overtakes |w_i - tau g_i| of one inside.
Between two such breakpoints Q is a parabola in tau; from one to the next its coefficients change by two columns of A.

References: Benbaki et al., "Fast as CHITA" (ICML 2023), equation 7.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from pruning.errors import PruningError
from pruning.quadratic.line_search import Point
from pruning.quadratic.problem import Quadratic, restricted

# Pairs of a weight inside and one outside that a breakpoint looks at: 2^22 take 0.1 s, and a step meets hundreds.
LARGEST = 1 << 22
# Breakpoints of one step at most, as a multiple of the number of weights: each pair meets at most twice.
WALK = 10


def exact_step(problem: Quadratic, point: Point, count: int) -> Point:
    """The best point of the whole ray; the given one if none is better.

    Raises:
        PruningError: there are more than `LARGEST` pairs of weights.
    """
    if count * (len(point.w) - count) > LARGEST:
        raise PruningError(
            f"line_search: 'exact' compares {count} weights that stay with {len(point.w) - count} others at every "
            f"breakpoint, at most {LARGEST} pairs; leave it at 'trial'"
        )
    w, gradient = point.w, problem.gradient_at(point.w, point.error)
    # Just after 0: among weights that are equal there, those of steeper slope.
    inside = problem.support(w - torch.finfo(w.dtype).eps * gradient, count)
    error, image = problem.error(restricted(w, inside)), problem.rows @ restricted(gradient, inside)
    tau, best = 0.0, (point.loss, 0.0, inside)
    for _ in range(WALK * len(w)):
        end, leaving, entering = _next(problem, w, gradient, inside, tau)
        loss, at = _least(problem, restricted(w, inside), restricted(gradient, inside), error, image, tau, end)
        if loss < best[0]:
            best = loss, at, inside
        if math.isinf(end):
            break
        columns = problem.columns(torch.tensor([leaving, entering]))
        error = error + columns[:, 1] * w[entering] - columns[:, 0] * w[leaving]
        image = image + columns[:, 1] * gradient[entering] - columns[:, 0] * gradient[leaving]
        inside = inside.clone()
        inside[leaving], inside[entering], tau = False, True, end
    if best[0] >= point.loss:
        return point
    lower = restricted(w - best[1] * gradient, best[2])
    error = problem.error(lower)
    return replace(point, w=lower, error=error, loss=problem.loss_at(lower, error), length=best[1])


def _least(
    problem: Quadratic,
    w: Tensor,
    direction: Tensor,
    error: Tensor,
    image: Tensor,
    first: float,
    last: float,
) -> tuple[float, float]:
    """The least Q of w - tau direction for tau in [first, last], and that tau. Shape: weight, weight, row, row ->."""
    deviation = w - problem.anchor
    slope = float(error @ image) + problem.damping * float(deviation @ direction)
    curvature = float(image @ image) + problem.damping * float(direction @ direction)
    tau = min(max(slope / curvature, first), last) if curvature > 0.0 else first
    return problem.loss_at(w, error) - tau * slope + 0.5 * tau * tau * curvature, tau


def _next(problem: Quadratic, w: Tensor, gradient: Tensor, inside: Tensor, tau: float) -> tuple[float, int, int]:
    """The next breakpoint, the weight that leaves there and the one that enters; infinity where there is none."""
    stay, wait = problem.priority == torch.inf, problem.priority == -torch.inf
    i, j = (inside & ~stay).nonzero()[:, 0], (~inside & ~wait).nonzero()[:, 0]
    if len(i) == 0 or len(j) == 0:
        return math.inf, -1, -1
    wi, gi, wj, gj = w[i][:, None], gradient[i][:, None], w[j], gradient[j]
    nearest = (math.inf, -1, -1)
    for sign in (1.0, -1.0):
        meet = (wi - sign * wj) / (gi - sign * gj)
        overtakes = _speed(wj, gj, meet) > _speed(wi, gi, meet)
        meet = meet.where(overtakes & (meet >= tau) & meet.isfinite(), torch.inf)
        at = int(meet.argmin())
        when = float(meet.flatten()[at])
        if when < nearest[0]:
            nearest = when, int(i[at // len(j)]), int(j[at % len(j)])
    return nearest


def _speed(w: Tensor, gradient: Tensor, tau: Tensor) -> Tensor:
    """d|w - tau g|/dtau just after tau. Shape: any, any, any -> their shape."""
    value = w - tau * gradient
    return torch.where(value == 0.0, gradient.abs(), -value.sign() * gradient)
