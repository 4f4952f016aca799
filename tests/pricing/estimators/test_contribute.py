"""What an estimator states of its bias on a problem."""

from __future__ import annotations

import pytest
import torch
from msgspec.structs import replace

from pricing.estimators.contribute import bias, contribution
from pricing.simulation.joins import stated_joins
from pricing.simulation.rotation import identity
from pricing.simulation.scenario import scenario
from pricing.simulation.smoothing import stated_bias
from pricing.specs.choice import choose, misfit
from pricing.specs.estimator import (
    Automatic,
    Bridge,
    Conditional,
    Estimator,
    Frozen,
    LikelihoodRatio,
    Pathwise,
    Smoothed,
    Survival,
)
from pricing.specs.payoff import Payoff
from pricing.specs.pieces import Pieces
from tests.pricing.cases import (
    ASIAN,
    BERMUDAN,
    CALL,
    CONTINUOUS,
    DATED,
    DIGITAL,
    GAUSSIAN,
    NOTE,
    PAIR,
    PLAIN,
    STOCHASTIC,
    alike,
    doubles,
    normals,
    problem_of,
)


def test_stated_bias_knows_the_problem() -> None:
    carry = replace(GAUSSIAN, convention="carry", rate=0.05)
    none, ties = stated_bias(Conditional()), stated_bias(Smoothed())
    two = problem_of(alike(PLAIN, PAIR), replace(NOTE, initial=(100.0, 100.0)))
    assert bias(problem_of(PLAIN, NOTE), Survival()) == {**none, "unstated": []}
    assert bias(two, Survival()) == {**ties, "unstated": []}
    assert bias(problem_of(PLAIN, CONTINUOUS), Bridge()) == {**none, "unstated": []}
    expected = ["time steps of the process", "bridges between the steps"]
    assert bias(problem_of(STOCHASTIC, CONTINUOUS), Bridge())["unstated"] == expected
    assert bias(problem_of(carry, CONTINUOUS), Bridge())["unstated"] == expected[1:]
    assert bias(problem_of(PLAIN, BERMUDAN), Frozen())["unstated"] == ["exercise rule"]


def test_a_smoothed_payoff_in_pieces_states_its_bias_knot_by_knot() -> None:
    payoff = Pieces(weights=(1.0,), knots=(95.0, 105.0), slopes=(0.0, 1.0, 0.0))
    smoothed = Smoothed(kernel="logistic", gamma_bias=1e-3)
    stated = bias(problem_of(PLAIN, payoff), smoothed)
    assert stated == {**stated_bias(smoothed), "unstated": [], "joins": stated_joins(payoff, smoothed)}
    assert bias(problem_of(PLAIN, payoff), Conditional()) == {**stated_bias(Conditional()), "unstated": []}


FITTING = [
    (payoff, estimator)
    for payoff in (CALL, DIGITAL, ASIAN, DATED, CONTINUOUS, NOTE, BERMUDAN)
    for estimator in (Pathwise(), Smoothed(), Conditional(), Survival(), Bridge(), LikelihoodRatio(), Frozen(width=0.0))
    if misfit(problem_of(PLAIN, payoff), estimator) is None and estimator != choose(problem_of(PLAIN, payoff))
]


@pytest.mark.parametrize(("payoff", "estimator"), FITTING)
def test_whatever_fits_a_problem_has_the_expectation_of_the_rule(payoff: Payoff, estimator: Estimator) -> None:
    """One value, whoever estimates it: pathwise, smoothed, weighted by densities, with a hard exercise decision."""
    problem = problem_of(PLAIN, payoff)
    at = scenario(problem, doubles([[104.0]]))

    def mean(estimator: Estimator) -> float:
        settled = contribution(problem, estimator, seed=1)
        turn, draws = identity(settled.blocks), normals(settled.dimension, paths=1 << 13)
        with torch.no_grad():
            return float(settled.value(at, draws, turn).mean())

    assert mean(estimator) == pytest.approx(mean(Automatic()), rel=2e-3)
