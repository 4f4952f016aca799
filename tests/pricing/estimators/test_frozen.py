"""Labels of early exercise: quadrature, central differences, orders between contracts, limits."""

from functools import partial

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.estimators import frozen
from pricing.estimators.contribute import contribution
from pricing.exercise.rule import ExerciseRule, fit_rule
from pricing.labels import make_labels
from pricing.references.reference import reference
from pricing.simulation.rotation import identity
from pricing.simulation.scenario import scenario
from pricing.specs.estimator import Frozen
from pricing.specs.european import BestOf, Call, Put, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Process
from tests.pricing.cases import GAUSSIAN, PLAIN, problem_of

BLACK_SCHOLES = replace(PLAIN, rate=0.06, dividend_yields=(0.02,))
BACHELIER = replace(GAUSSIAN, volatilities=(8.0,), rate=0.06, convention="carry")
PUT = Put(weights=(1.0,), strike=40.0)
DATES = (0.2, 0.4, 0.6, 0.8, 1.0)


def put(process: Process = BLACK_SCHOLES, dates: tuple[float, ...] = DATES, maturity: float = 1.0) -> PricingProblem:
    """A put struck at 40 on one asset."""
    return problem_of(process, Bermudan(option=PUT, dates=dates), maturity=maturity, spots=(30.0, 50.0))


def labels_spec(order: int = 2) -> LabelSpec:
    """Enough paths for errors of a thousandth."""
    estimator = Frozen(degree=5, paths=1 << 14)
    assert order in (1, 2)
    return LabelSpec(samples=8, paths=2048, replicates=8, estimator=estimator, order=2 if order == 2 else 1)


SPOTS = torch.tensor([[32.0], [36.0], [40.0], [44.0], [48.0]], dtype=torch.float64)


@pytest.mark.parametrize("process", [BLACK_SCHOLES, BACHELIER])
def test_labels_agree_with_quadrature(process: Process) -> None:
    problem = put(process)
    labels, exact = make_labels(problem, SPOTS, labels_spec(), seed=1), reference(problem, SPOTS.numpy())
    assert labels.gradient is not None
    assert labels.curvature is not None
    assert labels.directions is not None
    assert labels.value_error is not None
    # What the rule misses of the value is of second order in the error of its boundary, and of delta of first.
    excess = labels.value.numpy() - exact.value
    assert (excess < 4.0 * labels.value_error.numpy() + 1e-4).all()
    assert (excess > -4.0 * labels.value_error.numpy() - 3e-3).all()
    assert np.abs(labels.gradient.numpy() - exact.gradient).max() < 6e-3
    bent = labels.curvature[:, 0].numpy() / labels.directions[:, 0].numpy()
    assert np.abs(bent - exact.hessian[:, 0]).max() < 0.03 * exact.hessian.max()


def expectation(problem: PricingProblem, width: float) -> tuple[ExerciseRule, Tensor]:
    """A rule, and normals to value it on."""
    rule = fit_rule(problem, Frozen(degree=3, paths=1 << 12, width=width), seed=1)
    dimension = sum(frozen.groups(problem))
    return rule, torch.from_numpy(np.random.default_rng(3).standard_normal((1, 256, dimension)))


def test_gradient_is_the_difference_of_the_value_where_exercise_does_not_change() -> None:
    problem = put()
    rule, normals = expectation(problem, 0.0)
    value = partial(frozen.held, rule, 0.0, normals=normals, rotation=identity(frozen.groups(problem)))
    x = torch.tensor([[38.0]], dtype=torch.float64, requires_grad=True)
    step = 1e-6
    high, low = (value(scenario(problem, x.detach() + e)) for e in (step, -step))
    slope = (high - low) / (2.0 * step)
    kept = (slope.abs() < 1.5)[0]  # a path that changes its exercise date jumps
    (gradient,) = torch.autograd.grad(value(scenario(problem, x))[0, kept].sum(), x)
    assert kept.sum() > 250
    assert float(gradient) == pytest.approx(float(slope[0, kept].sum()), rel=1e-6)


def test_smoothing_moves_the_value_by_the_fourth_power_of_its_width() -> None:
    problem = put()
    rule, _ = expectation(problem, 0.0)
    dimension = sum(frozen.groups(problem))
    normals = torch.from_numpy(np.random.default_rng(3).standard_normal((1, 1 << 15, dimension)))
    at = scenario(problem, torch.tensor([[36.0]], dtype=torch.float64))
    turn = identity(frozen.groups(problem))
    hard, half, full = (float(frozen.held(rule, w, at, normals, turn).mean()) for w in (0.0, 0.2, 0.4))
    assert abs(half - hard) < abs(full - hard) / 6.0


def test_european_is_below_bermudan_and_more_dates_are_worth_more() -> None:
    def values(dates: tuple[float, ...]) -> Tensor:
        return make_labels(put(dates=dates), SPOTS, labels_spec(1), seed=1).value

    european, few, many = values((1.0,)), values(DATES), values(tuple((k + 1) / 15 for k in range(15)))
    assert (european < few).all()
    assert (few < many + 5e-3).all()
    alone = values((0.4, 1.0))
    assert (alone < few + 5e-3).all()


def test_it_is_worth_at_least_each_date_alone() -> None:
    bermudan = make_labels(put(), SPOTS, labels_spec(1), seed=1).value.numpy()
    for date in DATES:
        single = replace(put(), payoff=PUT, maturity=date)
        assert (bermudan >= reference(single, SPOTS.numpy(), order=0).value - 5e-3).all()


def test_a_call_without_dividends_is_the_european() -> None:
    process = replace(BLACK_SCHOLES, dividend_yields=(0.0,))
    call = Call(weights=(1.0,), strike=40.0)
    problem = replace(put(process), payoff=Bermudan(option=call, dates=DATES))
    labels = make_labels(problem, SPOTS, labels_spec(1), seed=1)
    exact = reference(replace(problem, payoff=call), SPOTS.numpy(), order=1)
    assert labels.gradient is not None
    assert np.abs(labels.value.numpy() - exact.value).max() < 0.02
    assert np.abs(labels.gradient.numpy() - exact.gradient).max() < 0.01


@pytest.mark.parametrize("process", [BLACK_SCHOLES, BACHELIER])
@pytest.mark.parametrize(("volatility", "maturity"), [(0.0, 1.0), (0.2, 0.0), (0.0, 0.0)])
def test_no_volatility_and_no_time_leave_finite_labels(process: Process, volatility: float, maturity: float) -> None:
    problem = put(replace(process, volatilities=(volatility,)), maturity=maturity)
    spots = torch.tensor([[35.0], [45.0]], dtype=torch.float64)
    labels = make_labels(problem, spots, replace(labels_spec(), paths=64, replicates=1), seed=1)
    assert labels.gradient is not None
    assert labels.curvature is not None
    assert labels.value[0] == pytest.approx(5.0, abs=0.6)
    assert labels.value[1] == pytest.approx(0.0, abs=1e-6)


def test_assets_that_differ_see_the_best_of_them() -> None:
    process = BlackScholes(volatilities=(0.2, 0.3), correlation=((1.0, 0.3), (0.3, 1.0)), dividend_yields=(0.1, 0.05))
    payoff = Bermudan(option=BestOf(initial=(1.0, 1.0), strike=100.0), dates=(0.5, 1.0))
    problem = problem_of(process, payoff, maturity=2.0, spots=(80.0, 120.0))
    spots = torch.tensor([[100.0, 95.0]], dtype=torch.float64)
    labels = make_labels(problem, spots, labels_spec(1), seed=1)
    other = reference(problem, spots.numpy(), order=1)
    assert labels.gradient is not None
    assert abs(float(labels.value[0]) - other.value[0]) < 0.1
    assert np.abs(labels.gradient.numpy() - other.gradient).max() < 0.01


def test_a_payoff_without_dates_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="Bermudan"):
        contribution(replace(put(), payoff=PUT), Frozen(), seed=1)


def biases(problem: PricingProblem, rows: Tensor) -> list[float]:
    """By how much value, delta and gamma labels of the defaults are off beyond four standard errors, of the largest."""
    directions = rows.shape[1]
    spec = LabelSpec(samples=32, paths=2048, replicates=8, directions=directions)
    labels, exact = make_labels(problem, rows, spec, seed=1), reference(problem, rows.numpy())
    assert labels.gradient is not None
    assert labels.curvature is not None
    assert labels.directions is not None
    bent = np.einsum("nij,nkj->nki", exact.hessian, labels.directions.numpy())
    pairs = [
        (labels.value, labels.value_error, exact.value),
        (labels.gradient, labels.gradient_error, exact.gradient),
        (labels.curvature, labels.curvature_error, bent),
    ]
    off = []
    for label, error, right in pairs:
        assert error is not None
        beyond = np.maximum(np.abs(label.numpy() - right) - 4.0 * error.numpy(), 0.0)
        off.append(float(beyond.max() / np.abs(right).max()))
    return off


CALL = Call(weights=(1.0,), strike=40.0)
PAYING = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), rate=0.03, dividend_yields=(0.07,))


@pytest.mark.parametrize(
    ("process", "option", "bounds", "maturity"),
    [
        (replace(PLAIN, rate=0.06), PUT, (20.0, 60.0), 1.0),
        (replace(PLAIN, rate=0.06), PUT, (5.0, 100.0), 1.0),
        (PAYING, CALL, (20.0, 70.0), 2.0),
        (replace(BACHELIER, volatilities=(8.0,)), PUT, (20.0, 60.0), 1.0),
    ],
    ids=["put", "wide", "call", "bachelier"],
)
def test_greeks_are_within_a_percent_all_over_the_box(
    process: Process, option: Call | Put, bounds: tuple[float, float], maturity: float
) -> None:
    problem = problem_of(process, Bermudan(option=option, dates=DATES), maturity=maturity, spots=bounds)
    rows = torch.linspace(*bounds, 25, dtype=torch.float64)[:, None]
    assert max(biases(problem, rows)) < 0.01


UNLIKE = BlackScholes(volatilities=(0.2, 0.35), correlation=((1.0, 0.3), (0.3, 1.0)), rate=0.06)


@pytest.mark.parametrize("option", [WorstOf(initial=(1.0, 1.0), strike=40.0), Put(weights=(0.5, 0.5), strike=40.0)])
def test_two_assets_are_within_a_percent_too(option: WorstOf | Put) -> None:
    """Ties of the worst are kinks of what exercise pays: without their share gammas are off by twice their size."""
    problem = problem_of(UNLIKE, Bermudan(option=option, dates=(1 / 3, 2 / 3, 1.0)), spots=(25.0, 60.0))
    rows = torch.tensor([[42.5, 42.5], [30.0, 30.0], [45.0, 35.0], [35.0, 50.0]], dtype=torch.float64)
    assert max(biases(problem, rows)) < 0.01
