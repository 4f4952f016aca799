"""Which direction is left open: a unit vector along which baskets rise and ranked assets part."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.estimators.opening import LEAST_SLOPE, SPACING, bent, increasing, opening, require_share, responses, spaced
from pricing.simulation.rotation import identity
from pricing.simulation.scenario import Scenario, scenario
from pricing.specs.estimator import Conditional
from pricing.specs.european import Call, WorstOf
from pricing.specs.payoff import Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from tests.pricing.cases import CALL, GAUSSIAN, PAIR, PLAIN, alike, doubles, problem_of

THREE = ((1.0, 0.5, -0.3), (0.5, 1.0, 0.1), (-0.3, 0.1, 1.0))


def opened(process: Process, payoff: Payoff, *, normal: str = "first") -> tuple[PricingProblem, Scenario, Tensor]:
    problem = problem_of(process, payoff)
    at = scenario(problem, torch.full((1, process.assets), 100.0, dtype=torch.float64))
    estimator = Conditional(normal="last" if normal == "last" else "first")
    return problem, at, opening(problem, estimator, at, identity((process.assets,)))


def test_one_asset_has_one_direction() -> None:
    *_, direction = opened(PLAIN, CALL)
    assert direction.tolist() == [[[1.0]]]


def test_a_basket_that_adds_is_opened_along_the_axis() -> None:
    *_, direction = opened(alike(GAUSSIAN, THREE), Call(weights=(1.0, -1.0, 0.5), strike=0.0))
    assert direction[0, 0].tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("weights", [(1.0, 1.0, 1.0), (1.0, -1.0, 0.5), (-1.0, -0.5, -0.5)])
def test_weighted_levels_that_multiply_rise_or_fall_together(weights: tuple[float, ...]) -> None:
    problem, at, direction = opened(alike(PLAIN, THREE), Call(weights=weights, strike=0.0))
    moves = responses(problem, at, direction)[0][0, 0] * doubles(weights)
    assert float(direction.norm()) == pytest.approx(1.0, rel=1e-14)
    assert bool((moves >= -1e-12).all()) or bool((moves <= 1e-12).all())


@pytest.mark.parametrize("rho", [0.0, 0.9])
def test_ranked_assets_part_in_their_order(rho: float) -> None:
    matrix = ((1.0, rho, rho), (rho, 1.0, rho), (rho, rho, 1.0))
    problem, at, direction = opened(alike(PLAIN, matrix), WorstOf(initial=(100.0,) * 3, strike=1.0))
    moves = responses(problem, at, direction)[0][0, 0].sort().values
    assert float(direction.norm()) == pytest.approx(1.0, rel=1e-14)
    assert float(moves.diff().min()) > 0.05 * float(moves.abs().max())


def test_the_responses_of_levels_are_the_factor_of_their_law() -> None:
    """Unit vectors give the columns of L sigma, S or ln S alike."""
    units = torch.eye(2, dtype=torch.float64)[None]
    for process in (alike(GAUSSIAN, PAIR), alike(PLAIN, PAIR)):
        problem = problem_of(process, Call(weights=(0.5, 0.5), strike=100.0))
        columns, law = responses(problem, scenario(problem, doubles([[100.0, 100.0]])), units)
        sigma = 20.0 if law == "additive" else 0.2
        expected = sigma * torch.linalg.cholesky(doubles(PAIR))
        torch.testing.assert_close(columns[:, 0].T, expected, rtol=1e-12, atol=1e-13)


@given(slopes=st.lists(st.floats(-1.0, 1.0), min_size=2, max_size=6))
def test_spacing_keeps_the_order_and_the_distances(slopes: list[float]) -> None:
    before = doubles([[slopes]])
    size, after = before.norm(), spaced(before)[0, 0]
    ranks = before[0, 0].argsort(stable=True)
    gaps = after[ranks].diff()
    even = SPACING * size * 2.0 / (len(slopes) - 1)
    assert bool((gaps >= (1.0 - 2.0 * LEAST_SLOPE) * even - 1e-12).all())
    assert bool((after.abs() >= LEAST_SLOPE * even - 1e-12).all())


@given(slopes=st.lists(st.floats(-1.0, 1.0), min_size=3, max_size=3))
def test_slopes_against_their_sign_are_held_still(slopes: list[float]) -> None:
    signs, before = doubles([1.0, -1.0, 1.0]), doubles([[slopes]])
    along = signs * increasing(before, signs)[0, 0]
    assert bool((along >= -1e-12 * before.abs().max()).all()) or bool((along <= 0.0).all())
    changed = along != (signs * before)[0, 0]
    flipped = along != -(signs * before)[0, 0]
    assert not along[changed & flipped].any()


def test_towards_a_target_out_of_reach_is_the_axis() -> None:
    still = replace(PLAIN, volatilities=(0.0, 0.0), correlation=PAIR)
    problem = problem_of(still, WorstOf(initial=(100.0, 100.0), strike=1.0))
    at, axis = scenario(problem, doubles([[100.0, 100.0]])), doubles([[[0.6, 0.8]]])
    assert torch.equal(bent(problem, problem.payoff, at, axis=axis, columns=slice(0, 2)), axis)


def test_a_direction_that_carries_nothing_is_refused() -> None:
    """w . L[:, 0] = 0 for that spread."""
    process = replace(GAUSSIAN, volatilities=(10.0, 20.0), correlation=PAIR)
    problem = problem_of(process, Call(weights=(1.0, -1.0), strike=0.0))
    at = scenario(problem, doubles([[100.0, 100.0]]))
    require_share(problem, at, doubles([[[0.0, 1.0]]]))
    with pytest.raises(InvalidSpec, match=r"carries 0 of a standard deviation of 17\.3"):
        require_share(problem, at, doubles([[[1.0, 0.0]]]))
