from __future__ import annotations

from itertools import pairwise

import torch

from pruning.quadratic.chita import Quadratic, restricted
from pruning.quadratic.line_search import along, at, descend, step


def problem(rows: int, weights: int, generator: torch.Generator, *, ridge: float = 0.1) -> Quadratic:
    return Quadratic(
        rows=torch.randn(rows, weights, generator=generator, dtype=torch.float64),
        anchor=torch.randn(weights, generator=generator, dtype=torch.float64),
        residual=0.1 * torch.randn(rows, generator=generator, dtype=torch.float64),
        ridge=ridge,
        priority=torch.zeros(weights, dtype=torch.float64),
    )


def test_the_parabola_of_a_support_has_its_minimum_where_a_dense_grid_does(generator: torch.Generator) -> None:
    quadratic = problem(40, 20, generator, ridge=0.5)
    w = quadratic.threshold(quadratic.anchor, 15)
    gradient = quadratic.gradient(w)
    for support in (w != 0, quadratic.support(w - 0.1 * gradient, 15)):
        best = along(quadratic, w, gradient, support)
        grid = torch.linspace(0.0, 3.0 * best.length, 3001, dtype=torch.float64)
        losses = [quadratic.loss(restricted(w - tau * gradient, support)) for tau in grid.tolist()]
        assert best.loss <= min(losses) * (1.0 + 1e-12)
        assert abs(losses.index(min(losses)) - 1000) <= 1
        torch.testing.assert_close(best.w, restricted(w - best.length * gradient, support))
        torch.testing.assert_close(best.error, quadratic.error(best.w))


def test_no_step_raises_the_loss_or_keeps_too_much(generator: torch.Generator) -> None:
    quadratic = problem(30, 40, generator)
    point = at(quadratic, quadratic.threshold(quadratic.anchor, 10))
    losses = [point.loss]
    for _ in range(30):
        point = step(quadratic, point, 10)
        assert torch.count_nonzero(point.w) <= 10
        assert abs(point.loss - quadratic.loss(point.w)) <= 1e-9 * point.loss
        losses.append(point.loss)
    assert all(b <= a for a, b in pairwise(losses))
    assert losses[-1] < 0.5 * losses[0]


def test_the_descent_reports_falling_losses_and_ends_at_the_last(generator: torch.Generator) -> None:
    quadratic = problem(30, 40, generator)
    w, losses = descend(quadratic, quadratic.threshold(quadratic.anchor, 10), 10, 100)
    assert all(b < a for a, b in pairwise(losses))
    assert abs(quadratic.loss(w) - losses[-1]) < 1e-9
    assert len(losses) < 100


def test_the_descent_changes_the_support_where_that_pays() -> None:
    # The third weight is fitted where it is, so that the gradient on the support is 0, but the second matters most.
    quadratic = Quadratic(
        rows=torch.diag(torch.tensor([1.0, 10.0, 0.1], dtype=torch.float64)),
        anchor=torch.tensor([1.0, 1.2, 1.1], dtype=torch.float64),
        residual=torch.zeros(3, dtype=torch.float64),
        ridge=1e-9,
        priority=torch.zeros(3, dtype=torch.float64),
    )
    start = torch.tensor([0.0, 0.0, 1.1], dtype=torch.float64)
    w, _ = descend(quadratic, start, 1, 100)
    assert w.nonzero()[:, 0].tolist() == [1]
