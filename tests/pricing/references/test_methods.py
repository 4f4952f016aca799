from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
import torch

from pricing.references import resimulated
from pricing.references.methods import RELATIVE_ERRORS, Differentiated, FormulaKind, GridKind, Method, Solved
from pricing.references.reference import method
from pricing.simulation.scenario import scenario
from pricing.specs.european import Call, Put
from pricing.specs.payoff import Asian, Barrier, Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, LocalVolatility, Process

Build = Callable[..., PricingProblem]
PLAIN = BlackScholes(volatilities=(0.3,), correlation=((1.0,),))
LOCAL = LocalVolatility(
    volatilities=(0.3,),
    skews=(0.0,),
    curvatures=(0.5,),
    powers=(0.4,),
    reference_spots=(100.0,),
    correlation=((1.0,),),
)
CALL = Call(weights=(1.0,), strike=100.0)
DATED = Bermudan(option=Put(weights=(1.0,), strike=100.0), dates=(0.5, 1.0))


def test_every_deterministic_kind_has_an_error() -> None:
    assert set(RELATIVE_ERRORS) == {*get_args(FormulaKind), *get_args(GridKind)}
    assert all(0.0 < error <= 1e-4 for error in RELATIVE_ERRORS.values())


@pytest.mark.parametrize(
    ("process", "payoff", "way"),
    [
        (PLAIN, CALL, "Differentiated"),
        (PLAIN, DATED, "Differentiated"),
        (LOCAL, CALL, "Solved"),
        (PLAIN, Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0)), "Replicated"),
        (LOCAL, DATED, "Resimulated"),
    ],
)
def test_every_way_tells_how_right_it_is(problem: Build, process: Process, payoff: Payoff, way: str) -> None:
    how: Method = method(problem(process, payoff, 1.0))
    assert type(how).__name__ == way
    if isinstance(how, Differentiated | Solved):
        assert how.known == "all"
        assert how.relative_error == RELATIVE_ERRORS[how.kind]
    else:
        assert how.kind not in RELATIVE_ERRORS
        assert how.points > 0


def test_a_formula_needs_a_scenario_alone(problem: Build) -> None:
    case = problem(PLAIN, CALL, 1.0)
    how = method(case)
    assert isinstance(how, Differentiated)
    values = how.formula(scenario(case, torch.tensor([[90.0], [110.0]], dtype=torch.float64)))
    assert values.shape == (2,)
    assert 0.0 < values[0] < values[1]


def test_without_an_estimator_of_the_hessian_nothing_of_it_is_known(problem: Build) -> None:
    how = resimulated.method(problem(PLAIN, Barrier(strike=100.0, barrier=90.0, direction="down", knock="in"), 1.0))
    assert how.second is not None
    assert (how.known, replace(how, second=None).known) == ("all", "nothing")
