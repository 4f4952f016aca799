"""What is refused before anything is simulated: labels that a problem has not, or that would not mean what they say."""

from __future__ import annotations

import subprocess
import sys
from typing import Literal

import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.specs.estimator import Automatic, Estimator, Frozen, LikelihoodRatio, Pathwise
from pricing.specs.payoff import Barrier, Payoff
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from pricing.specs.refusals import (
    require_differentiable,
    require_knock_in,
    require_knots_apart,
    require_no_cash_at_barrier,
    require_no_jump,
    require_one_side,
    require_reversion,
    require_sampler,
)
from pricing.specs.sampler import DiffusedSampler, MoneynessSampler, UniformSampler
from pricing.specs.schedule import Dividend
from tests.pricing.cases import (
    ASIAN,
    BERMUDAN,
    CALL,
    CONTINUOUS,
    DATED,
    DIGITAL,
    NOTE,
    PLAIN,
    STOCHASTIC,
    feature,
    problem_of,
)

PAYING = replace(PLAIN, dividends=(Dividend(time=0.5, amount=1.0),))
MATURITY = feature("maturity")


@pytest.mark.parametrize(
    ("payoff", "estimator", "order"),
    [
        (CALL, Pathwise(), 2),
        (DIGITAL, Pathwise(), 1),
        (NOTE, Pathwise(), 1),
        (BERMUDAN, Frozen(width=0.0), 2),
        (ASIAN, LikelihoodRatio(scope="last"), 2),
    ],
)
def test_derivatives_that_are_not_there_are_refused(payoff: Payoff, estimator: Estimator, order: int) -> None:
    require_differentiable(problem_of(PLAIN, payoff), estimator, order=order - 1)
    with pytest.raises(InvalidSpec):
        require_differentiable(problem_of(PLAIN, payoff), estimator, order=order)


def test_gammas_of_a_continuous_barrier_by_steps_of_its_own_are_refused() -> None:
    continuous = problem_of(STOCHASTIC, CONTINUOUS)
    require_differentiable(continuous, Automatic(), order=1)
    with pytest.raises(InvalidSpec, match="give the barrier its dates"):
        require_differentiable(continuous, Automatic(), order=2)
    require_differentiable(problem_of(STOCHASTIC, DATED), Automatic(), order=2)


@pytest.mark.parametrize(
    ("low", "high", "sentence"),
    [
        ((90.0, 98.0), (100.0, 110.0), r"features\[1\]: knot 1 goes down to 98.0 and knot 0 up to 100.0"),
        ((90.0, 100.0), (100.0, 110.0), r"features\[1\]: knot 1 goes down to 100.0 and knot 0 up to 100.0"),
    ],
)
def test_knots_that_change_places_are_refused(
    low: tuple[float, float], high: tuple[float, float], sentence: str
) -> None:
    spread = Pieces(weights=(1.0,), knots=(95.0, 105.0), slopes=(0.0, 1.0, 0.0))
    require_knots_apart(problem_of(PLAIN, spread))
    require_knots_apart(problem_of(PLAIN, spread, Feature(name="knot", lower=(90.0, 100.5), upper=(100.0, 110.0))))
    with pytest.raises(InvalidSpec, match=sentence) as caught:
        require_knots_apart(problem_of(PLAIN, spread, Feature(name="knot", lower=low, upper=high)))
    assert caught.value.fields["path"] == "problem.features[1].lower[1]"


@pytest.mark.parametrize(
    ("direction", "barrier", "others", "sentence"),
    [
        (
            "down",
            90.0,
            (),
            r"from 50 to 150 across the barrier at 90, where the delta jumps: below it .* the call itself",
        ),
        ("up", 120.0, (feature("barrier", 110.0, 130.0),), "across the barrier at 110 to 130, .*: above it"),
    ],
)
def test_a_barrier_that_starts_an_option_inside_the_box_is_refused(
    direction: Literal["down", "up"], barrier: float, others: tuple[Feature, ...], sentence: str
) -> None:
    start = Barrier(strike=100.0, barrier=barrier, direction=direction, knock="in")
    with pytest.raises(InvalidSpec, match=sentence) as caught:
        require_one_side(problem_of(PLAIN, start, *others))
    assert str(caught.value.fields["path"]).startswith("problem.features[0].")
    for taken in (replace(start, knock="out"), replace(start, dates=(0.5, 1.0))):
        require_one_side(problem_of(PLAIN, taken, *others))
    for spots in ((130.0, 150.0), (50.0, 90.0)):
        require_one_side(problem_of(PLAIN, start, *others, spots=spots))


def test_jumps_have_no_pathwise_deltas() -> None:
    require_differentiable(problem_of(PLAIN, CALL), Pathwise(), order=1)
    with pytest.raises(InvalidSpec, match="'pathwise' misses the jumps of a digital"):
        require_differentiable(problem_of(PLAIN, DIGITAL), Pathwise(), order=1)


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (problem_of(STOCHASTIC, CALL, feature("long_variance")), r"features\[1\].lower\[0\]: long_variance"),
        (
            problem_of(STOCHASTIC, CALL, MATURITY, feature("mean_reversion")),
            r"features\[2\].lower\[0\]: mean_reversion",
        ),
        (
            problem_of(replace(STOCHASTIC, long_variances=(0.0,)), CALL, feature("variance_volatility")),
            r"process.long_variances\[0\]: long_variance",
        ),
        (
            problem_of(replace(STOCHASTIC, mean_reversions=(0.0,)), CALL, MATURITY),
            r"process.mean_reversions\[0\]: mean_reversion",
        ),
    ],
)
def test_a_variance_that_stays_at_zero_has_no_second_derivatives(given: PricingProblem, place: str) -> None:
    require_reversion(given, order=1)
    with pytest.raises(InvalidSpec, match=rf"problem.{place} must be > 0 for order = 2 .*, got 0.0") as caught:
        require_reversion(given, order=2)
    assert caught.value.fields["path"] in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        problem_of(
            STOCHASTIC,
            CALL,
            feature("long_variance", 0.01),
            feature("mean_reversion", 0.01),
            feature("initial_variance"),
        ),
        problem_of(replace(STOCHASTIC, long_variances=(0.0,)), CALL, feature("spot_variance_correlation")),
        problem_of(
            replace(STOCHASTIC, mean_reversions=(0.0,), variance_volatilities=(0.0,)), CALL, feature("initial_variance")
        ),
        problem_of(PLAIN, CALL, MATURITY),
    ],
)
def test_what_does_not_stay_at_zero_has_second_derivatives(given: PricingProblem) -> None:
    require_reversion(given, order=2)


@pytest.mark.parametrize(
    ("payoff", "low", "high", "jump"), [(CALL, 0.1, 0.5, "0.5"), (CALL, 0.4, 0.9, "0.5"), (ASIAN, 0.6, 1.2, "1")]
)
def test_a_dividend_within_the_maturities_makes_a_jump(payoff: Payoff, low: float, high: float, jump: str) -> None:
    with pytest.raises(
        InvalidSpec, match=rf"maturity goes from {low} to {high} .* jumps at {jump}, .* build one model"
    ):
        require_no_jump(problem_of(PAYING, payoff, feature("maturity", low, high)))


@pytest.mark.parametrize(
    ("process", "payoff", "low", "high"),
    [
        (PAYING, CALL, 0.5, 0.9),
        (PAYING, CALL, 0.1, 0.49),
        (PAYING, ASIAN, 1.0, 1.5),
        (replace(PLAIN, dividends=(Dividend(time=0.5),)), CALL, 0.1, 0.9),
        (STOCHASTIC, CALL, 0.1, 0.9),
    ],
)
def test_other_maturities_make_no_jump(process: Process, payoff: Payoff, low: float, high: float) -> None:
    require_no_jump(problem_of(process, payoff, feature("maturity", low, high)))
    require_no_jump(problem_of(process, payoff))


@pytest.mark.parametrize(
    ("given", "zero"),
    [
        (problem_of(PLAIN, CALL, maturity=0.0), "maturity = 0"),
        (problem_of(replace(PLAIN, volatilities=(0.0,)), CALL), "volatility = 0"),
        (
            problem_of(replace(STOCHASTIC, initial_variances=(0.0,), long_variances=(0.0,)), CALL),
            "initial_variance = 0 and long_variance = 0",
        ),
    ],
)
def test_moneyness_needs_something_random(given: PricingProblem, zero: str) -> None:
    require_sampler(given, UniformSampler())
    with pytest.raises(InvalidSpec, match=f"{zero} leaves it a standard deviation of 0") as caught:
        require_sampler(given, MoneynessSampler())
    assert caught.value.fields["path"] == "labels.sampler"


@pytest.mark.parametrize(
    "given",
    [
        problem_of(PLAIN, CALL, MATURITY, maturity=0.0),
        problem_of(replace(STOCHASTIC, initial_variances=(0.0,)), CALL),
        problem_of(replace(PLAIN, volatilities=(0.0,)), CALL, feature("volatility")),
    ],
)
def test_what_varies_is_random_somewhere(given: PricingProblem) -> None:
    require_sampler(given, MoneynessSampler())


def test_a_diffused_sampler_has_a_spot_per_asset() -> None:
    require_sampler(problem_of(PLAIN, CALL), DiffusedSampler(initial=(100.0,)))
    with pytest.raises(InvalidSpec, match="initial must have 1 spots, got 2; give one per asset"):
        require_sampler(problem_of(PLAIN, CALL), DiffusedSampler(initial=(100.0, 100.0)))


def test_the_rules_import_no_torch() -> None:
    code = "import pricing.specs.refusals, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


UP_AND_OUT = replace(CONTINUOUS, direction="up", barrier=120.0)


@pytest.mark.parametrize(
    ("payoff", "features", "cash"),
    [
        (UP_AND_OUT, (), "20"),
        (replace(UP_AND_OUT, knock="in"), (), "20"),
        (replace(UP_AND_OUT, direction="down", side="put", barrier=85.0), (), "15"),
        (replace(UP_AND_OUT, direction="down", barrier=90.0), (feature("barrier", 80.0, 101.0),), "1"),
        (replace(UP_AND_OUT, direction="down", barrier=90.0), (feature("strike", 85.0, 120.0),), "5"),
    ],
)
def test_a_barrier_where_a_heston_payoff_pays_is_refused(
    payoff: Barrier, features: tuple[Feature, ...], cash: str
) -> None:
    with pytest.raises(InvalidSpec, match=rf"where the (call|put) pays {cash} is biased .* give the barrier dates"):
        require_no_cash_at_barrier(problem_of(STOCHASTIC, payoff, *features))


@pytest.mark.parametrize(
    ("process", "payoff"),
    [
        (STOCHASTIC, replace(UP_AND_OUT, direction="down", barrier=90.0)),
        (STOCHASTIC, replace(UP_AND_OUT, side="put")),
        (STOCHASTIC, replace(UP_AND_OUT, dates=(0.5, 1.0))),
        (STOCHASTIC, CALL),
        (PLAIN, UP_AND_OUT),
    ],
)
def test_other_barriers_are_taken(process: Process, payoff: Payoff) -> None:
    require_no_cash_at_barrier(problem_of(process, payoff))


def test_a_knock_in_above_the_strike_is_refused() -> None:
    require_knock_in(problem_of(PLAIN, NOTE, feature("knock_in", 0.5, 1.0)))
    with pytest.raises(InvalidSpec, match=r"features\[1\]: knock_in must be at most the strike 1, got up to 1.25"):
        require_knock_in(problem_of(PLAIN, NOTE, feature("knock_in", 0.5, 1.25)))
