from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch

from pruning.quadratic.line_search import along, at, descend, step
from pruning.quadratic.problem import Quadratic, restricted

RandomProblem = Callable[..., Quadratic]


def test_the_parabola_of_a_support_has_its_minimum_where_a_dense_grid_does(random_problem: RandomProblem) -> None:
    problem = random_problem(40, [20], damping=0.5)
    w = problem.threshold(problem.anchor, 15)
    gradient = problem.gradient(w)
    for support in (w != 0, problem.support(w - 0.1 * gradient, 15)):
        best = along(problem, w, gradient, support)
        grid = torch.linspace(0.0, 3.0 * best.length, 3001, dtype=torch.float64)
        losses = [problem.loss(restricted(w - tau * gradient, support)) for tau in grid.tolist()]
        assert best.loss <= min(losses) * (1.0 + 1e-12)
        assert abs(losses.index(min(losses)) - 1000) <= 1
        torch.testing.assert_close(best.w, restricted(w - best.length * gradient, support))
        torch.testing.assert_close(best.error, problem.error(best.w))


def test_no_step_raises_the_loss_or_keeps_too_much(random_problem: RandomProblem) -> None:
    problem = random_problem(30, [40])
    point = at(problem, problem.threshold(problem.anchor, 10))
    losses = [point.loss]
    for _ in range(30):
        point = step(problem, point, 10)
        assert torch.count_nonzero(point.w) <= 10
        assert abs(point.loss - problem.loss(point.w)) <= 1e-9 * point.loss
        losses.append(point.loss)
    assert all(b <= a for a, b in pairwise(losses))
    assert losses[-1] < 0.5 * losses[0]


def test_the_descent_reports_falling_losses_and_ends_at_the_last(random_problem: RandomProblem) -> None:
    problem = random_problem(30, [40])
    w, losses = descend(problem, problem.threshold(problem.anchor, 10), 10, 100)
    assert all(b < a for a, b in pairwise(losses))
    assert abs(problem.loss(w) - losses[-1]) < 1e-9
    assert len(losses) < 100


def test_the_descent_changes_the_support_where_that_pays() -> None:
    # The third weight is fitted where it is, so that the gradient on the support is 0, but the second matters most.
    problem = Quadratic(
        rows=torch.diag(torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)),
        anchor=torch.tensor([1.0, 1.2, 1.1], dtype=torch.float64),
        residual=torch.zeros(3, dtype=torch.float64),
        damping=1e-9,
        sizes=[3],
        priority=torch.zeros(3, dtype=torch.float64),
    )
    start = torch.tensor([0.0, 0.0, 1.1], dtype=torch.float64)
    w, _ = descend(problem, start, 1, 100)
    assert w.nonzero()[:, 0].tolist() == [1]
