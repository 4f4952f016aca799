"""Closed forms of forward starts: the Gaussian by hand, limits, and an average over where the strike is set."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pricing.domain import Feature
from pricing.references.reference import kind, reference
from pricing.specs.european import Call
from pricing.specs.payoff import ForwardStart
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, Process

ONE = ((1.0,),)
LOGNORMAL = BlackScholes(volatilities=(0.25,), correlation=ONE, rate=0.03, dividend_yields=(0.01,))
NORMAL = Bachelier(volatilities=(20.0, 30.0), correlation=((1.0, 0.4), (0.4, 1.0)))


def on(process: Process, payoff: ForwardStart | Call, *others: Feature) -> PricingProblem:
    spots = Feature(name="spot", lower=(50.0,) * process.assets, upper=(150.0,) * process.assets)
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=(spots, *others))


def test_a_gaussian_by_hand() -> None:
    """w S_T - K w S_t has the mean (1 - K) w S and the variance (w sigma)' rho (w sigma) (T - t + (1 - K)^2 t)."""
    payoff = ForwardStart(weights=(0.5, 0.5), strike=0.9, start=0.4)
    exact = reference(on(NORMAL, payoff), np.array([[90.0, 110.0]]))
    mean = 0.1 * 100.0
    spread = (100.0 + 225.0 + 2.0 * 0.4 * 150.0) * (0.6 + 0.01 * 0.4)
    d = mean / math.sqrt(spread)
    density = math.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)
    cumulative = 0.5 * math.erfc(-d / math.sqrt(2.0))
    assert float(exact.value[0]) == pytest.approx(mean * cumulative + math.sqrt(spread) * density, rel=1e-12)
    np.testing.assert_allclose(exact.gradient[0], 0.1 * 0.5 * cumulative, rtol=1e-12)
    np.testing.assert_allclose(exact.hessian[0], 0.0025 * density / math.sqrt(spread), rtol=1e-11)


@pytest.mark.parametrize("strike", [0.8, 1.2])
def test_a_strike_that_is_set_at_once_is_a_strike(strike: float) -> None:
    """As t goes to 0 it is the call with the strike K S."""
    begun = on(LOGNORMAL, ForwardStart(weights=(1.0,), strike=strike, start=1e-3))
    plain = on(LOGNORMAL, Call(weights=(1.0,), strike=strike * 100.0))
    x = np.array([[100.0]])
    assert float(reference(begun, x).value[0]) == pytest.approx(float(reference(plain, x).value[0]), rel=2e-3)


def test_it_is_the_mean_of_the_calls_that_start() -> None:
    """E[e^(-r t) call(S_t, K S_t, T - t)] over S_t by Gauss-Hermite."""
    payoff = ForwardStart(weights=(1.0,), strike=1.1, start=0.4)
    nodes, weights = np.polynomial.hermite_e.hermegauss(64)
    spread = 0.25 * math.sqrt(0.4)
    spots = 100.0 * np.exp((0.02 - 0.5 * 0.25**2) * 0.4 + spread * nodes)
    calls = [
        PricingProblem(
            process=LOGNORMAL,
            payoff=Call(weights=(1.0,), strike=1.1 * float(spot)),
            maturity=0.6,
            features=(Feature(name="spot", lower=(1.0,), upper=(1e4,)),),
        )
        for spot in spots
    ]
    each = [float(reference(call, np.array([[spot]])).value[0]) for call, spot in zip(calls, spots, strict=True)]
    mean = math.exp(-0.03 * 0.4) * float(np.dot(weights, each)) / math.sqrt(2.0 * math.pi)
    assert float(reference(on(LOGNORMAL, payoff), np.array([[100.0]])).value[0]) == pytest.approx(mean, rel=1e-10)


def test_prices_that_scale_have_no_gamma() -> None:
    payoff = ForwardStart(weights=(-2.0,), strike=1.1, start=0.4, side="put")
    exact = reference(on(LOGNORMAL, payoff), np.array([[80.0], [120.0]]))
    np.testing.assert_allclose(exact.value / np.array([80.0, 120.0]), exact.gradient[:, 0], rtol=1e-12)
    np.testing.assert_allclose(exact.hessian, 0.0, atol=1e-14)


def test_others_are_simulated_again() -> None:
    heston = Heston(
        initial_variances=(0.04,),
        mean_reversions=(1.0,),
        long_variances=(0.04,),
        variance_volatilities=(0.3,),
        spot_variance_correlations=(-0.5,),
        correlation=ONE,
    )
    assert kind(on(heston, ForwardStart(weights=(1.0,), strike=1.0, start=0.5))).startswith("resimulated")
