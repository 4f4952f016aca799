from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import QuantLib
import torch
from scipy.stats import multivariate_normal

from pricing.references import quadrature
from pricing.references.reference import Reference, reference
from pricing.simulation.scenario import scenario
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Autocall, Barrier, Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from pricing.specs.schedule import Dividend
from pricing.types import Array

Build = Callable[..., PricingProblem]
STRIKE = 100.0
SPOTS = np.array([70.0, 92.0, 100.0, 110.0, 140.0])
NOTE = Autocall(
    initial=(100.0,),
    dates=(0.25, 0.5, 0.75, 1.0),
    triggers=(1.05, 1.02, 1.0, 1.0),
    coupon=0.03,
    coupon_barrier=0.8,
    knock_in=0.65,
)


def process(volatility: float = 0.3, rate: float = 0.04, dividend: float = 0.02) -> BlackScholes:
    return BlackScholes(volatilities=(volatility,), correlation=((1.0,),), rate=rate, dividend_yields=(dividend,))


@pytest.mark.parametrize("date", [0.3, 0.8])
def test_a_barrier_of_one_date_is_a_bivariate_normal_probability(problem: Build, date: float) -> None:
    """Heynen & Kat (1996): S P(S_T > K, S_t > H) under the asset's measure, less K P of the same."""
    flow, level, volatility, rate, dividend = process(), 95.0, 0.3, 0.04, 0.02
    payoff = Barrier(strike=STRIKE, barrier=level, direction="down", knock="out", dates=(date,))
    ours = reference(problem(flow, payoff, 1.0), SPOTS[:, None], order=0).value

    def chance(spot: float, drift: float) -> float:
        ends = [
            (math.log(spot / edge) + drift * t) / (volatility * math.sqrt(t))
            for edge, t in ((level, date), (STRIKE, 1.0))
        ]
        rho = math.sqrt(date)
        return float(multivariate_normal(cov=[[1.0, rho], [rho, 1.0]]).cdf(ends))

    drift, half = rate - dividend, 0.5 * volatility**2
    exact = [
        spot * math.exp(-dividend) * chance(spot, drift + half) - STRIKE * math.exp(-rate) * chance(spot, drift - half)
        for spot in SPOTS
    ]
    assert ours == pytest.approx(exact, abs=1e-5)


@pytest.mark.parametrize("kind", [Call, Put, Digital])
def test_one_date_is_the_closed_form(problem: Build, kind: type[Call] | type[Put] | type[Digital]) -> None:
    payoff = kind(weights=(1.0,), strike=STRIKE)
    case = problem(process(), payoff, 0.6, strike=(50.0, 150.0), volatility=(0.1, 0.5))
    x = np.stack([SPOTS, np.full(5, 95.0), np.full(5, 0.25)], axis=1)
    exact = reference(case, x)
    features = torch.tensor(x, requires_grad=True)
    values = quadrature.value(process(), payoff, scenario(case, features))
    (gradient,) = torch.autograd.grad(values.sum(), features, create_graph=True)
    (row,) = torch.autograd.grad(gradient[:, 0].sum(), features)
    assert np.abs(values.detach().numpy() - exact.value).max() < 1e-10
    assert np.abs(gradient.detach().numpy() - exact.gradient).max() < 1e-9
    assert np.abs(row.numpy() - exact.hessian[:, 0]).max() < 1e-9


def test_a_bermudan_against_quantlibs_finite_differences(problem: Build, black_scholes: Callable[..., Any]) -> None:
    days = (91, 182, 273, 365)
    flow = black_scholes(95.0, 0.06, 0.01, 0.25)
    today = QuantLib.Settings.instance().evaluationDate
    option = QuantLib.VanillaOption(
        QuantLib.PlainVanillaPayoff(QuantLib.Option.Put, STRIKE),
        QuantLib.BermudanExercise([today + day for day in days]),
    )
    option.setPricingEngine(QuantLib.FdBlackScholesVanillaEngine(flow, 400, 1600, 2))
    payoff = Bermudan(option=Put(weights=(1.0,), strike=STRIKE), dates=tuple(day / 365 for day in days))
    got = reference(problem(process(0.25, 0.06, 0.01), payoff, 1.0), np.array([[95.0]]))
    assert got.value[0] == pytest.approx(option.NPV(), abs=1e-3)
    assert got.gradient[0, 0] == pytest.approx(option.delta(), abs=1e-4)
    assert got.hessian[0, 0, 0] == pytest.approx(option.gamma(), abs=1e-4)


@pytest.mark.parametrize("option", [Put(weights=(1.0,), strike=STRIKE), Call(weights=(1.0,), strike=STRIKE)])
def test_more_rights_are_worth_more(problem: Build, option: Put | Call) -> None:
    def values(payoff: Bermudan | Put | Call) -> Array:
        return reference(problem(process(0.3, 0.05, 0.07), payoff, 1.0), SPOTS[:, None], order=0).value

    european, few = values(option), values(Bermudan(option=option, dates=(0.5, 1.0)))
    many = values(Bermudan(option=option, dates=(0.25, 0.5, 0.75, 1.0)))
    assert (european <= few + 1e-10).all()
    assert (few <= many + 1e-10).all()


def test_an_autocall_is_its_expectation(problem: Build) -> None:
    """Against a plain simulation of the contract's sentences."""
    normals = np.random.default_rng(5).standard_normal((1 << 18, 4))
    normals = np.concatenate([normals, -normals])
    steps = (0.04 - 0.02 - 0.045) * 0.25 + 0.3 * np.sqrt(0.25) * normals
    levels = np.exp(np.cumsum(steps, axis=1)) * 0.97
    total, alive, owed = np.zeros(len(levels)), np.ones(len(levels), dtype=bool), np.ones(len(levels))
    for k, (date, trigger) in enumerate(zip(NOTE.dates, NOTE.triggers, strict=True)):
        worst, paid = levels[:, k], np.exp(-0.04 * date)
        fed = alive & (worst >= NOTE.coupon_barrier)
        total += paid * NOTE.coupon * owed * fed
        owed = np.where(fed, 1.0, owed + 1.0)
        called = alive & (worst >= trigger)
        total += paid * called
        alive &= ~called
    total += np.exp(-0.04) * alive * np.where(levels[:, -1] < NOTE.knock_in, levels[:, -1], 1.0)
    value = reference(problem(process(), NOTE, 1.0), np.array([[97.0]]), order=0).value[0]
    error = 0.5 * (total[: 1 << 18] + total[1 << 18 :]).std() / np.sqrt(1 << 18)
    assert abs(value - total.mean()) < 4.0 * error


@pytest.mark.parametrize(
    "payoff",
    [
        NOTE,
        Barrier(strike=95.0, barrier=85.0, direction="down", knock="out", dates=(0.4, 0.8)),
        Bermudan(option=Put(weights=(1.0,), strike=STRIKE), dates=(0.3, 0.6, 1.0)),
    ],
    ids=lambda payoff: type(payoff).__name__,
)
def test_derivatives_are_slopes(
    payoff: Autocall | Barrier | Bermudan, problem: Build, bumped: Callable[..., tuple[Array, Array]]
) -> None:
    own = {Autocall: "coupon_barrier", Barrier: "barrier", Bermudan: "strike"}[type(payoff)]
    low, high = (0.6, 1.0) if own == "coupon_barrier" else (50.0, 150.0)
    case = problem(process(), payoff, 1.0, volatility=(0.1, 0.5), **{own: (low, high)})
    points = np.array([[97.0, 0.3, 0.8 if own == "coupon_barrier" else 90.0]])
    ours, (gradient, hessian) = reference(case, points), bumped(case, points, 1e-4)
    size = case.box.upper - case.box.lower
    assert np.allclose(ours.gradient * size, gradient * size, rtol=1e-5, atol=1e-5)
    assert np.allclose(ours.hessian * np.outer(size, size), hessian * np.outer(size, size), rtol=1e-4, atol=1e-3)


def test_a_bachelier_bermudan_without_carry_is_never_exercised_early(problem: Build) -> None:
    single = Bachelier(volatilities=(20.0,), correlation=((1.0,),))
    option = Call(weights=(1.0,), strike=STRIKE)
    early, late = (
        reference(problem(single, payoff, 1.0), SPOTS[:, None])
        for payoff in (Bermudan(option=option, dates=(0.5, 1.0)), option)
    )
    assert np.abs(early.value - late.value).max() < 1e-9
    assert np.abs(early.hessian - late.hessian).max() < 1e-9


def test_limits_are_finite(problem: Build, assert_finite: Callable[[Reference], None]) -> None:
    case = problem(process(), NOTE, 1.0, maturity=(0.0, 1.0), volatility=(0.0, 1.0))
    got = reference(case, np.array([[97.0, 0.0, 0.3], [120.0, 1.0, 0.0], [0.0, 1.0, 0.3]]))
    assert_finite(got)


def test_many_dates_are_differenced(problem: Build) -> None:
    """A barrier too far to matter, watched so often that the induction is not differentiated whole."""
    count = quadrature.DIFFERENTIATED_DATES + 1
    dates = tuple((k + 1) / count for k in range(count))
    far = Barrier(strike=STRIKE, barrier=20.0, direction="down", knock="out", dates=dates)
    plain = Call(weights=(1.0,), strike=STRIKE)
    x = np.array([[95.0, 0.25], [120.0, 0.25]])
    ours, exact = (reference(problem(process(), paid, 0.5, volatility=(0.1, 0.5)), x) for paid in (far, plain))
    assert np.allclose(ours.value, exact.value, rtol=1e-10)
    assert np.allclose(ours.gradient, exact.gradient, rtol=1e-4, atol=1e-8)
    assert np.allclose(ours.hessian, exact.hessian, rtol=1e-3, atol=1e-8)


def paying(*dividends: Dividend) -> BlackScholes:
    return BlackScholes(volatilities=(0.3,), correlation=((1.0,),), rate=0.04, dividends=dividends)


@pytest.mark.parametrize(
    ("kind", "strike", "amount"),
    [
        (Call, STRIKE, 5.0),
        (Put, STRIKE, 5.0),
        (Digital, STRIKE, 5.0),
        (Call, 5.0, 85.0),
        (Digital, 5.0, 85.0),
    ],
)
def test_a_dividend_in_cash_is_an_expectation_of_closed_forms(
    problem: Build, kind: type[Call] | type[Put] | type[Digital], strike: float, amount: float
) -> None:
    """Black's formula from the dividend on, by the trapezoidal rule over the spot before it."""
    payoff, when, share = kind(weights=(1.0,), strike=strike), 0.4, 0.02
    flow = paying(Dividend(time=when, amount=amount, proportion=share))
    ours = reference(problem(flow, payoff, 1.0), SPOTS[:, None])
    z = np.linspace(-9.0, 9.0, 4001)
    mass = np.exp(-0.5 * z * z) / np.exp(-0.5 * z * z).sum()
    after = problem(process(0.3, 0.04, 0.0), payoff, 1.0 - when)

    def value(spot: float) -> float:
        before = spot * np.exp((0.04 - 0.045) * when + 0.3 * math.sqrt(when) * z)
        left = np.maximum(before * (1.0 - share) - amount, 1e-8)
        return math.exp(-0.04 * when) * float(mass @ reference(after, left[:, None], order=0).value)

    exact = np.array([value(spot) for spot in SPOTS])
    slope = np.array([(value(spot + 0.01) - value(spot - 0.01)) / 0.02 for spot in SPOTS])
    assert ours.kind == "quadrature"
    assert ours.value == pytest.approx(exact, abs=1e-7)
    assert ours.gradient[:, 0] == pytest.approx(slope, abs=1e-6)


def test_dividends_in_proportion_are_events_or_in_the_forward_alike(problem: Build) -> None:
    """A dividend of next to nothing in cash makes events of all."""
    dividends = [Dividend(time=time, proportion=0.03) for time in (0.1, 0.5)]
    call = Call(weights=(1.0,), strike=STRIKE)
    closed = reference(problem(paying(*dividends), call, 1.0), SPOTS[:, None])
    solved = reference(problem(paying(*dividends, Dividend(time=0.9, amount=1e-12)), call, 1.0), SPOTS[:, None])
    assert (closed.kind, solved.kind) == ("closed form", "quadrature")
    assert solved.value == pytest.approx(closed.value, abs=1e-8)
    assert solved.hessian == pytest.approx(closed.hessian, abs=1e-8)


def test_a_note_on_an_asset_that_pays_in_cash_is_finite(problem: Build) -> None:
    """A dividend on the last date, one after it, and one that takes the whole asset."""
    dividends = (Dividend(time=0.5, amount=150.0), Dividend(time=1.0, amount=2.0), Dividend(time=1.5, amount=2.0))
    case = problem(paying(*dividends), NOTE, 1.0, maturity=(0.8, 1.6))
    got = reference(case, np.array([[100.0, 1.0], [100.0, 1.55], [1.0, 0.81]]))
    assert np.isfinite(got.hessian).all()
    assert (got.value < 0.6 * NOTE.notional).all()
