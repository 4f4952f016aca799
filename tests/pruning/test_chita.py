from __future__ import annotations

from itertools import combinations, pairwise

import pytest
import torch
from torch import Tensor

from pruning.chita import Quadratic, back_solve, descend, first_breakpoint, line_search_step, lipschitz, solve
from pruning.masks import top


def problem(rows: int, weights: int, generator: torch.Generator, *, ridge: float = 0.1) -> Quadratic:
    return Quadratic(
        rows=torch.randn(rows, weights, generator=generator, dtype=torch.float64),
        anchor=torch.randn(weights, generator=generator, dtype=torch.float64),
        residual=0.1 * torch.randn(rows, generator=generator, dtype=torch.float64),
        ridge=ridge,
        priority=torch.zeros(weights, dtype=torch.float64),
    )


def mask(indices: tuple[int, ...], size: int) -> Tensor:
    chosen = torch.zeros(size, dtype=torch.bool)
    chosen[list(indices)] = True
    return chosen


@pytest.mark.parametrize("rows", [4, 9, 30])
def test_the_back_solve_satisfies_the_optimality_conditions(rows: int, generator: torch.Generator) -> None:
    quadratic = problem(rows, 12, generator)
    support = mask((0, 3, 4, 7, 8, 11), 12)
    w = back_solve(quadratic, support)
    assert not w[~support].any()
    assert quadratic.gradient(w)[support].norm() < 1e-10


def test_the_back_solve_is_the_joint_optimal_brain_surgeon(generator: torch.Generator) -> None:
    quadratic = problem(20, 8, generator)
    hessian = quadratic.rows.T @ quadratic.rows + 0.1 * torch.eye(8, dtype=torch.float64)
    inverse = torch.linalg.inv(hessian)
    newton = quadratic.anchor - inverse @ quadratic.gradient(quadratic.anchor)
    for count in (1, 3, 5):
        for gone in list(combinations(range(8), count))[:10]:
            removed = mask(gone, 8)
            block = torch.linalg.solve(inverse[removed][:, removed], newton[removed])
            expected = newton - inverse[:, removed] @ block
            torch.testing.assert_close(back_solve(quadratic, ~removed), expected, rtol=1e-10, atol=1e-10)


def test_keeping_everything_is_a_newton_step(generator: torch.Generator) -> None:
    quadratic = problem(20, 6, generator)
    hessian = quadratic.rows.T @ quadratic.rows + 0.1 * torch.eye(6, dtype=torch.float64)
    newton = quadratic.anchor - torch.linalg.solve(hessian, quadratic.gradient(quadratic.anchor))
    torch.testing.assert_close(solve(quadratic, 6).weights, newton)


def test_orthogonal_rows_keep_the_largest_coefficients(generator: torch.Generator) -> None:
    orthogonal, _ = torch.linalg.qr(torch.randn(15, 10, generator=generator, dtype=torch.float64))
    random = problem(15, 10, generator)
    quadratic = Quadratic(
        rows=orthogonal, anchor=random.anchor, residual=random.residual, ridge=0.0, priority=random.priority
    )
    coefficients = orthogonal.T @ (orthogonal @ random.anchor - random.residual)
    solution = solve(quadratic, 4)
    assert torch.equal(solution.support, top(coefficients.abs(), 4))
    torch.testing.assert_close(solution.weights, coefficients * solution.support)


def test_no_support_beats_the_exhaustive_search_and_half_are_within_twice_its_excess() -> None:
    ratios = []
    for seed in range(20):
        quadratic = problem(10, 9, torch.Generator().manual_seed(seed))
        found = quadratic.loss(solve(quadratic, 4).weights)
        best = min(quadratic.loss(back_solve(quadratic, mask(kept, 9))) for kept in combinations(range(9), 4))
        assert found >= best - 1e-12
        ratios.append(found / best)
    assert sorted(ratios)[10] < 2.0


def test_the_objective_never_rises(generator: torch.Generator) -> None:
    quadratic = problem(30, 40, generator)
    losses = solve(quadratic, 10).losses
    assert all(b <= a * (1.0 + 1e-12) for a, b in pairwise(losses))
    w = quadratic.threshold(quadratic.anchor, 10)
    path = [quadratic.loss(w)]
    for _ in range(30):
        w = line_search_step(quadratic, w, 10)
        assert torch.count_nonzero(w) <= 10
        path.append(quadratic.loss(w))
    assert all(b <= a for a, b in pairwise(path))
    assert path[-1] < path[0]
    assert quadratic.loss(descend(quadratic, quadratic.threshold(quadratic.anchor, 10), 10)) <= path[5]


def test_the_line_search_finds_the_minimum_before_the_first_change_of_support(generator: torch.Generator) -> None:
    quadratic = problem(40, 20, generator, ridge=0.5)
    w = quadratic.threshold(quadratic.anchor, 15)
    gradient = quadratic.gradient(w)
    change = first_breakpoint(w, gradient, w != 0)
    taus = torch.linspace(0.0, change, 2001, dtype=torch.float64)[:-1]
    paths = [quadratic.threshold(w - tau * gradient, 15) for tau in taus.tolist()]
    assert all(torch.equal(path != 0, w != 0) for path in paths)
    beyond = quadratic.threshold(w - 1.001 * change * gradient, 15)
    assert not torch.equal(beyond != 0, w != 0)
    step = line_search_step(quadratic, w, 15)
    assert quadratic.loss(step) <= min(quadratic.loss(path) for path in paths) * (1.0 + 1e-4)


def test_lipschitz_bounds_the_curvature(generator: torch.Generator) -> None:
    quadratic = problem(30, 40, generator)
    exact = float(torch.linalg.matrix_norm(quadratic.rows, 2)) ** 2 + quadratic.ridge
    assert exact <= lipschitz(quadratic) <= 1.06 * exact


def test_priorities_decide_over_size(generator: torch.Generator) -> None:
    quadratic = problem(10, 12, generator)
    priority = quadratic.priority.clone()
    smallest, largest = int(quadratic.anchor.abs().argmin()), int(quadratic.anchor.abs().argmax())
    priority[smallest], priority[largest] = torch.inf, -torch.inf
    solution = solve(
        Quadratic(
            rows=quadratic.rows, anchor=quadratic.anchor, residual=quadratic.residual, ridge=0.1, priority=priority
        ),
        5,
    )
    assert solution.support[smallest]
    assert not solution.support[largest]
    assert solution.support.sum() == 5
