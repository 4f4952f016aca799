"""The moneyness sampler over the literal tuples of `tests.conformance.products`: every payoff, process and feature."""

from __future__ import annotations

from functools import partial

import pytest

from pricing.specs.payoff import Autocall, Payoff
from pricing.specs.process import BlackScholes, Process
from tests.conformance import spreading
from tests.conformance.estimates import problem, refusal
from tests.conformance.products import PAYOFFS, PROCESSES, on_several
from tests.conformance.spreading import check_edges, check_places, check_units, varied

# Prices of about 0.001 and a million in place of 100.
UNITS = (1e-5, 1e4)
PAIRS = [
    (process, payoff)
    for process in on_several(PROCESSES)
    for payoff in on_several(PAYOFFS)
    if process.assets == payoff.assets and refusal(partial(problem, process, payoff)) is None
]


def grows(pair: tuple[Process, Payoff]) -> bool:
    return isinstance(pair[0], BlackScholes)


# One process for every payoff, in which deviations grow with the levels where there is one that does.
ONE = {repr(payoff): (process, payoff) for process, payoff in sorted(PAIRS, key=grows)}


@pytest.mark.parametrize("payoff", on_several(PAYOFFS))
def test_cash_bends_at_kinks_and_triggers_alone(payoff: Payoff) -> None:
    check_edges(payoff)


def test_a_forgotten_trigger_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spreading, "triggers", lambda _, at: at["maturity"].new_zeros(1, 0))
    autocall = next(payoff for payoff in PAYOFFS if isinstance(payoff, Autocall))
    with pytest.raises(AssertionError, match="cash bends where its event is"):
        check_edges(autocall)


@pytest.mark.parametrize(("process", "payoff"), PAIRS)
def test_samples_surround_the_kinks(process: Process, payoff: Payoff) -> None:
    check_places(problem(process, payoff))


@pytest.mark.parametrize(("process", "payoff"), ONE.values())
def test_samples_surround_the_kinks_whatever_varies(process: Process, payoff: Payoff) -> None:
    for asked in varied(process, payoff):
        check_places(asked)


@pytest.mark.parametrize("factor", UNITS)
@pytest.mark.parametrize(("process", "payoff"), ONE.values())
def test_samples_do_not_depend_on_the_unit_of_prices(process: Process, payoff: Payoff, factor: float) -> None:
    check_units(problem(process, payoff), factor)
