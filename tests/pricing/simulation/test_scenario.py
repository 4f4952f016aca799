"""Parameters at the features, and the integrals over time that the processes take from them."""

from __future__ import annotations

import math

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.simulation.scenario import Scenario, clock, correlation, discount, growth, integral, scenario, times
from pricing.specs.schedule import Piece
from tests.pricing.cases import (
    CALL,
    CARRYING,
    DATED,
    GAUSSIAN,
    PAIR,
    PLAIN,
    alike,
    doubles,
    feature,
    points,
    problem_of,
    uncorrelated,
)

PIECES = (Piece(start=0.25, value=0.08), Piece(start=0.75, value=-0.02))
MOVING = replace(CARRYING, rate_pieces=PIECES, volatility_pieces=(Piece(start=0.5, value=2.0),))


def at_hundred(*names: str) -> Scenario:
    """The process above with those features at its own values, and sizes as it has pieces."""
    sizes = problem_of(MOVING, CALL).sizes
    problem = problem_of(MOVING, CALL, *(feature(name, 0.0, 4.0, size=sizes[name]) for name in names))
    return scenario(problem, points(problem, (100.0,)))


def test_features_take_the_place_of_the_values() -> None:
    problem = problem_of(PLAIN, CALL, feature("strike", 80.0, 120.0), feature("volatility"))
    x = doubles([[100.0, 90.0, 0.3], [110.0, 95.0, 0.4]])
    at = scenario(problem, x)
    assert torch.equal(at["spot"], x[:, None, :1])
    assert torch.equal(at.scalar("strike"), x[:, 1:2])
    assert torch.equal(at["volatility"][:, 0], x[:, 2:])
    assert at["rate"].shape == (1, 1, 1)  # what no feature moves has one row for all
    assert "rate" in at
    assert "correlation" not in at


def test_a_detached_scenario_has_the_numbers_without_derivatives() -> None:
    x = doubles([[100.0]]).requires_grad_()
    at = scenario(problem_of(PLAIN, CALL), x)
    assert at["spot"].requires_grad
    assert not at.detach()["spot"].requires_grad
    assert torch.equal(at.detach()["spot"], at["spot"])


def test_dates_move_with_the_maturity() -> None:
    problem = problem_of(PLAIN, DATED, feature("maturity", 0.0, 4.0))
    until = times(problem, scenario(problem, doubles([[100.0, 1.0], [100.0, 3.0]])))
    assert until[:, 0].tolist() == [[0.5, 1.0], [1.5, 3.0]]


@pytest.mark.parametrize("until", [0.0, 0.1, 0.25, 0.6, 2.0])
def test_integral_of_pieces_is_the_sum_of_rectangles(until: float) -> None:
    values, ends = (0.03, 0.08, -0.02), (0.0, 0.25, 0.75, math.inf)
    expected = sum(
        value * max(min(until, stop) - start, 0.0) for value, start, stop in zip(values, ends, ends[1:], strict=False)
    )
    assert float(integral(doubles([[values]]), PIECES, doubles([[[until]]]))) == pytest.approx(expected, abs=1e-16)


def test_integral_grows_at_the_rate_of_its_piece_and_in_proportion_to_the_lengths() -> None:
    values, until = doubles([[[0.03, 0.08, -0.02]]]).requires_grad_(), doubles([[[0.1, 0.6, 2.0]]]).requires_grad_()
    by_values, by_time = torch.autograd.grad(integral(values, PIECES, until).sum(), (values, until))
    assert by_time[0, 0].tolist() == [0.03, 0.08, -0.02]
    torch.testing.assert_close(by_values[0, 0], doubles([0.1 + 0.25 + 0.25, 0.35 + 0.5, 1.25]))


def test_growth_less_the_yield_is_what_discounts() -> None:
    """e^G e^(q t) D = 1, whatever the pieces of the rate."""
    at, until = at_hundred("rate", "dividend_yield"), doubles([[[0.2, 0.7, 1.5]]])
    yields = at["dividend_yield"][..., 0] * until
    product = torch.exp(growth(MOVING, at, until)[..., 0] + yields) * discount(MOVING, at, until)
    torch.testing.assert_close(product, torch.ones_like(until), rtol=1e-15, atol=0.0)


def test_a_process_without_carry_neither_grows_nor_discounts() -> None:
    at, until = scenario(problem_of(GAUSSIAN, CALL), doubles([[100.0]])), doubles([[[0.5, 2.0]]])
    assert not growth(GAUSSIAN, at, until).any()
    assert discount(GAUSSIAN, at, until).tolist() == [[[1.0, 1.0]]]


def test_clock_runs_at_the_square_of_the_scale() -> None:
    at, until = at_hundred("volatility_scale"), doubles([[[0.4, 0.5, 1.0]]])
    torch.testing.assert_close(clock(MOVING, at, until), doubles([[[0.4, 0.5, 0.5 + 4.0 * 0.5]]]))

    def of_scale(scale: Tensor) -> Tensor:
        return clock(MOVING, Scenario(parameters={**at.parameters, "volatility_scale": scale}), until)

    assert torch.autograd.gradcheck(of_scale, (doubles([[[1.0, 2.0]]]).requires_grad_(),))


def test_one_correlation_or_loadings_replace_the_matrix() -> None:
    three = alike(PLAIN, uncorrelated(3))
    basket = replace(CALL, weights=(1.0, 1.0, 1.0))
    rho = problem_of(three, basket, feature("correlation", -0.5, 1.0))
    matrix = correlation(three, scenario(rho, doubles([[100.0, 100.0, 100.0, 0.3]])))
    assert matrix[0].tolist() == [[1.0, 0.3, 0.3], [0.3, 1.0, 0.3], [0.3, 0.3, 1.0]]
    loading = problem_of(three, basket, feature("loading", -1.0, 1.0, size=3))
    matrix = correlation(three, scenario(loading, doubles([[100.0, 100.0, 100.0, 0.5, -0.4, 0.2]])))
    expected = doubles([[1.0, -0.2, 0.1], [-0.2, 1.0, -0.08], [0.1, -0.08, 1.0]])
    torch.testing.assert_close(matrix[0], expected, rtol=1e-15, atol=0.0)
    pair = alike(PLAIN, PAIR)
    own = scenario(problem_of(pair, replace(CALL, weights=(1.0, 1.0))), doubles([[100.0, 100.0]]))
    assert correlation(pair, own).tolist() == [[[1.0, 0.5], [0.5, 1.0]]]
