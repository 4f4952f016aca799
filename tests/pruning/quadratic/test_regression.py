from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import pytest
import torch
from torch import Tensor

from pruning.quadratic.problem import Quadratic, restricted
from pruning.quadratic.regression import back_solve, damped_factor, fit, relax, ridge_regression, solve_block

RandomProblem = Callable[..., Quadratic]
MaskOf = Callable[[Sequence[int], int], Tensor]
DampedHessian = Callable[[Quadratic], Tensor]
SUPPORT = (0, 3, 4, 7, 8, 11)


@pytest.mark.parametrize("rows", [4, 30])
def test_both_forms_of_the_ridge_regression_satisfy_its_normal_equations(rows: int, generator: torch.Generator) -> None:
    matrix = torch.randn(rows, 12, generator=generator, dtype=torch.float64)
    target = torch.randn(rows, generator=generator, dtype=torch.float64)
    d = ridge_regression(matrix, target, 0.3)
    torch.testing.assert_close(matrix.T @ (target - matrix @ d), 0.3 * d)


def test_the_triangle_is_a_root_of_the_damped_matrix(generator: torch.Generator) -> None:
    matrix = torch.randn(3, 8, generator=generator, dtype=torch.float64)
    triangle = damped_factor(matrix.T @ matrix, 0.1)
    torch.testing.assert_close(triangle @ triangle.T, matrix.T @ matrix + 0.1 * torch.eye(8, dtype=torch.float64))
    assert torch.equal(triangle, triangle.tril())


@pytest.mark.parametrize("rows", [4, 9, 30])
def test_the_back_solve_satisfies_the_optimality_conditions(
    rows: int, random_problem: RandomProblem, mask_of: MaskOf
) -> None:
    problem, support = random_problem(rows, [12]), mask_of(SUPPORT, 12)
    w = back_solve(problem, support)
    assert not w[~support].any()
    assert problem.gradient(w)[support].norm() < 1e-10


@pytest.mark.parametrize("rows", [4, 30])
def test_the_back_solve_is_the_ridge_regression_on_the_support(
    rows: int, random_problem: RandomProblem, mask_of: MaskOf
) -> None:
    problem, support = random_problem(rows, [12]), mask_of(SUPPORT, 12)
    inside = problem.matrix[:, support]
    target = inside.T @ (problem.matrix @ problem.anchor - problem.residual) + 0.1 * problem.anchor[support]
    expected = torch.linalg.solve(inside.T @ inside + 0.1 * torch.eye(6, dtype=torch.float64), target)
    torch.testing.assert_close(back_solve(problem, support)[support], expected, rtol=1e-10, atol=1e-10)


def test_the_back_solve_is_the_joint_optimal_brain_surgeon(
    random_problem: RandomProblem, damped_hessian: DampedHessian, mask_of: MaskOf
) -> None:
    problem = random_problem(20, [8])
    inverse = torch.linalg.inv(damped_hessian(problem))
    newton = problem.anchor - inverse @ problem.gradient(problem.anchor)
    for count in (1, 3, 5):
        for gone in list(combinations(range(8), count))[:10]:
            removed = mask_of(gone, 8)
            block = torch.linalg.solve(inverse[removed][:, removed], newton[removed])
            expected = newton - inverse[:, removed] @ block
            torch.testing.assert_close(back_solve(problem, ~removed), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("rows", [4, 30])
def test_the_fit_in_one_block_is_the_back_solve(rows: int, random_problem: RandomProblem, mask_of: MaskOf) -> None:
    problem, support = random_problem(rows, [12]), mask_of(SUPPORT, 12)
    fitted = fit(problem, support, problem.blocks(None))
    torch.testing.assert_close(fitted, back_solve(problem, support), rtol=1e-10, atol=1e-10)


def test_a_block_is_fitted_to_its_own_cut_and_what_earlier_blocks_left(
    random_problem: RandomProblem, mask_of: MaskOf
) -> None:
    problem, support = random_problem(10, [24]), mask_of(range(0, 24, 2), 24)
    blocks = problem.blocks(5)
    w = problem.anchor.clone()
    for number, block in enumerate(blocks):
        w[block] = fit(problem, support, blocks[: number + 1])[block]
        assert problem.gradient(w)[block][support[block]].norm() < 1e-10
    assert not w[~support].any()


def test_one_block_of_a_layer_is_all_of_it(random_problem: RandomProblem, mask_of: MaskOf) -> None:
    problem, support = random_problem(10, [24]), mask_of(range(0, 24, 2), 24)
    whole = fit(problem, support, problem.blocks(None))
    assert torch.equal(fit(problem, support, problem.blocks(24)), whole)
    assert problem.loss(whole) < problem.loss(fit(problem, support, problem.blocks(5)))


def test_a_block_is_solved_with_the_others_as_they_are(random_problem: RandomProblem, mask_of: MaskOf) -> None:
    problem = random_problem(10, [12])
    w = back_solve(problem, mask_of((1, 2, 5, 9), 12))
    index = torch.tensor([2, 5, 6])
    solved = solve_block(problem, w, index)
    outside = ~mask_of(index.tolist(), 12)
    assert torch.equal(solved[outside], w[outside])
    assert problem.gradient(solved)[index].norm() < 1e-10


def test_conjugate_gradients_lower_the_loss_at_every_step_down_to_the_back_solve(
    random_problem: RandomProblem, mask_of: MaskOf
) -> None:
    problem, support = random_problem(15, [12]), mask_of(SUPPORT, 12)
    start = restricted(problem.anchor, support)
    losses = [problem.loss(relax(problem, start, support, steps)) for steps in range(7)]
    assert losses == sorted(losses, reverse=True)
    torch.testing.assert_close(relax(problem, start, support, 12), back_solve(problem, support))
