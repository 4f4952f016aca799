from __future__ import annotations

import pytest
from msgspec.structs import replace

from pricing.specs.base import dump, load
from pricing.specs.payoff import Barrier, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from pricing.specs.time_steps import MOST_STEPS, gridded
from tests.pricing.cases import ASIAN, CALL, CONTINUOUS, PLAIN, STOCHASTIC, SURFACE, WRITTEN, feature, problem_of

PULLED = replace(WRITTEN, drifts=("8 * (100 - S)",))


def steps(process: Process, payoff: Payoff = CALL, *, maturity: float = 1.0) -> int | None:
    """The time steps that a problem takes by itself."""
    return gridded(problem_of(process, payoff, maturity=maturity)).process.facts.grid


@pytest.mark.parametrize(("process", "least"), [(STOCHASTIC, 16), (SURFACE, 32), (WRITTEN, 64)])
def test_a_short_contract_takes_the_least_and_a_long_one_more(process: Process, least: int) -> None:
    assert process.facts.grid == least
    assert steps(process, maturity=0.02) == least
    counts = [steps(process, maturity=years) or 0 for years in (0.02, 1.0, 10.0, 300.0)]
    assert counts == sorted(counts)
    assert least < counts[-1] <= MOST_STEPS


@pytest.mark.parametrize(
    ("slow", "fast"),
    [
        (STOCHASTIC, replace(STOCHASTIC, mean_reversions=(10.0,))),
        (STOCHASTIC, replace(STOCHASTIC, variance_volatilities=(1.0,))),
        (SURFACE, replace(SURFACE, volatilities=(0.6,))),
        (WRITTEN, PULLED),
        (WRITTEN, replace(WRITTEN, diffusions=("2 * S",))),
    ],
)
def test_a_fast_process_takes_more(slow: Process, fast: Process) -> None:
    assert (steps(fast) or 0) > (steps(slow) or 0)


def test_the_worst_corner_of_the_box_decides() -> None:
    varying = [feature("mean_reversion", 0.5, 9.0), feature("maturity", 0.1, 4.0)]
    wide, still = gridded(problem_of(STOCHASTIC, CALL, *varying)), replace(STOCHASTIC, mean_reversions=(9.0,))
    assert wide.process.facts.grid == steps(still, maturity=4.0)


def test_dates_get_as_many_steps_each_as_the_longest_wait_asks_for() -> None:
    uneven, rare = replace(ASIAN, dates=(0.1, 1.0)), replace(ASIAN, dates=(0.5,))
    assert steps(STOCHASTIC, ASIAN, maturity=0.1) == 16
    assert steps(STOCHASTIC, uneven, maturity=0.1) == 2 * 15
    assert steps(STOCHASTIC, rare, maturity=0.1) == 16
    many = replace(ASIAN, dates=tuple((i + 1) / 100 for i in range(100)))
    assert steps(STOCHASTIC, many, maturity=0.1) == 100


def test_a_barrier_that_is_watched_all_the_time_takes_twice_as_many() -> None:
    assert steps(STOCHASTIC, CONTINUOUS, maturity=0.1) == 32
    dated = Barrier(strike=100.0, barrier=90.0, direction="down", knock="out", dates=(1.0,))
    assert steps(STOCHASTIC, dated, maturity=0.1) == 16


def test_what_is_said_stays_and_what_has_no_grid_is_left_alone() -> None:
    given = problem_of(replace(STOCHASTIC, steps=5), CALL, maturity=30.0)
    assert gridded(given) is given
    plain = problem_of(PLAIN, CALL, maturity=30.0)
    assert gridded(plain) is plain


@pytest.mark.parametrize("process", [STOCHASTIC, SURFACE, WRITTEN])
def test_a_specification_says_no_steps_unless_they_are_given(process: Process) -> None:
    problem = problem_of(process, CALL)
    assert "steps" not in dump(problem)["process"]
    assert load(PricingProblem, dump(problem)) == problem
    given = replace(problem, process=replace(process, steps=7))
    assert dump(given)["process"]["steps"] == 7
    assert load(PricingProblem, dump(given)) == given
