from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from pruning.quadratic.factored import factored
from pruning.quadratic.problem import Quadratic, restricted
from pruning.rows import Rows

RandomProblem = Callable[..., Quadratic]


@pytest.fixture
def rows(generator: torch.Generator) -> Rows:
    """Five rows of two terms by the weights of two layers."""
    shapes = ((3, 4), (2, 3))
    return Rows(
        left=tuple(torch.randn(2, 5, out, generator=generator, dtype=torch.float64) for out, _ in shapes),
        right=tuple(torch.randn(2, 5, fan_in, generator=generator, dtype=torch.float64) for _, fan_in in shapes),
        residual=torch.randn(5, generator=generator, dtype=torch.float64),
    )


def test_the_gradient_is_that_of_the_loss(random_problem: RandomProblem, generator: torch.Generator) -> None:
    problem = random_problem(7, [5, 4])
    w = torch.randn(9, generator=generator, dtype=torch.float64)
    step = 1e-5 * torch.eye(9, dtype=torch.float64)
    slopes = [(problem.loss(w + each) - problem.loss(w - each)) / 2e-5 for each in step]
    torch.testing.assert_close(problem.gradient(w), torch.tensor(slopes, dtype=torch.float64), rtol=1e-7, atol=1e-7)


def test_the_loss_is_a_parabola_with_the_damped_hessian(
    random_problem: RandomProblem, damped_hessian: Callable[[Quadratic], Tensor], generator: torch.Generator
) -> None:
    problem = random_problem(7, [5, 4], damping=0.3)
    d = torch.randn(9, generator=generator, dtype=torch.float64)
    change = problem.gradient(problem.anchor) @ d + 0.5 * d @ damped_hessian(problem) @ d
    assert problem.loss(problem.anchor + d) == pytest.approx(problem.loss(problem.anchor) + float(change), rel=1e-12)


def test_rows_as_factors_are_the_same_problem(
    rows: Rows, random_problem: RandomProblem, generator: torch.Generator
) -> None:
    masks = [torch.rand(shape, generator=generator) < 0.7 for shape in ((3, 4), (2, 3))]
    matrix = rows.matrix(masks)
    index = torch.cat([kept.flatten() for kept in masks]).nonzero()[:, 0]
    plain = replace(random_problem(5, [int(kept.sum()) for kept in masks]), rows=matrix, residual=rows.residual)
    by_factors = replace(plain, rows=factored(rows, index, torch.ones_like(plain.anchor), torch.float64))
    w = torch.randn(len(index), generator=generator, dtype=torch.float64)
    assert by_factors.loss(w) == pytest.approx(plain.loss(w), rel=1e-12)
    torch.testing.assert_close(by_factors.gradient(w), plain.gradient(w))
    torch.testing.assert_close(by_factors.matrix, matrix)
    assert torch.equal(by_factors.keep(w, 4), plain.keep(w, 4))


def test_thresholding_keeps_the_nearest_point_with_so_many_weights(
    random_problem: RandomProblem, generator: torch.Generator
) -> None:
    problem, w = random_problem(4, [10]), torch.randn(10, generator=generator, dtype=torch.float64)
    nearest = problem.threshold(w, 4)
    assert torch.count_nonzero(nearest) == 4
    for _ in range(50):
        other = restricted(w, torch.randperm(10, generator=generator) < 4)
        assert (w - nearest).norm() <= (w - other).norm()


def test_priorities_stand_above_magnitudes(random_problem: RandomProblem) -> None:
    problem = random_problem(4, [6])
    w = torch.arange(1.0, 7.0, dtype=torch.float64)
    priority = torch.tensor([torch.inf, 0.0, 0.0, 0.0, 0.0, -torch.inf], dtype=torch.float64)
    assert replace(problem, priority=priority).support(w, 3).nonzero()[:, 0].tolist() == [0, 3, 4]


def test_blocks_are_even_runs_of_one_layer(random_problem: RandomProblem) -> None:
    problem = random_problem(2, [7, 0, 3, 1])
    sizes = [block.stop - block.start for block in problem.blocks(4)]
    assert sizes == [3, 4, 3, 1]
    assert [block.start for block in problem.blocks(4)] == [0, 3, 7, 10]


def test_weights_without_effect_go_first_and_one_a_layer_stays(random_problem: RandomProblem) -> None:
    problem = random_problem(5, [3, 3])
    matrix = problem.matrix.clone()
    matrix[:, 0] = 0.0
    scores = torch.tensor([9.0, 1.0, 2.0, 3.0, 4.0, 5.0], dtype=torch.float64)
    kept = replace(problem, rows=matrix).keep(scores, 3)
    assert kept.tolist() == [False, False, True, False, True, True]
    assert problem.keep(scores, 1).sum() == 1
