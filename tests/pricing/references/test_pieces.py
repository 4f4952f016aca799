"""Payoffs in pieces are the sums of calls, puts and digitals that they are made of, whatever references those."""

from __future__ import annotations

import numpy as np
import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.references.reference import kind, reference
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Payoff
from pricing.specs.pieces import Pieces
from pricing.specs.process import Bachelier, BlackScholes, Merton, Process
from pricing.specs.schedule import Dividend
from tests.pricing.cases import CARRYING, GAUSSIAN, PAIR, PLAIN, STOCHASTIC, SURFACE, alike, feature, problem_of

THREE = ((1.0, 0.5, 0.2), (0.5, 1.0, 0.3), (0.2, 0.3, 1.0))
JUMPING = Merton(
    volatilities=(0.2,), jump_intensities=(0.5,), jump_means=(-0.1,), jump_deviations=(0.15,), correlation=((1.0,),)
)
PAYING = replace(PLAIN, dividends=(Dividend(time=0.4, amount=3.0),))
CARRIED = Bachelier(
    volatilities=(20.0, 15.0), correlation=PAIR, convention="carry", rate=0.04, dividend_yields=(0.01, 0.0)
)
BASKET = BlackScholes(volatilities=(0.2, 0.3, 0.25), correlation=THREE, rate=0.02)
PROCESSES: dict[str, Process] = {
    "gaussian": GAUSSIAN,
    "carried pair": CARRIED,
    "lognormal": CARRYING,
    "lognormal pair": alike(CARRYING, PAIR),
    "lognormal three": BASKET,
    "dividends in cash": PAYING,
    "heston": STOCHASTIC,
    "merton": JUMPING,
    "local volatility": SURFACE,
}


def equal(process: Process) -> tuple[float, ...]:
    return (1.0 / process.assets,) * process.assets


def known(process: Process, payoff: Payoff, *others: Feature) -> tuple[np.ndarray, ...]:
    problem = problem_of(process, payoff, *others)
    rows = problem.box.from_uniforms(np.random.default_rng(3).random((3, problem.box.dimension)))
    exact = reference(problem, rows)
    return exact.value, exact.gradient, exact.hessian


@pytest.mark.parametrize("name", PROCESSES)
def test_a_call_spread_with_a_digital_is_their_sum(name: str) -> None:
    """Value, gradient and Hessian, to 1e-10 of the largest of each."""
    process = PROCESSES[name]
    weights = equal(process)
    payoff = Pieces(weights=weights, knots=(95.0, 105.0), slopes=(0.0, 1.0, 0.0), jumps=(0.0, -4.0))
    got = known(process, payoff)
    low, high, cut = (
        known(process, leg)
        for leg in (
            Call(weights=weights, strike=95.0),
            Call(weights=weights, strike=105.0),
            Digital(weights=weights, strike=105.0, cash=4.0),
        )
    )
    for mine, one, two, three in zip(got, low, high, cut, strict=True):
        np.testing.assert_allclose(mine, one - two - three, rtol=0.0, atol=1e-10 * np.abs(one).max())


@pytest.mark.parametrize("name", ["gaussian", "lognormal", "lognormal pair", "merton", "heston"])
@pytest.mark.parametrize(
    ("slopes", "jumps", "single"),
    [
        ((0.0, 1.0), (), Call),
        ((-1.0, 0.0), (), Put),
        ((0.0, 0.0), (1.0,), Digital),
    ],
)
def test_one_join_is_a_product_of_the_library(
    name: str, slopes: tuple[float, ...], jumps: tuple[float, ...], single: type[Call | Put | Digital]
) -> None:
    process = PROCESSES[name]
    payoff = Pieces(weights=equal(process), knots=(100.0,), slopes=slopes, jumps=jumps)
    ours, theirs = known(process, payoff), known(process, single(weights=equal(process), strike=100.0))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=0.0, atol=1e-10 * np.abs(other).max())


@pytest.mark.parametrize("name", ["gaussian", "lognormal", "heston", "local volatility"])
def test_a_line_with_a_tiny_bend_is_a_forward(name: str) -> None:
    """D (cash + s (F - K)) where hardly anything bends."""
    process = PROCESSES[name]
    payoff = Pieces(weights=(1.0,), knots=(100.0,), slopes=(0.7, 0.7 + 1e-12), cash=5.0)
    problem = problem_of(process, payoff)
    spots = np.array([[80.0], [120.0]])
    carry = process.rate - sum(process.dividend_yields)
    forward, paid = spots[:, 0] * np.exp(carry), np.exp(-process.rate)
    exact = reference(problem, spots)
    np.testing.assert_allclose(exact.value, paid * (5.0 + 0.7 * (forward - 100.0)), rtol=0.0, atol=2e-6)
    np.testing.assert_allclose(exact.gradient[:, 0], paid * 0.7 * np.exp(carry), rtol=2e-6)


@pytest.mark.parametrize("name", ["gaussian", "lognormal", "lognormal three", "dividends in cash", "local volatility"])
def test_knots_are_strikes_of_their_legs(name: str) -> None:
    """dV by each knot, where the knots vary, is that of the call by its strike."""
    process = PROCESSES[name]
    weights = equal(process)
    knots = Feature(name="knot", lower=(90.0, 102.0), upper=(98.0, 110.0))
    payoff = Pieces(weights=weights, knots=(95.0, 105.0), slopes=(0.0, 1.0, -0.5))
    problem = problem_of(process, payoff, knots)
    at = np.array([[101.0] * process.assets + [96.0, 106.0]])
    exact = reference(problem, at)
    for k, (strike, amount) in enumerate(((96.0, 1.0), (106.0, -1.5))):
        call = problem_of(process, Call(weights=weights, strike=100.0), feature("strike", 90.0, 110.0))
        one = reference(call, np.array([[101.0] * process.assets + [strike]]))
        column = process.assets + k
        errors = [found.gradient_error for found in (exact, one)]
        missed = sum(0.0 if error is None else float(np.abs(error).max()) for error in errors)
        noise = 4.0 * missed if kind(problem) == "replicates" else missed
        slope = float(one.gradient[0, process.assets])
        assert abs(exact.gradient[0, column] - amount * slope) <= 1e-10 + noise
        bend = float(one.hessian[0, process.assets, process.assets])
        errors = [found.hessian_error for found in (exact, one)]
        missed = sum(0.0 if error is None else float(np.abs(error).max()) for error in errors)
        assert abs(exact.hessian[0, column, column] - amount * bend) <= 1e-10 + 4.0 * missed


def test_without_volatility_the_pieces_themselves_are_left() -> None:
    payoff = Pieces(weights=(1.0,), knots=(90.0, 100.0), slopes=(-1.0, 0.5, 2.0), jumps=(3.0, 0.0), cash=8.0)
    spots = np.array([[80.0], [90.0], [95.0], [120.0]])
    for process in (replace(GAUSSIAN, volatilities=(0.0,)), replace(PLAIN, volatilities=(0.0,))):
        exact = reference(problem_of(process, payoff), spots, order=1)
        np.testing.assert_allclose(exact.value, [18.0, 8.0, 13.5, 56.0], rtol=1e-12)


def test_what_is_simulated_again_is_simulated_as_it_is() -> None:
    payoff = Pieces(weights=(0.5, 0.5), knots=(95.0, 105.0), slopes=(0.0, 1.0, 0.0))
    assert kind(problem_of(alike(STOCHASTIC, PAIR), payoff)).startswith("resimulated")
