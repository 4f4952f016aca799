"""A contract that is running is worth what the rest of it is: labels, references, every derivative."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pricing.labels import make_labels
from pricing.references.reference import reference
from pricing.specs.draws import Draws
from pricing.specs.estimator import Automatic, Estimator, Pathwise, Smoothed
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Asian, Autocall
from pricing.specs.process import Bachelier, Process
from tests.pricing.cases import CARRYING, GAUSSIAN, ONE, PAIR, PLAIN, STOCHASTIC, alike, asked, feature, problem_of

DATES = (0.25, 0.5, 1.0)
CARRIED = Bachelier(volatilities=(20.0,), correlation=ONE, convention="carry", rate=0.03, dividend_yields=(0.01,))
AVERAGE = Asian(weights=(1.0,), strike=100.0, dates=DATES, past_fixings=5, past_average=104.0)
SPOTS = np.array([[90.0], [100.0], [115.0]])
NOTE = Autocall(
    initial=(100.0,),
    dates=(0.25, 0.5, 0.75, 1.0),
    triggers=(1.1, 1.05, 1.0, 1.0),
    coupon=0.05,
    coupon_barrier=0.9,
    knock_in=0.7,
)


def fresh(running: Asian) -> tuple[Asian, float]:
    """The average of the dates to come at the strike that is left of it, and how many of them make the running one."""
    share = len(running.dates) / running.fixings
    assert isinstance(running.past_average, float)
    strike = (running.strike - (1.0 - share) * running.past_average) / share
    return Asian(weights=running.weights, strike=strike, dates=running.dates, side=running.side), share


@pytest.mark.parametrize("process", [CARRYING, CARRIED, GAUSSIAN, STOCHASTIC, alike(PLAIN, PAIR)])
@pytest.mark.parametrize("payoff", [AVERAGE, replace(AVERAGE, side="put"), replace(AVERAGE, past_average=165.0)])
@pytest.mark.parametrize("estimator", [Automatic(), Smoothed()])
def test_a_running_average_is_one_of_the_dates_to_come_at_another_strike(
    process: Process, payoff: Asian, estimator: Estimator
) -> None:
    payoff = replace(payoff, weights=(1.0 / process.assets,) * process.assets)
    whole, share = fresh(payoff)
    x = torch.from_numpy(SPOTS.repeat(process.assets, axis=1))
    spec = LabelSpec(paths=64, replicates=2, estimator=estimator)
    running, rest = (make_labels(problem_of(process, each), x, spec, seed=0) for each in (payoff, whole))
    torch.testing.assert_close(running.value, share * rest.value, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(asked(running.gradient), share * asked(rest.gradient), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(asked(running.curvature), share * asked(rest.curvature), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("process", [CARRYING, CARRIED])
@pytest.mark.parametrize("payoff", [AVERAGE, replace(AVERAGE, side="put"), replace(AVERAGE, past_average=165.0)])
def test_its_reference_says_so_too(process: Process, payoff: Asian) -> None:
    whole, share = fresh(payoff)
    running, rest = (reference(problem_of(process, each), SPOTS) for each in (payoff, whole))
    for mine, other in zip(
        (running.value, running.gradient, running.hessian), (rest.value, rest.gradient, rest.hessian), strict=True
    ):
        np.testing.assert_allclose(mine, share * other, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
def test_the_past_average_as_a_feature(average: str) -> None:
    payoff = replace(AVERAGE, average=average)
    given = problem_of(CARRYING, payoff, feature("past_average", 80.0, 120.0))
    x = np.column_stack([SPOTS[:, 0], [104.0, 95.0, 110.0]])
    right = reference(given, x)
    made = make_labels(given, torch.from_numpy(x), LabelSpec(paths=4096, replicates=2), seed=0)
    np.testing.assert_allclose(asked(made.gradient).numpy(), right.gradient, rtol=1e-3, atol=1e-5)
    for row, (spot, past) in enumerate(x.tolist()):
        alone = reference(problem_of(CARRYING, replace(payoff, past_average=past)), np.array([[spot]]))
        np.testing.assert_allclose(right.value[row], alone.value[0], rtol=1e-4)


def test_past_fixings_beyond_the_strike_leave_a_forward_and_a_constant() -> None:
    past = np.array([165.0, 170.0, 200.0])
    given = problem_of(CARRIED, AVERAGE, feature("past_average", 161.0, 200.0))
    x = np.column_stack([SPOTS[:, 0], past])
    made = make_labels(given, torch.from_numpy(x), LabelSpec(paths=64, replicates=2), seed=0)
    grown = sum(np.exp(0.02 * date) for date in DATES)
    forward = np.exp(-0.03) * ((5.0 * past + SPOTS[:, 0] * grown) / 8.0 - 100.0)
    np.testing.assert_allclose(made.value.numpy(), forward, atol=1e-3)  # twenty a year and root leave some doubt of it
    sure = problem_of(CARRYING, AVERAGE, feature("past_average", 161.0, 200.0))
    labels = make_labels(sure, torch.from_numpy(x), LabelSpec(paths=4096, replicates=2), seed=0)
    np.testing.assert_allclose(labels.value.numpy(), forward, rtol=1e-4)
    assert float(asked(labels.curvature).abs().max()) == 0.0


@pytest.mark.parametrize("estimator", [Automatic(), Smoothed()])
@pytest.mark.parametrize("knocked_in", [False, True])
def test_missed_coupons_are_paid_with_the_first_to_come(estimator: Estimator, knocked_in: bool) -> None:
    """By induction, by survival and by smoothing; the value is linear in how many they are."""
    given = problem_of(
        CARRYING, replace(NOTE, missed_coupons=1.0, knocked_in=knocked_in), feature("missed_coupons", 0.0, 4.0)
    )
    x = np.array([[80.0, 0.0], [80.0, 1.0], [80.0, 3.0], [105.0, 2.0]])
    right = reference(given, x)
    np.testing.assert_allclose(right.value[2] - right.value[1], 2.0 * (right.value[1] - right.value[0]), rtol=1e-9)
    np.testing.assert_allclose(right.gradient[0, 1], right.value[1] - right.value[0], rtol=1e-9)
    spec = LabelSpec(paths=4096, replicates=4, estimator=estimator, order=1)
    made = make_labels(given, torch.from_numpy(x), spec, seed=0)
    np.testing.assert_allclose(made.value.numpy(), right.value, atol=5e-4)
    np.testing.assert_allclose(asked(made.gradient).numpy()[:, 1], right.gradient[:, 1], atol=5e-4)


def test_missed_coupons_of_several_assets() -> None:
    note = replace(NOTE, initial=(100.0, 100.0), missed_coupons=2.0)
    given = problem_of(alike(PLAIN, PAIR), note, feature("missed_coupons", 0.0, 4.0))
    x = np.array([[90.0, 95.0, 2.0], [100.0, 110.0, 1.0]])
    right = reference(given, x)
    made = make_labels(given, torch.from_numpy(x), LabelSpec(paths=4096, replicates=4, order=1), seed=0)
    assert right.standard_error is not None
    assert right.gradient_error is not None
    np.testing.assert_array_less(np.abs(made.value.numpy() - right.value), 6.0 * right.standard_error + 1e-4)
    missed = np.abs(asked(made.gradient).numpy() - right.gradient)[:, 2]
    np.testing.assert_array_less(missed, 6.0 * right.gradient_error[:, 2] + 1e-4)


def test_a_put_that_has_been_knocked_in_is_worth_one_that_always_is() -> None:
    knocked, always = (
        reference(problem_of(CARRYING, note), SPOTS)
        for note in (replace(NOTE, knocked_in=True), replace(NOTE, knock_in=1.0))
    )
    np.testing.assert_array_equal(knocked.value, always.value)
    np.testing.assert_array_equal(knocked.hessian, always.hessian)


def test_the_geometric_control_variate_knows_the_past() -> None:
    x, draws = torch.from_numpy(SPOTS), Draws(source="antithetic")
    controlled, plain = (
        make_labels(
            problem_of(CARRYING, AVERAGE),
            x,
            LabelSpec(paths=1024, replicates=4, order=1, estimator=Pathwise(control=control), draws=draws),
            seed=0,
        )
        for control in ("geometric", "none")
    )
    right = reference(problem_of(CARRYING, AVERAGE), SPOTS)
    error, without = asked(controlled.value_error).numpy(), asked(plain.value_error).numpy()
    np.testing.assert_array_less(np.abs(controlled.value.numpy() - right.value), 6.0 * error)
    assert error.max() < 0.3 * without.max()
