from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from pruning.certificates.chart import BoxChart, chart
from pruning.certificates.search import GAP, Question, best_cover, round_up
from pruning.intervals.interval import Interval, square


def question(coordinates: BoxChart, *, tolerance: float) -> Question:
    """Bound 1 - |x|^2 on [-1, 1]^2 by its natural extension; its largest value is 1, at the origin."""

    def enclose(t: Interval) -> tuple[Interval, Tensor]:
        squares = square(
            coordinates.form(torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)).over(t)
        )
        upper, lower = 1.0 - squares.lower.sum(dim=1), 1.0 - squares.upper.sum(dim=1)
        return Interval(lower[:, None] - 1e-12, upper[:, None] + 1e-12), t.radius[:, None]

    number = torch.tensor([1.0], dtype=torch.float64)
    return Question(
        chart=coordinates,
        enclose=enclose,
        observe=lambda x: 1.0 - x.square().sum(dim=1, keepdim=True),
        tolerance=tolerance * number,
        scale=number,
        floor=0.0 * number,
    )


@pytest.fixture
def charts() -> list[BoxChart]:
    one = torch.ones(2, dtype=torch.float64)
    weight = torch.tensor([[1.0, 1.0], [1.0, -1.0]], dtype=torch.float64)
    return [chart(Interval(-one, one), weight, 0.0 * one, turned=turned) for turned in (True, False)]


def test_the_bound_closes_on_what_was_seen(charts: list[BoxChart]) -> None:
    points = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    _, cover = best_cover(lambda c: question(c, tolerance=math.inf), charts, points, budget=2000, entries=1)
    assert cover.seen[0] <= 1.0 <= cover.bounds[0] <= (1.0 + GAP) * cover.seen[0]
    assert cover.tried < 2000


def test_without_a_budget_nothing_is_known(charts: list[BoxChart]) -> None:
    points = torch.tensor([[0.5, 0.5]], dtype=torch.float64)
    _, cover = best_cover(lambda c: question(c, tolerance=0.0), charts, points, budget=0, entries=1)
    assert cover.tried == 0
    assert cover.bounds.tolist() == [math.inf]
    assert cover.holding(torch.zeros(1, 2, dtype=torch.float64), above=0.0, quantity=0).all()


@pytest.mark.parametrize("budget", [1, 7, 300])
def test_the_budget_is_kept_and_the_cover_holds_the_box(
    budget: int, charts: list[BoxChart], generator: torch.Generator
) -> None:
    x = 2.0 * torch.rand(2000, 2, generator=generator, dtype=torch.float64) - 1.0
    best, cover = best_cover(lambda c: question(c, tolerance=0.2), charts, x[:1], budget=budget, entries=1)
    assert cover.tried <= max(budget, len(charts))
    assert cover.holding(best.coordinates(x), above=-math.inf, quantity=0).all()


def test_sub_boxes_decide_where_the_tolerance_is_kept(charts: list[BoxChart], generator: torch.Generator) -> None:
    x = 2.0 * torch.rand(20_000, 2, generator=generator, dtype=torch.float64) - 1.0
    best, cover = best_cover(lambda c: question(c, tolerance=0.2), charts, x[:1], budget=5000, entries=1)
    failing = cover.holding(best.coordinates(x), above=0.2, quantity=0)
    assert (1.0 - x[~failing].square().sum(dim=1) <= 0.2).all()
    assert failing.double().mean() == pytest.approx(0.8 * math.pi / 4.0, abs=0.02)


@pytest.mark.parametrize("number", [0.0, 1e-300, 0.123456, 0.1, 99951.0, 3.0])
def test_bounds_are_rounded_up(number: float) -> None:
    rounded = round_up(number)
    assert rounded is not None
    assert Fraction(rounded) >= Fraction(number)
    assert rounded <= 1.01 * number
    assert round_up(math.inf) is None
