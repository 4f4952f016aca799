"""The Poisson series against published values, its limits, and a sum over counts by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pricing.domain import Feature
from pricing.references.merton import series
from pricing.simulation.scenario import scenario
from pricing.specs.european import Call, Digital, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Merton

X = torch.tensor([[80.0], [100.0], [130.0]], dtype=torch.float64)


def on(payoff: Call | Put | Digital, **changes: object) -> PricingProblem:
    fields = {"volatilities": (0.2,), "jump_intensities": (1.0,), "jump_means": (-0.1,), "jump_deviations": (0.15,)}
    process = Merton(**{**fields, "correlation": ((1.0,),), "rate": 0.05, **changes})  # type: ignore[arg-type]
    spots = (Feature(name="spot", lower=(50.0,), upper=(150.0,)),)
    return PricingProblem(process=process, payoff=payoff, maturity=0.5, features=spots)


def value(payoff: Call | Put | Digital, **changes: object) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    problem = on(payoff, **changes)
    assert isinstance(problem.process, Merton)
    return series(problem.process, payoff, scenario(problem, X)).numpy()


def black(spot: float, strike: float, rate: float, deviation: float) -> float:
    """A call over half a year by the formula of the textbook, in the rate that a term of the series has."""
    d = (math.log(spot / strike) + rate * 0.5) / deviation + 0.5 * deviation
    cumulative = [0.5 * math.erfc(-x / math.sqrt(2.0)) for x in (d, d - deviation)]
    return spot * cumulative[0] - strike * math.exp(-rate * 0.5) * cumulative[1]


def test_it_is_mertons_own_sum() -> None:
    """His (16): intensity lambda (1 + m), rate r - lambda m + n g / T, variance sigma^2 + n delta^2 / T."""
    m = math.exp(-0.1 + 0.5 * 0.15**2) - 1.0
    expected = []
    for (spot,) in X.tolist():
        total = 0.0
        for n in range(60):
            mean = 0.5 * (1.0 + m)
            rate = 0.05 - m + n * math.log(1.0 + m) / 0.5
            deviation = math.sqrt(0.2**2 * 0.5 + n * 0.15**2)
            total += math.exp(-mean) * mean**n / math.factorial(n) * black(spot, 100.0, rate, deviation)
        expected.append(total)
    np.testing.assert_allclose(value(Call(weights=(1.0,), strike=100.0)), expected, rtol=1e-12)


def test_parity_and_the_digital_as_slope_of_calls() -> None:
    call, put = value(Call(weights=(1.0,), strike=100.0)), value(Put(weights=(1.0,), strike=100.0))
    np.testing.assert_allclose(call - put, X[:, 0].numpy() - 100.0 * math.exp(-0.025), atol=1e-12)
    ends = [value(Call(weights=(1.0,), strike=100.0 + step)) for step in (-1e-3, 1e-3)]
    digital = value(Digital(weights=(1.0,), strike=100.0))
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-3, digital, atol=1e-8)


@pytest.mark.parametrize("intensity", [0.0, 1e-12])
def test_without_jumps_it_is_black(intensity: float) -> None:
    expected = [black(spot, 100.0, 0.05, 0.2 * math.sqrt(0.5)) for (spot,) in X.tolist()]
    np.testing.assert_allclose(value(Call(weights=(1.0,), strike=100.0), jump_intensities=(intensity,)), expected)


def test_many_small_jumps_are_a_diffusion() -> None:
    """Intensity 100 of deviation 0.02 adds 0.04 to the variance per year."""
    jumping = value(
        Call(weights=(1.0,), strike=100.0), jump_intensities=(100.0,), jump_means=(0.0,), jump_deviations=(0.02,)
    )
    expected = [black(spot, 100.0, 0.05, math.sqrt((0.2**2 + 100 * 0.02**2) * 0.5)) for (spot,) in X.tolist()]
    np.testing.assert_allclose(jumping, expected, rtol=2e-3)
