from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import pytest
import torch
from torch import Tensor

from pruning.quadratic.inverse import invert_blocks
from pruning.quadratic.obs import cost, minimum
from pruning.quadratic.problem import Quadratic
from pruning.quadratic.regression import fit

RandomProblem = Callable[..., Quadratic]
Dense = Callable[[Quadratic], tuple[Tensor, Tensor]]


@pytest.fixture
def dense(damped_hessian: Callable[[Quadratic], Tensor]) -> Dense:
    """F^-1 and w - F^-1 g by matrices of weight x weight."""

    def solved(problem: Quadratic) -> tuple[Tensor, Tensor]:
        inverse = torch.linalg.inv(damped_hessian(problem))
        return inverse, problem.anchor - inverse @ problem.gradient(problem.anchor)

    return solved


@pytest.mark.parametrize("rows", [4, 20])
def test_the_minimum_is_a_newton_step_and_so_is_a_block_of_the_whole_layer(
    rows: int, random_problem: RandomProblem, dense: Dense
) -> None:
    problem = random_problem(rows, [8])
    for size in (None, 8):
        lowest = minimum(problem, invert_blocks(problem, problem.blocks(size)))
        torch.testing.assert_close(lowest, dense(problem)[1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rows", [4, 20])
def test_the_joint_surgery_is_the_constrained_minimum_for_every_set(
    rows: int, random_problem: RandomProblem, dense: Dense
) -> None:
    problem = random_problem(rows, [8])
    inverse, best = dense(problem)
    least = problem.loss(best)
    for count in range(1, 8):
        for gone in combinations(range(8), count):
            removed = torch.zeros(8, dtype=torch.bool)
            removed[list(gone)] = True
            answer = torch.linalg.solve(inverse[removed][:, removed], best[removed])
            w = fit(problem, ~removed, problem.blocks(None))
            torch.testing.assert_close(w, best - inverse[:, removed] @ answer, rtol=1e-9, atol=1e-9)
            assert not w[removed].any()
            # The rise of the loss is 1/2 w_K^T ([F^-1]_KK)^-1 w_K.
            assert problem.loss(w) - least == pytest.approx(0.5 * float(best[removed] @ answer), rel=1e-8)


def test_the_cost_of_a_weight_is_what_the_loss_rises_by_without_it(random_problem: RandomProblem) -> None:
    problem = random_problem(5, [8])
    inverse = invert_blocks(problem, problem.blocks(None))
    best = minimum(problem, inverse)
    costs = cost(best, inverse.diagonal())
    for q in range(8):
        support = torch.ones(8, dtype=torch.bool)
        support[q] = False
        rise = problem.loss(fit(problem, support, problem.blocks(None))) - problem.loss(best)
        assert float(costs[q]) == pytest.approx(rise, rel=1e-9)


def test_without_residuals_the_weights_are_the_minimum(random_problem: RandomProblem) -> None:
    problem = random_problem(5, [8])
    still = replace(problem, residual=torch.zeros_like(problem.residual))
    assert torch.equal(minimum(still, invert_blocks(still, still.blocks(3))), problem.anchor)
