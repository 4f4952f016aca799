"""What continuation values are functions of: units drop out, alike assets are sorted, levels are bounded."""

from __future__ import annotations

import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.exercise.inputs import (
    exchangeable,
    gain,
    homogeneous,
    inputs,
    middle,
    region,
    regions,
    relative,
    require_bermudan,
    scale,
)
from pricing.simulation.scenario import scenario
from pricing.specs.european import BestOf, Call, Put, WorstOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from tests.pricing.cases import (
    BERMUDAN,
    CALL,
    GAUSSIAN,
    PAIR,
    PLAIN,
    STOCHASTIC,
    alike,
    doubles,
    feature,
    normals,
    problem_of,
)

BEST = Bermudan(option=BestOf(initial=(1.0, 1.0), strike=100.0), dates=(0.5, 1.0))
STRIKE = feature("strike", 50.0, 200.0)


def seen(problem: PricingProblem, levels: Tensor, *others: float) -> Tensor:
    """The inputs at levels of one sample. Shape: path asset -> path input."""
    at = scenario(problem, doubles([[100.0] * problem.process.assets + list(others)]))
    return inputs(problem, levels[None], at)[0]


def levels(assets: int) -> Tensor:
    """A spread of positive levels."""
    return 100.0 * torch.exp(0.3 * normals(assets, paths=16)[0])


@pytest.mark.parametrize(("process", "payoff"), [(PLAIN, BERMUDAN), (alike(PLAIN, PAIR), BEST)])
def test_nothing_changes_where_spots_and_strike_grow_together(process: Process, payoff: Bermudan) -> None:
    problem, spots = problem_of(process, payoff, STRIKE), levels(process.assets)
    assert homogeneous(problem)
    torch.testing.assert_close(seen(problem, 1.5 * spots, 150.0), seen(problem, spots, 100.0), rtol=1e-13, atol=1e-14)
    assert seen(problem, spots, 100.0).shape[-1] == process.assets  # the strike is the unit


@pytest.mark.parametrize("payoff", [BEST, Bermudan(option=WorstOf(initial=(1.0, 1.0), strike=100.0), dates=(1.0,))])
def test_assets_that_are_alike_are_seen_in_order_of_size(payoff: Bermudan) -> None:
    problem, spots = problem_of(alike(PLAIN, PAIR), payoff), levels(2)
    assert exchangeable(problem)
    assert torch.equal(seen(problem, spots), seen(problem, spots.flip(-1)))
    assert bool((seen(problem, spots).diff(dim=-1) <= 0.0).all())


@pytest.mark.parametrize(
    "process",
    [
        replace(alike(PLAIN, PAIR), volatilities=(0.2, 0.3)),
        replace(alike(PLAIN, PAIR), dividend_yields=(0.0, 0.1)),
        replace(alike(STOCHASTIC, PAIR), long_variances=(0.04, 0.05)),
    ],
)
def test_assets_that_differ_keep_their_places_and_have_a_function_each(process: Process) -> None:
    problem, spots = problem_of(process, BEST), levels(2)
    assert not exchangeable(problem)
    assert not exchangeable(problem_of(alike(PLAIN, PAIR), replace(BEST, option=Call(weights=(1, 1), strike=1.0))))
    known = seen(problem, spots)
    torch.testing.assert_close(known[:, :2], seen(problem, spots.flip(-1))[:, :2].flip(-1))
    assert known.shape[-1] == 2
    assert regions(problem) == 2
    assert torch.equal(region(problem, spots[None])[0], spots.argmax(dim=-1))
    worst = replace(BEST, option=WorstOf(initial=(1.0, 2.0), strike=100.0))
    assert torch.equal(region(problem_of(process, worst), spots[None])[0], (spots / doubles([1.0, 2.0])).argmin(dim=-1))


def test_alike_assets_and_baskets_have_one_function() -> None:
    for payoff in (BEST, replace(BEST, option=Call(weights=(1.0, 1.0), strike=200.0))):
        problem = problem_of(alike(PLAIN, PAIR), payoff)
        assert regions(problem) == 1
        assert not region(problem, levels(2)[None]).any()


def test_a_feature_of_every_asset_tells_alike_assets_apart() -> None:
    assert not exchangeable(problem_of(alike(PLAIN, PAIR), BEST, feature("volatility", 0.1, 0.5, size=2)))
    assert exchangeable(problem_of(alike(PLAIN, PAIR), BEST, feature("maturity", 0.1, 0.5)))


def test_levels_are_within_one_and_zero_at_the_strike() -> None:
    """Half the logarithm of moneyness near the strike."""
    problem = problem_of(PLAIN, BERMUDAN)
    at = scenario(problem, doubles([[100.0]]))
    spots = doubles([0.0, 99.0, 100.0, 101.0, 1e12])[None, :, None]
    u = relative(problem, spots, at)[0, :, 0]
    assert u[0] == -1.0
    assert u[2] == 0.0
    assert float(u[4]) == pytest.approx(1.0)
    torch.testing.assert_close(u[1:4], 0.5 * torch.log(spots[0, 1:4, 0] / 100.0), rtol=1e-4, atol=0.0)


def test_levels_that_may_be_negative_are_seen_as_they_are() -> None:
    problem = problem_of(GAUSSIAN, BERMUDAN, STRIKE)
    spots = doubles([[-10.0], [100.0]])
    assert not homogeneous(problem)
    assert torch.equal(seen(problem, spots, 100.0), doubles([[-10.0, 100.0], [100.0, 100.0]]))
    assert float(scale(problem, scenario(problem, doubles([[100.0, 80.0]])))) == 1.0


def test_the_gain_is_how_far_it_is_in_the_money() -> None:
    put = problem_of(PLAIN, Bermudan(option=Put(weights=(1.0,), strike=100.0), dates=(0.5, 1.0)), STRIKE)
    at = scenario(put, doubles([[100.0, 90.0]]))
    assert gain(put, doubles([[[80.0], [100.0]]]), at).tolist() == [[10.0, -10.0]]


def test_the_middle_of_a_feature_stands_for_it() -> None:
    assert middle(problem_of(PLAIN, BERMUDAN, STRIKE), "strike") == 125.0
    assert middle(problem_of(PLAIN, BERMUDAN), "strike") == 100.0


def test_a_payoff_without_exercise_dates_is_refused() -> None:
    assert require_bermudan(problem_of(PLAIN, BERMUDAN)) == BERMUDAN
    with pytest.raises(InvalidSpec, match="'frozen' exercises Bermudan payoffs"):
        require_bermudan(problem_of(PLAIN, CALL))
