from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pruning.quadratic.inverse import invert, invert_blocks
from pruning.quadratic.problem import Quadratic


def rows_of(count: int, weights: int, generator: torch.Generator) -> torch.Tensor:
    return torch.randn(count, weights, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("count", "damping"), [(5, 0.1), (5, 1e-4), (12, 0.1), (40, 1e-6)])
def test_both_forms_are_the_dense_inverse(count: int, damping: float, generator: torch.Generator) -> None:
    rows = rows_of(count, 12, generator)
    exact = torch.linalg.inv(rows.T @ rows + damping * torch.eye(12, dtype=torch.float64))
    inverse = invert(rows, damping)
    torch.testing.assert_close(inverse.diagonal(), exact.diagonal(), rtol=1e-8, atol=1e-8)
    v = rows_of(1, 12, generator)[0]
    torch.testing.assert_close(inverse.times(v), exact @ v, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(inverse.times(torch.eye(12, dtype=torch.float64)), exact, rtol=1e-8, atol=1e-8)


def test_the_rank_one_recurrence_of_the_papers_ends_at_the_same_inverse(generator: torch.Generator) -> None:
    rows, damping = rows_of(6, 10, generator), 0.05
    inverse = torch.eye(10, dtype=torch.float64) / damping
    for row in rows:
        image = inverse @ row
        inverse = inverse - torch.outer(image, image) / (1.0 + row @ image)
    direct = invert(rows, damping)
    torch.testing.assert_close(direct.diagonal(), inverse.diagonal(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(direct.times(rows[2]), inverse @ rows[2], rtol=1e-10, atol=1e-10)


def test_rounding_never_takes_the_diagonal_below_its_bound(generator: torch.Generator) -> None:
    rows = rows_of(20, 30, generator)
    inverse = invert(rows, 1e-14)
    assert (inverse.diagonal() >= 1.0 / (rows.square().sum(dim=0) * (1.0 + 1e-12) + 1e-14)).all()


def test_blocks_are_inverted_as_if_the_rest_were_not_there(
    random_problem: Callable[..., Quadratic], damped_hessian: Callable[[Quadratic], torch.Tensor]
) -> None:
    problem = random_problem(4, [6, 3])
    hessian = damped_hessian(problem)
    exact = torch.zeros_like(hessian)
    for block in problem.blocks(3):
        exact[block, block] = torch.linalg.inv(hessian[block, block])
    inverse = invert_blocks(problem, problem.blocks(3))
    torch.testing.assert_close(inverse.diagonal(), exact.diagonal(), rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(inverse.times(problem.anchor), exact @ problem.anchor, rtol=1e-10, atol=1e-10)
