from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pruning.errors import PruningError
from pruning.quadratic.breakpoints import exact_step
from pruning.quadratic.line_search import at, descend
from pruning.quadratic.problem import Quadratic

RandomProblem = Callable[..., Quadratic]


@pytest.mark.parametrize("seed", range(10))
def test_no_step_length_of_a_dense_grid_is_better(seed: int, random_problem: RandomProblem) -> None:
    count = 3 + seed % 5
    problem = random_problem(6 + 3 * seed, [20], generator=torch.Generator().manual_seed(seed))
    point = at(problem, problem.threshold(problem.anchor, count))
    gradient = problem.gradient(point.w)
    best = exact_step(problem, point, count)
    grid = torch.linspace(0.0, 4.0 * best.length, 1001, dtype=torch.float64).tolist()
    losses = [problem.loss(problem.threshold(point.w - tau * gradient, count)) for tau in grid]
    assert best.loss < point.loss
    assert best.loss <= min(losses) * (1.0 + 1e-12)
    # Q jumps at a breakpoint, where two weights are equal: the least lies within a piece or just before or after.
    beside = [best.length * (1.0 + by) for by in (-1e-9, 0.0, 1e-9)]
    nearest = min(problem.loss(problem.threshold(point.w - tau * gradient, count)) for tau in beside)
    assert nearest == pytest.approx(best.loss)
    assert torch.count_nonzero(best.w) == count
    torch.testing.assert_close(best.error, problem.error(best.w))


def test_a_descent_of_exact_steps_ends_where_none_helps(random_problem: RandomProblem) -> None:
    problem = random_problem(30, [40])
    w, losses = descend(problem, problem.threshold(problem.anchor, 10), 10, 100, take=exact_step)
    point = at(problem, w)
    assert losses[-1] == pytest.approx(point.loss, rel=1e-9)
    assert exact_step(problem, point, 10).loss >= point.loss * (1.0 - 1e-6)


def test_what_must_stay_or_go_first_does_along_the_whole_ray(random_problem: RandomProblem) -> None:
    problem = random_problem(10, [12])
    priority = problem.priority.clone()
    smallest, largest = int(problem.anchor.abs().argmin()), int(problem.anchor.abs().argmax())
    priority[smallest], priority[largest] = torch.inf, -torch.inf
    ranked = replace(problem, priority=priority)
    w = exact_step(ranked, at(ranked, ranked.threshold(ranked.anchor, 5)), 5).w
    assert w[smallest] != 0
    assert w[largest] == 0


def test_too_many_pairs_are_refused_by_name(random_problem: RandomProblem) -> None:
    problem = random_problem(2, [4200])
    point = at(problem, problem.threshold(problem.anchor, 2100))
    with pytest.raises(PruningError, match="line_search: 'exact' compares 2100 weights that stay with 2100 others"):
        exact_step(problem, point, 2100)
