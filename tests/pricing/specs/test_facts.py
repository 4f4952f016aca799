"""Facts that follow from other facts: what they say is what the paths and the cash do."""

from __future__ import annotations

import pytest
import torch
from msgspec.structs import replace

from pricing.processes.simulate import blocks, simulate
from pricing.simulation.payoffs import cash
from pricing.simulation.scenario import scenario, times
from pricing.specs.european import WorstOf
from pricing.specs.payoff import Asian, Bermudan, Payoff
from pricing.specs.process import Process
from pricing.specs.schedule import Dividend
from tests.pricing.cases import (
    ASIAN,
    BERMUDAN,
    CALL,
    CARRYING,
    CONTINUOUS,
    DATED,
    DIGITAL,
    GAUSSIAN,
    NOTE,
    PLAIN,
    STOCHASTIC,
    SURFACE,
    doubles,
    normals,
    problem_of,
)

EARLY = Asian(weights=(1.0,), strike=100.0, dates=(0.25, 0.5))
CASH = replace(PLAIN, dividends=(Dividend(time=0.5, amount=90.0),))


@pytest.mark.parametrize("payoff", [CALL, DIGITAL, ASIAN, EARLY, DATED, CONTINUOUS, NOTE, BERMUDAN])
def test_a_path_ends_with_the_payment_and_is_looked_at_before(payoff: Payoff) -> None:
    facts = payoff.facts
    assert facts.dates[-1] == 1.0
    assert facts.last_look in facts.dates
    assert facts.dates == tuple(sorted(set(facts.dates)))
    assert set(facts.levels) <= set(payoff.parameters)


@pytest.mark.parametrize("payoff", [CALL, DIGITAL, ASIAN, EARLY])
def test_cash_depends_on_the_summed_dates_alone(payoff: Payoff) -> None:
    """Noise at the other dates changes nothing; at every summed one it changes something."""
    problem = problem_of(PLAIN, payoff)
    at = scenario(problem, doubles([[100.0]]))
    count = len(payoff.facts.dates)
    paths = simulate(PLAIN, at, normals(count, paths=64), times(problem, at))
    paid = cash(payoff, paths, at)
    summed = range(count)[payoff.facts.summed]
    for date in range(count):
        noise = paths.noise.clone()
        noise[:, :, date] *= 1.5
        changed = not torch.equal(cash(payoff, type(paths)(**{**vars(paths), "noise": noise}), at), paid)
        assert changed == (date in summed)


@pytest.mark.parametrize("process", [GAUSSIAN, CARRYING, CASH, STOCHASTIC, SURFACE])
def test_laws_that_multiply_stay_positive(process: Process) -> None:
    """At draws of eight deviations, and past a dividend that leaves nothing, which is not below 0."""
    at = scenario(problem_of(process, CALL), doubles([[100.0]]))
    draws = torch.full((1, 2, sum(blocks(process, 1))), -8.0, dtype=torch.float64)
    levels = simulate(process, at, draws, doubles([[[1.0]]])).levels()
    assert bool((levels >= 0.0).all()) == process.facts.positive


def test_cash_is_paid_by_dividends_with_an_amount() -> None:
    assert CASH.facts.pays_cash
    assert not replace(PLAIN, dividends=(Dividend(time=0.5, proportion=0.1),)).facts.pays_cash
    assert not PLAIN.facts.pays_cash


def test_a_bermudan_has_the_facts_of_its_option() -> None:
    worst = WorstOf(initial=(100.0, 90.0), strike=1.0)
    facts, own = worst.facts, Bermudan(option=worst, dates=(0.5, 1.0)).facts
    assert (own.strike_unit, own.weights) == (facts.strike_unit, facts.weights)
    assert own.sized_by == f"option.{facts.sized_by}"
    assert (own.decided, facts.decided) == ("holder", "maturity")
