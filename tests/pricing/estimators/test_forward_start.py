"""Forward-start options: the integrated formula against closed forms, limits, and simulated payoffs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from pricing.domain import Feature
from pricing.estimators.forward_start import exchange
from pricing.labels import Labels, make_labels
from pricing.monte_carlo import value
from pricing.specs.choice import choose
from pricing.specs.estimator import Conditional, Pathwise, Smoothed
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import ForwardStart
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, Merton, Process

SPEC = LabelSpec(samples=4, paths=1 << 10, replicates=4)
ONE = ((1.0,),)
BLACK_SCHOLES = BlackScholes(volatilities=(0.25,), correlation=ONE, rate=0.03, dividend_yields=(0.01,))
BACHELIER = Bachelier(volatilities=(20.0,), correlation=ONE)
HESTON = Heston(
    initial_variances=(0.04,),
    mean_reversions=(1.5,),
    long_variances=(0.06,),
    variance_volatilities=(0.5,),
    spot_variance_correlations=(-0.7,),
    correlation=ONE,
    steps=8,
)
MERTON = Merton(
    volatilities=(0.2,), jump_intensities=(1.0,), jump_means=(-0.1,), jump_deviations=(0.2,), correlation=ONE
)


def on(process: Process, payoff: ForwardStart, *names: tuple[str, float, float]) -> PricingProblem:
    spots = Feature(name="spot", lower=(50.0,) * process.assets, upper=(150.0,) * process.assets)
    others = (Feature(name=name, lower=(low,), upper=(high,)) for name, low, high in names)
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=(spots, *others))


def labelled(problem: PricingProblem, rows: list[list[float]]) -> Labels:
    return make_labels(problem, torch.tensor(rows, dtype=torch.float64), SPEC, seed=1)


def cumulative(x: float) -> float:
    return 0.5 * math.erfc(-x / math.sqrt(2.0))


@pytest.mark.parametrize(("side", "weight"), [("call", 1.0), ("put", 1.0), ("call", -2.0), ("put", -2.0)])
@pytest.mark.parametrize("strike", [0.8, 1.0, 1.3])
def test_black_scholes_is_rubinsteins_formula(side: str, weight: float, strike: float) -> None:
    """S e^(-q t) times an option on S_T / S_t over what is left, whatever the spot: gamma is 0."""
    payoff = ForwardStart(weights=(weight,), strike=strike, start=0.4, side=side)  # type: ignore[arg-type]
    labels = labelled(on(BLACK_SCHOLES, payoff), [[70.0], [100.0]])
    grown, deviation = math.exp(0.02 * 0.6), 0.25 * math.sqrt(0.6)
    d = math.log(grown / strike) / deviation + 0.5 * deviation
    sign = 1.0 if (side == "call") == (weight > 0.0) else -1.0
    ratio = sign * (grown * cumulative(sign * d) - strike * cumulative(sign * (d - deviation)))
    delta = abs(weight) * math.exp(-0.03 + 0.02 * 0.4) * ratio
    assert labels.gradient is not None
    assert labels.curvature is not None
    np.testing.assert_allclose(labels.value, [70.0 * delta, 100.0 * delta], rtol=2e-4)
    np.testing.assert_allclose(labels.gradient[:, 0], delta, rtol=2e-4)
    np.testing.assert_allclose(labels.curvature, 0.0, atol=1e-9)


def test_bachelier_is_a_gaussian() -> None:
    """S_T - K S_t has the mean (1 - K) S and the variance sigma^2 (T - t + (1 - K)^2 t); so the labels are exact."""
    problem = on(BACHELIER, ForwardStart(weights=(1.0,), strike=0.9, start=0.5), ("strike", 0.5, 1.5))
    labels = labelled(problem, [[80.0, 0.9], [120.0, 1.2]])
    for row, (spot, strike) in enumerate(((80.0, 0.9), (120.0, 1.2))):
        mean, deviation = (1.0 - strike) * spot, 20.0 * math.sqrt(0.5 + (1.0 - strike) ** 2 * 0.5)
        d = mean / deviation
        density = math.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)
        assert float(labels.value[row]) == pytest.approx(mean * cumulative(d) + deviation * density, rel=1e-3)
        assert labels.gradient is not None
        assert float(labels.gradient[row, 0]) == pytest.approx((1.0 - strike) * cumulative(d), rel=1e-2, abs=1e-4)


@pytest.mark.parametrize("process", [HESTON, MERTON], ids=["heston", "merton"])
@pytest.mark.parametrize("side", ["call", "put"])
def test_integrated_and_plain_payoffs_agree(process: Process, side: str) -> None:
    problem = on(process, ForwardStart(weights=(1.0,), strike=1.05, start=0.5, side=side))  # type: ignore[arg-type]
    assert isinstance(choose(problem), Conditional)
    x = torch.tensor([[90.0], [110.0]], dtype=torch.float64)
    spec = LabelSpec(samples=2, paths=1 << 12, replicates=8, order=1)
    smooth = value(problem, x, spec, seed=1)
    plain = value(problem, x, LabelSpec(samples=2, paths=1 << 14, replicates=8, order=1, estimator=Pathwise()), seed=2)
    assert smooth.standard_error is not None
    assert plain.standard_error is not None
    error = torch.hypot(smooth.standard_error, plain.standard_error)
    assert bool(((smooth.value - plain.value).abs() < 4.0 * error).all())


def test_a_basket_is_smoothed() -> None:
    pair = BlackScholes(volatilities=(0.2, 0.3), correlation=((1.0, 0.5), (0.5, 1.0)))
    assert isinstance(choose(on(pair, ForwardStart(weights=(0.5, 0.5), strike=1.0, start=0.5))), Smoothed)


def test_slopes_that_meet_nowhere_leave_the_difference() -> None:
    a, b, c = (torch.tensor([[x]], dtype=torch.float64) for x in (2.0, 1.5, 0.3))
    grown = math.exp(0.5 * 0.3**2)
    assert float(exchange(a, c, b, c, call=True)) == pytest.approx(0.5 * grown)
    assert float(exchange(a, c, b, c, call=False)) == 0.0


def test_the_formula_has_the_derivatives_of_the_integral() -> None:
    """Gauss-Hermite on the smooth side of the kink: value and two derivatives by both amounts, far from rounding."""
    amounts = torch.tensor([2.0, 1.9], dtype=torch.float64, requires_grad=True)
    c, d = (torch.tensor([[x]], dtype=torch.float64) for x in (0.4, -0.2))
    (slope,) = torch.autograd.grad(
        exchange(amounts[:1, None], c, amounts[1:, None], d, call=True).sum(), amounts, create_graph=True
    )
    bend = torch.stack([torch.autograd.grad(part, amounts, retain_graph=True)[0] for part in slope])
    x = torch.linspace(-9.0, 9.0, 200_001, dtype=torch.float64)
    weight = torch.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi) * (x[1] - x[0])
    above = 2.0 * torch.exp(0.4 * x) > 1.9 * torch.exp(-0.2 * x)
    parts = torch.stack([torch.exp(0.4 * x), -torch.exp(-0.2 * x)])
    np.testing.assert_allclose(slope.detach(), (weight * above * parts).sum(dim=1), rtol=1e-4)
    meeting = math.log(1.9 / 2.0) / 0.6
    steep = 0.6 * 2.0 * math.exp(0.4 * meeting)
    at = np.array([math.exp(0.4 * meeting), -math.exp(-0.2 * meeting)])
    density = math.exp(-0.5 * meeting**2) / math.sqrt(2.0 * math.pi)
    np.testing.assert_allclose(bend.detach(), density / steep * np.outer(at, at), rtol=1e-10)
