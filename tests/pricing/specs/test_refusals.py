"""What is refused before anything is simulated: estimators and samplers that do not fit the problem."""

from __future__ import annotations

import subprocess
import sys

import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.specs.choice import choose, require_estimator
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
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, Call, Digital, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston, LocalVolatility, Process
from pricing.specs.refusals import (
    require_differentiable,
    require_knock_in,
    require_no_cash_at_barrier,
    require_no_jump,
    require_reversion,
    require_sampler,
)
from pricing.specs.sampler import DiffusedSampler, MoneynessSampler, UniformSampler
from pricing.specs.schedule import Dividend

PLAIN = BlackScholes(volatilities=(0.2,), correlation=((1.0,),))
PAYING = replace(PLAIN, dividends=(Dividend(time=0.5, amount=1.0),))
LOCAL = LocalVolatility(
    volatilities=(0.2,),
    skews=(-0.4,),
    curvatures=(1.0,),
    powers=(0.4,),
    reference_spots=(100.0,),
    correlation=((1.0,),),
)
HESTON = Heston(
    initial_variances=(0.04,),
    mean_reversions=(1.5,),
    long_variances=(0.04,),
    variance_volatilities=(0.5,),
    spot_variance_correlations=(-0.7,),
    correlation=((1.0,),),
)
CERTAIN = replace(HESTON, spot_variance_correlations=(-1.0,))
CALL = Call(weights=(1.0,), strike=100.0)
DIGITAL = Digital(weights=(1.0,), strike=100.0)
ASIAN = Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0))
BERMUDAN = Bermudan(option=CALL, dates=(0.5, 1.0))
BARRIER = Barrier(strike=100.0, barrier=90.0, direction="down", knock="out")
DATED = replace(BARRIER, dates=(0.5, 1.0))
MATURITY = Feature(name="maturity", lower=(0.0,), upper=(1.0,))


def problem(process: Process, payoff: Payoff, *others: Feature, maturity: float = 1.0) -> PricingProblem:
    spot = Feature(name="spot", lower=(50.0,), upper=(150.0,))
    return PricingProblem(process=process, payoff=payoff, maturity=maturity, features=(spot, *others))


@pytest.mark.parametrize(
    ("process", "payoff", "estimator", "message"),
    [
        (PLAIN, CALL, Bridge(), "'bridge' is for a barrier without dates; use 'auto'"),
        (PLAIN, DATED, Bridge(), "'bridge' is for a barrier without dates"),
        (LOCAL, BARRIER, Bridge(), "without dates needs steps that are Gaussian .* or give the barrier dates"),
        (PAYING, BARRIER, Bridge(), "a dividend jumps; give the barrier dates, or the dividends as yields"),
        (replace(PLAIN, dividends=(Dividend(time=0.5, proportion=0.1),)), BARRIER, Bridge(), "a dividend jumps"),
        (PLAIN, BARRIER, Survival(), "'survival' is for barriers with dates and for autocalls"),
        (PAYING, DATED, Survival(), "need lognormal levels"),
        (CERTAIN, DATED, Survival(), "'survival' has no normal of its own .* use 'auto' or 'smoothed'"),
        (PLAIN, BARRIER, Smoothed(), "misses what happens between dates"),
        (PLAIN, BERMUDAN, Pathwise(), "misses exercise"),
        (PAYING, CALL, Pathwise(control="geometric"), "control = 'geometric' needs 'black_scholes' without"),
        (PLAIN, DATED, Conditional(), "'conditional' integrates payoffs of the terminal or average level"),
        (PLAIN, CALL, Frozen(), "'frozen' exercises Bermudan payoffs"),
        (HESTON, CALL, LikelihoodRatio(), "'likelihood_ratio' needs a density of the path that is known"),
        (PLAIN, BARRIER, LikelihoodRatio(), "needs a payoff of the levels at given dates, or use 'auto'"),
        (PLAIN, DATED, LikelihoodRatio(scope="last"), "of scope 'last' differentiates no jump"),
    ],
)
def test_what_does_not_fit(process: Process, payoff: Payoff, estimator: Estimator, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        require_estimator(problem(process, payoff), estimator)
    assert caught.value.fields["path"] == "labels.estimator"


@pytest.mark.parametrize("process", [LOCAL, PAYING])
def test_a_barrier_that_the_rule_cannot_watch_between_dates_is_to_have_dates(process: Process) -> None:
    with pytest.raises(InvalidSpec, match=r"problem\.payoff\.dates: .* give the barrier dates") as caught:
        require_estimator(problem(process, BARRIER), Automatic())
    assert caught.value.fields["path"] == "problem.payoff.dates"


@pytest.mark.parametrize("process", [PLAIN, HESTON, LOCAL, PAYING])
@pytest.mark.parametrize("payoff", [CALL, DIGITAL, ASIAN, DATED, BERMUDAN])
def test_the_rule_chooses_what_fits(process: Process, payoff: Payoff) -> None:
    given = problem(process, payoff)
    require_estimator(given, choose(given))
    require_estimator(given, Automatic())


def test_where_the_variance_decides_every_step_a_barrier_with_dates_is_smoothed() -> None:
    """Given the variance no normal is left whose chance of crossing the barrier could be differentiated."""
    assert choose(problem(HESTON, DATED)) == Survival()
    assert choose(problem(CERTAIN, DATED)) == Smoothed()


def test_jumps_have_no_pathwise_deltas() -> None:
    require_differentiable(problem(PLAIN, CALL), Pathwise(), order=1)
    with pytest.raises(InvalidSpec, match="'pathwise' misses the jumps of a digital"):
        require_differentiable(problem(PLAIN, DIGITAL), Pathwise(), order=1)


def feature(name: str, low: float = 0.0, high: float = 0.5) -> Feature:
    return Feature(name=name, lower=(low,), upper=(high,))


@pytest.mark.parametrize(
    ("given", "place"),
    [
        (problem(HESTON, CALL, feature("long_variance")), r"features\[1\].lower\[0\]: long_variance"),
        (problem(HESTON, CALL, MATURITY, feature("mean_reversion")), r"features\[2\].lower\[0\]: mean_reversion"),
        (
            problem(replace(HESTON, long_variances=(0.0,)), CALL, feature("variance_volatility")),
            r"process.long_variances\[0\]: long_variance",
        ),
        (
            problem(replace(HESTON, mean_reversions=(0.0,)), CALL, MATURITY),
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
        problem(
            HESTON, CALL, feature("long_variance", 0.01), feature("mean_reversion", 0.01), feature("initial_variance")
        ),
        problem(replace(HESTON, long_variances=(0.0,)), CALL, feature("spot_variance_correlation")),
        problem(
            replace(HESTON, mean_reversions=(0.0,), variance_volatilities=(0.0,)), CALL, feature("initial_variance")
        ),
        problem(PLAIN, CALL, MATURITY),
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
        require_no_jump(problem(PAYING, payoff, feature("maturity", low, high)))


@pytest.mark.parametrize(
    ("process", "payoff", "low", "high"),
    [
        (PAYING, CALL, 0.5, 0.9),
        (PAYING, CALL, 0.1, 0.49),
        (PAYING, ASIAN, 1.0, 1.5),
        (replace(PLAIN, dividends=(Dividend(time=0.5),)), CALL, 0.1, 0.9),
        (HESTON, CALL, 0.1, 0.9),
    ],
)
def test_other_maturities_make_no_jump(process: Process, payoff: Payoff, low: float, high: float) -> None:
    require_no_jump(problem(process, payoff, feature("maturity", low, high)))
    require_no_jump(problem(process, payoff))


@pytest.mark.parametrize(
    ("given", "zero"),
    [
        (problem(PLAIN, CALL, maturity=0.0), "maturity = 0"),
        (problem(replace(PLAIN, volatilities=(0.0,)), CALL), "volatility = 0"),
        (
            problem(replace(HESTON, initial_variances=(0.0,), long_variances=(0.0,)), CALL),
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
        problem(PLAIN, CALL, MATURITY, maturity=0.0),
        problem(replace(HESTON, initial_variances=(0.0,)), CALL),
        problem(replace(PLAIN, volatilities=(0.0,)), CALL, Feature(name="volatility", lower=(0.0,), upper=(0.5,))),
    ],
)
def test_what_varies_is_random_somewhere(given: PricingProblem) -> None:
    require_sampler(given, MoneynessSampler())


def test_a_diffused_sampler_has_a_spot_per_asset() -> None:
    require_sampler(problem(PLAIN, CALL), DiffusedSampler(initial=(100.0,)))
    with pytest.raises(InvalidSpec, match="initial must have 1 spots, got 2; give one per asset"):
        require_sampler(problem(PLAIN, CALL), DiffusedSampler(initial=(100.0, 100.0)))


def test_the_rules_import_no_torch() -> None:
    code = "import pricing.specs.refusals, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-P", "-c", code], check=False).returncode == 0


UP_AND_OUT = Barrier(strike=100.0, barrier=120.0, direction="up", knock="out")


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
        require_no_cash_at_barrier(problem(HESTON, payoff, *features))


@pytest.mark.parametrize(
    ("process", "payoff"),
    [
        (HESTON, replace(UP_AND_OUT, direction="down", barrier=90.0)),
        (HESTON, replace(UP_AND_OUT, side="put")),
        (HESTON, replace(UP_AND_OUT, dates=(0.5, 1.0))),
        (HESTON, CALL),
        (PLAIN, UP_AND_OUT),
    ],
)
def test_other_barriers_are_taken(process: Process, payoff: Payoff) -> None:
    require_no_cash_at_barrier(problem(process, payoff))


def test_a_knock_in_above_the_strike_is_refused() -> None:
    note = Autocall(
        initial=(100.0,), dates=(0.5, 1.0), triggers=(1.0, 1.0), coupon=0.05, coupon_barrier=0.7, knock_in=0.6
    )
    require_knock_in(problem(PLAIN, note, feature("knock_in", 0.5, 1.0)))
    with pytest.raises(InvalidSpec, match=r"features\[1\]: knock_in must be at most the strike 1, got up to 1.25"):
        require_knock_in(problem(PLAIN, note, feature("knock_in", 0.5, 1.25)))
