"""What estimators fit a problem, and the one that the rule chooses."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.choice import choose, misfit, require_estimator, settle
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
from pricing.specs.european import Call
from pricing.specs.payoff import Asian, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from pricing.specs.schedule import Dividend
from tests.pricing.cases import (
    ASIAN,
    BERMUDAN,
    CALL,
    CONTINUOUS,
    DATED,
    DIGITAL,
    NOTE,
    PAIR,
    PLAIN,
    STOCHASTIC,
    SURFACE,
    alike,
    problem_of,
)

PAYING = replace(PLAIN, dividends=(Dividend(time=0.5, amount=1.0),))
TWO = alike(PLAIN, PAIR)
GEOMETRIC = Asian(weights=(0.5, 0.5), strike=100.0, dates=(0.5, 1.0), average="geometric")
SPREAD = Call(weights=(1.0, -1.0), strike=0.0)


@pytest.mark.parametrize(
    ("problem", "estimator"),
    [
        (problem_of(PLAIN, CALL), Conditional),
        (problem_of(PLAIN, ASIAN), Conditional),
        (problem_of(TWO, GEOMETRIC), Smoothed),
        (problem_of(PLAIN, CONTINUOUS), Bridge),
        (problem_of(PLAIN, DATED), Survival),
        (problem_of(PLAIN, NOTE), Survival),
        (problem_of(PLAIN, BERMUDAN), Frozen),
    ],
)
def test_rule(problem: PricingProblem, estimator: type[Estimator]) -> None:
    assert isinstance(choose(problem), estimator)


@pytest.mark.parametrize("payoff", [DATED, NOTE])
def test_without_lognormal_levels_dates_are_smoothed(payoff: Payoff) -> None:
    assert isinstance(choose(problem_of(PAYING, payoff)), Smoothed)


def test_one_root_only_is_sought_where_variances_are_random() -> None:
    """Given the variances, a basket with weights of both signs may cross its strike more than once."""
    random = alike(STOCHASTIC, PAIR)
    assert isinstance(choose(problem_of(random, SPREAD)), Smoothed)
    assert isinstance(choose(problem_of(random, replace(SPREAD, weights=(1.0, 0.0)))), Conditional)
    assert isinstance(choose(problem_of(TWO, SPREAD)), Conditional)


def test_only_the_automatic_estimator_is_chosen_for() -> None:
    problem = problem_of(PLAIN, CALL)
    assert settle(problem, Automatic()) == choose(problem) == Conditional()
    assert settle(problem, Pathwise()) == Pathwise()
    assert misfit(problem, Pathwise()) is None


@pytest.mark.parametrize(
    ("process", "payoff", "estimator", "message"),
    [
        (PLAIN, CALL, Bridge(), "'bridge' is for a barrier without dates; use 'auto'"),
        (PLAIN, DATED, Bridge(), "'bridge' is for a barrier without dates"),
        (SURFACE, CONTINUOUS, Bridge(), "without dates needs steps that are Gaussian .* or give the barrier dates"),
        (PAYING, CONTINUOUS, Bridge(), "a dividend jumps; give the barrier dates, or the dividends as yields"),
        (replace(PLAIN, dividends=(Dividend(time=0.5, proportion=0.1),)), CONTINUOUS, Bridge(), "a dividend jumps"),
        (PLAIN, CONTINUOUS, Survival(), "'survival' is for barriers with dates and for autocalls"),
        (PAYING, DATED, Survival(), "need lognormal levels"),
        (PLAIN, CONTINUOUS, Smoothed(), "misses what happens between dates"),
        (PLAIN, BERMUDAN, Pathwise(), "misses exercise"),
        (PAYING, CALL, Pathwise(control="geometric"), "control = 'geometric' needs 'black_scholes' without"),
        (PLAIN, DATED, Conditional(), "'conditional' integrates payoffs of the terminal or average level"),
        (PLAIN, CALL, Frozen(), "'frozen' exercises Bermudan payoffs"),
        (STOCHASTIC, CALL, LikelihoodRatio(), "'likelihood_ratio' needs a density of the path that is known"),
        (PLAIN, CONTINUOUS, LikelihoodRatio(), "needs a payoff of the levels at given dates, or use 'auto'"),
        (PLAIN, DATED, LikelihoodRatio(scope="last"), "of scope 'last' differentiates no jump"),
    ],
)
def test_what_does_not_fit(process: Process, payoff: Payoff, estimator: Estimator, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        require_estimator(problem_of(process, payoff), estimator)
    assert caught.value.fields["path"] == "labels.estimator"


@pytest.mark.parametrize("process", [SURFACE, PAYING])
def test_a_barrier_that_the_rule_cannot_watch_between_dates_is_to_have_dates(process: Process) -> None:
    with pytest.raises(InvalidSpec, match=r"problem\.payoff\.dates: .* give the barrier dates") as caught:
        require_estimator(problem_of(process, CONTINUOUS), Automatic())
    assert caught.value.fields["path"] == "problem.payoff.dates"


@pytest.mark.parametrize("process", [PLAIN, STOCHASTIC, SURFACE, PAYING])
@pytest.mark.parametrize("payoff", [CALL, DIGITAL, ASIAN, DATED, BERMUDAN])
def test_the_rule_chooses_what_fits(process: Process, payoff: Payoff) -> None:
    given = problem_of(process, payoff)
    require_estimator(given, choose(given))
    require_estimator(given, Automatic())


def test_where_the_variance_decides_every_step_a_barrier_with_dates_is_smoothed() -> None:
    """Given the variance no normal is left whose chance of crossing the barrier could be differentiated."""
    certain = replace(STOCHASTIC, spot_variance_correlations=(-1.0,))
    assert choose(problem_of(STOCHASTIC, DATED)) == Survival()
    assert choose(problem_of(certain, DATED)) == Smoothed()
    with pytest.raises(InvalidSpec, match=r"'survival' has no normal of its own .* use 'auto' or 'smoothed'"):
        require_estimator(problem_of(certain, DATED), Survival())
