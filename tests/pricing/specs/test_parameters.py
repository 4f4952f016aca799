"""Features without a unit have that of the parameter whose name they bear."""

from __future__ import annotations

import pytest

from pricing.domain import Feature
from pricing.specs.european import BestOf, WorstOf
from pricing.specs.parameters import GREEKS, OUTPUTS, PARAMETERS, bounds, with_values
from pricing.specs.payoff import Bermudan, Payoff
from pricing.specs.problem import unit
from pricing.specs.process import Process
from tests.pricing.cases import (
    CALL,
    CONTINUOUS,
    GAUSSIAN,
    NOTE,
    PAIR,
    PLAIN,
    STOCHASTIC,
    SURFACE,
    alike,
    feature,
    problem_of,
)

TWO = alike(PLAIN, PAIR)
WORST = WorstOf(initial=(100.0, 90.0), strike=1.0)


@pytest.mark.parametrize("payoff", [CALL, CONTINUOUS, NOTE])
@pytest.mark.parametrize("process", [PLAIN, STOCHASTIC, SURFACE])
def test_every_parameter_has_a_unit(process: Process, payoff: Payoff) -> None:
    given = problem_of(process, payoff)
    assert all(unit(given, name) for name in given.sizes)


def test_every_parameter_of_several_assets_has_a_unit() -> None:
    given = problem_of(TWO, WORST)
    assert all(unit(given, name) for name in given.sizes)


@pytest.mark.parametrize(
    ("process", "payoff", "name", "expected"),
    [
        (GAUSSIAN, CALL, "volatility", "currency / sqrt(year)"),
        (PLAIN, CALL, "volatility", "1 / sqrt(year)"),
        (PLAIN, CALL, "maturity", "years"),
        (PLAIN, CALL, "rate", "1 / year"),
        (STOCHASTIC, CALL, "variance_volatility", "1 / year"),
        (PLAIN, CONTINUOUS, "barrier", "currency"),
        (PLAIN, NOTE, "knock_in", "1"),
        (TWO, WORST, "strike", "1"),
        (TWO, Bermudan(option=WORST, dates=(1.0,)), "strike", "1"),
        (TWO, BestOf(initial=(1.0, 1.0), strike=100.0), "strike", "currency"),
    ],
)
def test_the_box_is_completed(process: Process, payoff: Payoff, name: str, expected: str) -> None:
    box = problem_of(process, payoff, feature(name, 0.1, 0.5)).box
    assert [completed.unit for completed in box.features] == ["currency", expected]


def test_a_unit_that_is_given_stays() -> None:
    box = problem_of(PLAIN, CALL, Feature(name="strike", lower=(90.0,), upper=(110.0,), unit="EUR")).box
    assert box.features[1].unit == "EUR"


def test_outputs_are_named_once_and_theta_alone_runs_backwards() -> None:
    names = (*OUTPUTS, *GREEKS)
    assert len(set(names)) == len(names) == len(OUTPUTS) + len(PARAMETERS) - 1
    assert [name for name, parameter in PARAMETERS.items() if parameter.sign < 0.0] == ["maturity"]


@pytest.mark.parametrize("assets", [2, 3, 10])
def test_one_correlation_of_all_pairs_is_a_matrix_from_its_bound_on(assets: int) -> None:
    """1 - rho and 1 + (assets - 1) rho are the eigenvalues."""
    least, most = bounds("correlation", positive=True, assets=assets)
    assert 1.0 + (assets - 1) * least == pytest.approx(0.0)
    assert most == 1.0


def test_levels_are_bounded_where_the_process_keeps_them_positive() -> None:
    for name in ("spot", "strike", "barrier"):
        assert bounds(name, positive=False, assets=1) == (-1e15, 1e15)
    assert bounds("knock_in", positive=False, assets=1)[0] == 0.0
    assert bounds("spot", positive=True, assets=1) == (0.0, 1e15)
    assert bounds("volatility", positive=False, assets=1) == (0.0, 1e15)


@pytest.mark.parametrize("spec", [PLAIN, STOCHASTIC, SURFACE, GAUSSIAN, CALL, CONTINUOUS, NOTE])
def test_other_values_are_the_parameters_that_come_back(spec: Process | Payoff) -> None:
    """Scalars stay scalars, tuples tuples: a field takes what its parameter says, and its own values change nothing."""
    own = {name: spec.parameters[name] for name in spec.parameters if PARAMETERS[name].pieces is None}
    own.pop("dividend_yield", None)  # none stands for zeros
    assert with_values(spec, own) == spec
    moved = {name: tuple(0.5 * value for value in values) for name, values in own.items()}
    assert {name: with_values(spec, moved).parameters[name] for name in moved} == moved
