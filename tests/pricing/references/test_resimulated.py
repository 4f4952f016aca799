from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.references import resimulated
from pricing.references.reference import Reference, reference
from pricing.specs.estimator import Frozen
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, Process
from pricing.specs.schedule import Dividend

Build = Callable[..., PricingProblem]
SINGLE = BlackScholes(
    volatilities=(0.3,), correlation=((1.0,),), rate=0.03, dividends=(Dividend(time=0.4, proportion=0.03),)
)
RATED = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), rate=0.05)
CASH = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), dividends=(Dividend(time=0.4, amount=0.4),))
TWO = BlackScholes(volatilities=(0.2, 0.3), correlation=((1.0, 0.4), (0.4, 1.0)), rate=0.03)
STOCHASTIC = Heston(
    initial_variances=(0.04,),
    mean_reversions=(2.0,),
    long_variances=(0.05,),
    variance_volatilities=(0.4,),
    spot_variance_correlations=(-0.6,),
    correlation=((1.0,),),
    steps=16,
)
GAUSSIAN = Bachelier(volatilities=(20.0,), correlation=((1.0,),))
CALL, PUT = Call(weights=(1.0,), strike=100.0), Put(weights=(1.0,), strike=100.0)
DOWN = Barrier(strike=100.0, barrier=85.0, direction="down", knock="out", dates=(0.5, 1.0))
NOTE = Autocall(
    initial=(100.0,),
    dates=(0.5, 1.0),
    triggers=(1.0, 1.0),
    coupon=0.1,
    coupon_barrier=0.8,
    knock_in=0.6,
    notional=100.0,
)
AVERAGE = Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0))
# Bias of smoothed second derivatives and of exercise rules, a share of the largest, beside the standard errors.
BIAS = 0.02


@pytest.mark.parametrize(
    ("process", "payoff"),
    [
        (SINGLE, CALL),
        (SINGLE, Digital(weights=(1.0,), strike=100.0)),
        (SINGLE, DOWN),
        (SINGLE, NOTE),
        (SINGLE, Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0), average="geometric")),
        (CASH, PUT),
        (TWO, WorstOf(initial=(100.0, 100.0), strike=1.0, side="put")),
        (STOCHASTIC, CALL),
        (GAUSSIAN, Barrier(strike=100.0, barrier=85.0, direction="down", knock="in")),
        (RATED, Bermudan(option=PUT, dates=(0.5, 1.0))),
    ],
    ids=lambda part: type(part).__name__,
)
def test_it_agrees_with_exact_references(problem: Build, process: Process, payoff: Payoff) -> None:
    case = problem(process, payoff, 1.0)
    x = np.full((2, process.assets), 1.0) * np.array([[97.0], [108.0]])
    exact = reference(case, x)
    assert not exact.kind.startswith("resimulated")
    means, errors = resimulated.reference(resimulated.method(case), x, order=2, seed=1)
    for mean, error, right in zip(means, errors, (exact.value, exact.gradient, exact.hessian), strict=True):
        assert (np.abs(mean - right) <= 4.0 * error + BIAS * np.abs(right).max()).all()
        assert (error < 0.2 * np.abs(right).max()).all()


def test_early_exercise_on_several_assets_agrees_with_quadrature(
    problem: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resimulated, "REPLICATES", 4)
    case = replace(
        problem(TWO, Bermudan(option=BestOf(initial=(1.0, 1.0), strike=100.0), dates=(0.5, 1.0)), 1.0),
        features=(Feature(name="spot", lower=(80.0, 80.0), upper=(120.0, 120.0)),),
    )
    x = np.array([[95.0, 100.0], [110.0, 105.0]])
    exact = reference(case, x)
    assert exact.kind == "plane quadrature"
    means, errors = resimulated.reference(resimulated.method(case), x, order=2, seed=1)
    for mean, error, right in zip(means, errors, (exact.value, exact.gradient, exact.hessian), strict=True):
        assert (np.abs(mean - right) <= 4.0 * error + BIAS * np.abs(right).max()).all()


def test_a_rule_on_many_assets_keeps_to_few_terms() -> None:
    for assets, degree in ((5, 4), (10, 2), (50, 1)):
        process = Bachelier(volatilities=(0.2,) * assets, correlation=tuple(map(tuple, np.eye(assets).tolist())))
        case = PricingProblem(
            process=process,
            payoff=Bermudan(option=BestOf(initial=(1.0,) * assets, strike=1.0), dates=(0.5, 1.0)),
            maturity=1.0,
            features=(Feature(name="spot", lower=(0.5,) * assets, upper=(1.5,) * assets),),
        )
        rule = resimulated.method(case).first
        assert isinstance(rule, Frozen)
        assert rule.degree == degree


def test_errors_of_what_is_smoothed_count_its_bias_in(problem: Build) -> None:
    case, x = problem(CASH, AVERAGE, 1.0), np.array([[100.0]])
    (_, _, hessian), (_, _, error) = resimulated.reference(resimulated.method(case), x, order=2, seed=1)
    assert error[0, 0, 0] > resimulated.SMOOTHED.gamma_bias * abs(hessian[0, 0, 0]) > 0.0


def test_lower_orders_are_zeros_beyond(problem: Build) -> None:
    case, x = problem(CASH, AVERAGE, 1.0), np.array([[100.0]])
    (value, gradient, hessian), (error, *_) = resimulated.reference(resimulated.method(case), x, order=0, seed=1)
    assert value[0] > 10.0 * error[0] > 0.0
    assert not gradient.any()
    assert not hessian.any()


def test_another_seed_is_another_sample(problem: Build) -> None:
    how, x = resimulated.method(problem(CASH, AVERAGE, 1.0)), np.array([[100.0]])
    first, again, other = (resimulated.reference(how, x, order=0, seed=seed)[0].value for seed in (1, 1, 2))
    assert first == again != other


def test_grids_are_finer_and_paths_fewer_where_they_cost_more(problem: Build) -> None:
    case = problem(STOCHASTIC, CALL, 1.0)
    how = resimulated.method(case)
    assert isinstance(how.problem.process, Heston)
    assert how.problem.process.steps == 32
    assert how.second is not None
    few = resimulated.paths(problem(STOCHASTIC, CALL, 1.0, initial_variance=(0.01, 0.1)), how.second, order=2)
    assert few < resimulated.paths(case, how.second, order=2)


def test_a_hessian_that_nothing_estimates_is_zero_beside_values_and_deltas(
    problem: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In + out = vanilla of value and delta; only the Hessian is left out."""
    monkeypatch.setattr(resimulated, "REPLICATES", 4)
    monkeypatch.setattr(resimulated, "MOST_PATHS", 1 << 10)
    x, halves = np.array([[95.0], [110.0]]), list[Reference]()
    right = reference(problem(STOCHASTIC, CALL, 1.0), x)
    for knock in ("in", "out"):
        barrier = Barrier(strike=100.0, barrier=85.0, direction="down", knock=knock)
        halves.append(reference(problem(STOCHASTIC, barrier, 1.0), x, seed=1))
        assert halves[-1].known == "nothing"
        assert not halves[-1].hessian.any()
    one, other = halves
    assert one.standard_error is not None
    assert other.standard_error is not None
    noise = one.standard_error + other.standard_error
    assert (np.abs(one.value + other.value - right.value) <= 4.0 * noise + BIAS * right.value.max()).all()
    assert np.abs(one.gradient + other.gradient - right.gradient).max() <= BIAS


def test_what_nothing_simulates_is_refused(problem: Build) -> None:
    with pytest.raises(InvalidSpec, match="bridge"):
        resimulated.method(problem(CASH, Barrier(strike=100.0, barrier=85.0, direction="down", knock="out"), 1.0))
