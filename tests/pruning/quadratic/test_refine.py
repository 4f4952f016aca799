from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, pairwise

import pytest
import torch
from torch import Tensor

from pruning.quadratic.problem import Quadratic
from pruning.quadratic.refine import drop, eliminate, exchange, removal_cost
from pruning.quadratic.regression import back_solve

RandomProblem = Callable[..., Quadratic]
MaskOf = Callable[[Sequence[int], int], Tensor]


@pytest.mark.parametrize("rows", [4, 30])
def test_the_cost_of_a_removal_is_twice_what_the_loss_rises_by(
    rows: int, random_problem: RandomProblem, mask_of: MaskOf
) -> None:
    problem = random_problem(rows, [12])
    support = mask_of((0, 3, 4, 7, 8, 11), 12)
    w = back_solve(problem, support)
    costs = removal_cost(problem, w, support)
    assert not costs[~support].any()
    for i in support.nonzero()[:, 0].tolist():
        left = support.clone()
        left[i] = False
        rise = problem.loss(back_solve(problem, left)) - problem.loss(w)
        assert float(costs[i]) == pytest.approx(2.0 * rise, rel=1e-8)


def test_one_of_a_support_is_dropped_where_that_costs_least(random_problem: RandomProblem, mask_of: MaskOf) -> None:
    problem = random_problem(9, [12])
    support = mask_of((0, 3, 4, 7, 8, 11), 12)
    kept, w = drop(problem, support, back_solve(problem, support), 5)
    smaller = [mask_of(chosen, 12) for chosen in combinations((0, 3, 4, 7, 8, 11), 5)]
    assert problem.loss(w) == pytest.approx(min(problem.loss(back_solve(problem, each)) for each in smaller))
    assert kept.sum() == 5


def test_elimination_ends_in_the_best_weights_on_so_many(random_problem: RandomProblem) -> None:
    problem = random_problem(15, [20])
    w = eliminate(problem, problem.anchor, 6, 5)
    assert torch.count_nonzero(w) == 6
    torch.testing.assert_close(w, back_solve(problem, w != 0))


def test_every_exchange_lowers_the_loss_and_keeps_the_number(random_problem: RandomProblem) -> None:
    problem = random_problem(15, [30])
    support = problem.support(problem.anchor, 8)
    start = back_solve(problem, support)
    w, losses = exchange(problem, support, start)
    assert len(losses) > 0
    assert all(after < before for before, after in pairwise((problem.loss(start), *losses)))
    assert problem.loss(w) == losses[-1]
    assert torch.count_nonzero(w) == 8


def test_what_must_stay_is_never_exchanged(random_problem: RandomProblem) -> None:
    problem = random_problem(15, [30])
    smallest = int(problem.anchor.abs().argmin())
    problem.priority[smallest] = torch.inf
    support = problem.support(problem.anchor, 8)
    w, _ = exchange(problem, support, back_solve(problem, support))
    assert w[smallest] != 0
    assert eliminate(problem, problem.anchor, 8, 5)[smallest] != 0
