"""The exercise rule: what it is regressed on, and what it makes of it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.exercise.inputs import inputs, region, scale
from pricing.exercise.rule import (
    PATHS_PER_TERM,
    ExerciseRule,
    Sample,
    by_inputs,
    differentiates,
    exercised,
    fit_rule,
    value,
)
from pricing.processes.simulate import blocks, simulate
from pricing.references.reference import reference
from pricing.regression import evaluate, make_basis
from pricing.simulation.scenario import scenario, times
from pricing.specs.estimator import Frozen
from pricing.specs.european import BestOf, Call, Put
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from tests.pricing.cases import CALL, GAUSSIAN, PAIR, PLAIN, STOCHASTIC, alike, doubles, normals, problem_of

PUT = Bermudan(option=Put(weights=(1.0,), strike=100.0), dates=(0.5, 1.0))
BEST = Bermudan(option=BestOf(initial=(1.0, 1.0), strike=100.0), dates=(0.5, 1.0))
EARNING = replace(PLAIN, rate=0.06)
LEVELS = replace(GAUSSIAN, rate=0.06, convention="carry")


def fitted(process: Process, payoff: Bermudan, *, degree: int = 3) -> ExerciseRule:
    return fit_rule(problem_of(process, payoff), Frozen(degree=degree, paths=1 << 13), seed=2)


@pytest.mark.parametrize("process", [EARNING, LEVELS])
def test_continuation_is_the_value_of_what_is_left(process: Process) -> None:
    """With two dates C_1(S) is a European put over the second half, which has a formula."""
    rule = fitted(process, PUT, degree=5)
    spots = doubles([75.0, 85.0, 95.0])
    european = problem_of(process, PUT.option, maturity=0.5)
    exact = reference(european, spots[:, None].numpy(), order=0).value
    at = scenario(rule.problem, doubles([[100.0]]))
    levels = spots[None, :, None]
    kept = value(rule.inside[0], inputs(rule.problem, levels, at)[0], region(rule.problem, levels)[0])
    np.testing.assert_allclose(scale(rule.problem, at)[0] * kept, exact, rtol=0.02)


@pytest.mark.parametrize("process", [EARNING, LEVELS])
def test_where_exercise_is_close_it_is_closer(process: Process) -> None:
    """At the spot where both are worth the same, a low degree that looks there beats the same that looks everywhere."""
    problem = problem_of(process, PUT, spots=(20.0, 300.0))
    rule = fit_rule(problem, Frozen(degree=3, paths=1 << 15), seed=2)
    spots = torch.linspace(80.0, 99.0, 381, dtype=torch.float64)
    european = problem_of(process, PUT.option, maturity=0.5)
    exact = torch.from_numpy(reference(european, spots[:, None].numpy(), order=0).value)
    boundary = int((100.0 - spots - exact).abs().argmin())
    levels, at = spots[None, boundary : boundary + 1, None], scenario(problem, doubles([[100.0]]))
    near = float(rule.continuation(levels, at, date=0))
    whole = float(scale(problem, at) * value(rule.inside[0], inputs(problem, levels, at)[0], torch.zeros(1)))
    right = float(exact[boundary])
    assert abs(near - right) < abs(whole - right)
    assert near == pytest.approx(right, rel=0.02)


def test_worth_is_the_best_of_exercise_continuation_and_nothing() -> None:
    rule = fitted(EARNING, PUT)
    at, spots = scenario(rule.problem, doubles([[100.0]])), doubles([[60.0], [80.0], [99.0]])[None]
    now = 100.0 - spots[..., 0]
    assert torch.equal(rule.worth(spots, at, date=1), now)
    kept = scale(rule.problem, at) * value(rule.inside[0], inputs(rule.problem, spots, at)[0], torch.zeros(3))[None]
    assert torch.equal(rule.worth(spots, at, date=0), torch.maximum(now, kept))
    assert bool((rule.worth(doubles([[[150.0]]]), at, date=0) >= 0.0).all())
    assert float(rule.worth(doubles([[[150.0]]]), at, date=1)) == 0.0


def test_a_put_is_exercised_below_one_level_and_a_call_without_dividends_nowhere() -> None:
    spots = torch.linspace(55.0, 99.0, 45, dtype=torch.float64)[None, :, None]
    put = fitted(EARNING, PUT)
    at = scenario(put.problem, doubles([[100.0]]))
    stops = (100.0 - spots[..., 0] >= put.continuation(spots, at, date=0))[0]
    assert 0 < int(stops.sum()) < 45
    assert stops.tolist() == sorted(stops.tolist(), reverse=True)
    call = fitted(EARNING, Bermudan(option=Call(weights=(1.0,), strike=100.0), dates=(0.5, 1.0)))
    above = 200.0 - spots
    assert bool((call.continuation(above, at, date=0) > above[..., 0] - 100.0).all())


def test_the_spread_is_none_where_nothing_is_in_the_money() -> None:
    """A strike of 1 with spots from 50 on: the rule is fitted on all paths and never asked."""
    rule = fitted(EARNING, replace(PUT, option=Put(weights=(1.0,), strike=1.0)))
    assert rule.spreads == (0.0,)
    assert all(spread > 0.0 for spread in fitted(EARNING, PUT).spreads)


def test_a_sample_of_few_rows_is_fitted_on_all() -> None:
    x = normals(1, paths=256)[0]
    place = torch.zeros(256, dtype=torch.long)
    sample = Sample(x=x, place=place, cash=x[:, 0].square(), gradient=None)
    few = torch.zeros(256, dtype=torch.bool)
    few[: PATHS_PER_TERM * len(make_basis(x, 2)) - 1] = True
    (whole,) = sample.continuation(2, rows=torch.ones(256, dtype=torch.bool), regions=1)
    assert torch.equal(sample.continuation(2, rows=few, regions=1)[0].coefficients, whole.coefficients)
    assert sample.close((whole,), x[:, 0], rows=few) == (whole,)
    torch.testing.assert_close(evaluate(whole, x), x[:, 0].square(), rtol=0.0, atol=1e-6)


def simulated(process: Process, payoff: Bermudan, spots: Tensor) -> tuple[PricingProblem, Tensor, Tensor, Tensor]:
    """Discounted cash at the end, and its derivatives by the inputs at the first date, each sample on one path."""
    problem = problem_of(process, payoff)
    at, z = scenario(problem, spots), normals(sum(blocks(process, 2)), paths=len(spots)).movedim(1, 0)
    paths = simulate(process, at, z, times(problem, at))
    cash, slope = exercised(problem, paths, at, date=-1)
    x = inputs(problem, paths.levels(0), at)[:, 0]
    return problem, cash[:, 0], by_inputs(problem, paths, at, slope, date=0), x


@pytest.mark.parametrize(
    ("process", "payoff"), [(EARNING, PUT), (LEVELS, PUT), (replace(alike(PLAIN, PAIR), rate=0.05), BEST)]
)
def test_derivatives_by_the_inputs_are_differences_along_them(process: Process, payoff: Bermudan) -> None:
    """Later cash moves with the state as with the spots: dcash = sum of slope times the move of every input."""
    spots = doubles([[90.0, 96.0], [100.0, 103.0], [104.0, 98.0], [115.0, 120.0]])[:, : process.assets]
    for asset in range(process.assets):
        move = torch.zeros_like(spots)
        move[:, asset] = 1e-4
        (problem, up, _, right), (_, down, _, left) = (simulated(process, payoff, spots + e) for e in (move, -move))
        assert differentiates(problem)
        _, cash, slopes, x = simulated(process, payoff, spots)
        expected = (slopes * (right - left)[:, : slopes.shape[1]]).sum(dim=1)
        assert bool((cash > 0.0).any())
        torch.testing.assert_close(up - down, expected, rtol=1e-5, atol=1e-9)
        assert x.shape[1] == process.assets


def test_no_derivatives_where_the_state_is_more_than_the_levels() -> None:
    assert not differentiates(problem_of(STOCHASTIC, PUT))
    unlike = replace(alike(PLAIN, PAIR), volatilities=(0.2, 0.3))
    assert differentiates(problem_of(unlike, BEST))
    assert differentiates(problem_of(PLAIN, PUT))
    assert differentiates(problem_of(PLAIN, Bermudan(option=CALL, dates=(1.0,))))
