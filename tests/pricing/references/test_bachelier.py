from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import QuantLib

from pricing.domain import Feature
from pricing.references.bachelier_greeks import greeks
from pricing.references.reference import reference
from pricing.specs.european import Call, Put
from pricing.specs.payoff import Asian, Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.specs.schedule import Piece
from pricing.types import Array

Build = Callable[..., PricingProblem]
SINGLE = Bachelier(volatilities=(20.0,), correlation=((1.0,),))


def test_the_basket_is_the_one_of_the_written_out_greeks(long_short: PricingProblem) -> None:
    features = long_short.box.from_uniforms(np.random.default_rng(1).random((16, long_short.box.dimension)))
    ours, theirs = reference(long_short, features), greeks(long_short, features)
    assert ours.kind == "closed form"
    assert np.allclose(ours.value, theirs.value, rtol=1e-10, atol=1e-12)
    assert np.allclose(ours.gradient, theirs.delta, rtol=1e-10, atol=1e-12)
    assert np.allclose(ours.hessian, theirs.gamma, rtol=1e-9, atol=1e-12)


def test_every_parameter_has_its_written_out_greek() -> None:
    process = Bachelier(
        volatilities=(20.0, 30.0),
        correlation=((1.0, 0.3), (0.3, 1.0)),
        convention="carry",
        rate=0.04,
        dividend_yields=(0.01, 0.02),
    )
    names = {"volatility": 2, "maturity": 1, "rate": 1, "dividend_yield": 2, "strike": 1, "correlation": 1}
    features = (
        Feature(name="spot", lower=(50.0, 50.0), upper=(150.0, 150.0)),
        *(
            Feature(name=name, lower=(0.0,) * size, upper=(50.0 if name == "volatility" else 1.0,) * size)
            for name, size in names.items()
            if name != "strike"
        ),
        Feature(name="strike", lower=(0.0,), upper=(200.0,)),
    )
    full = PricingProblem(
        process=process, payoff=Call(weights=(0.5, 0.6), strike=105.0), maturity=0.7, features=features
    )
    point = np.array([[95.0, 105.0, 20.0, 30.0, 0.7, 0.04, 0.01, 0.02, 0.3, 105.0]])
    spots = PricingProblem(process=process, payoff=full.payoff, maturity=0.7, features=features[:1])
    ours, theirs = reference(full, point).gradient[0], greeks(spots, point[:, :2])
    rest = (theirs.vega, -theirs.theta[:, None], theirs.rho[:, None], theirs.dividend)
    expected = np.hstack([theirs.delta, *rest, theirs.correlation[:, 0, 1:], theirs.strike[:, None]])
    assert np.allclose(ours, expected[0], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("payoff", "kind"), [(Call, QuantLib.Option.Call), (Put, QuantLib.Option.Put)])
def test_quantlib_agrees(problem: Build, payoff: type[Call] | type[Put], kind: int) -> None:
    case = problem(SINGLE, payoff(weights=(1.0,), strike=100.0), 0.5)
    value = reference(case, np.array([[93.0]]), order=0).value[0]
    assert value == pytest.approx(QuantLib.bachelierBlackFormula(kind, 100.0, 93.0, 20.0 * np.sqrt(0.5)), rel=1e-12)


def test_pieces_of_rate_and_volatility_are_integrated(problem: Build) -> None:
    """Against the variance by a fine Riemann sum."""
    process = Bachelier(
        volatilities=(20.0,),
        correlation=((1.0,),),
        convention="carry",
        rate=0.05,
        rate_pieces=(Piece(start=0.4, value=-0.02),),
        volatility_pieces=(Piece(start=0.7, value=1.5),),
    )
    case = problem(process, Call(weights=(1.0,), strike=100.0), 1.0)
    t = (np.arange(400_000) + 0.5) / 400_000
    rate, scale = np.where(t < 0.4, 0.05, -0.02), np.where(t < 0.7, 1.0, 1.5)
    ahead = rate.mean() - np.cumsum(rate) / len(t)
    deviation = 20.0 * np.sqrt(np.mean((scale * np.exp(ahead)) ** 2))
    expected = QuantLib.bachelierBlackFormula(
        QuantLib.Option.Call, 100.0, 100.0 * np.exp(rate.mean()), deviation, np.exp(-rate.mean())
    )
    assert reference(case, np.array([[100.0]]), order=0).value[0] == pytest.approx(expected, rel=1e-6)


def test_an_average_is_a_basket_over_time(problem: Build) -> None:
    """Driftless: variance of the mean of S at n equal dates is sigma^2 T (n + 1) (2 n + 1) / (6 n^2)."""
    payoff = Asian(weights=(1.0,), strike=100.0, dates=(0.25, 0.5, 0.75, 1.0))
    value = reference(problem(SINGLE, payoff, 2.0), np.array([[95.0]]), order=0).value[0]
    deviation = 20.0 * np.sqrt(2.0 * 5.0 * 9.0 / 96.0)
    assert value == pytest.approx(
        QuantLib.bachelierBlackFormula(QuantLib.Option.Call, 100.0, 95.0, deviation), rel=1e-12
    )


@pytest.mark.parametrize("side", ["call", "put"])
@pytest.mark.parametrize(("direction", "level"), [("down", 80.0), ("down", 95.0), ("up", 120.0), ("up", 105.0)])
def test_continuous_barriers_are_the_limit_of_discrete_ones(
    problem: Build, side: str, direction: str, level: float
) -> None:
    """A discrete barrier is a continuous one 0.5826 deviations of a step further (Broadie, Glasserman & Kou 1997)."""
    count = 32
    shift = 0.5826 * 20.0 * np.sqrt(1.0 / count) * (1.0 if direction == "down" else -1.0)
    spots = np.array([[100.0]])

    def value(**parts: object) -> Array:
        payoff = Barrier(strike=100.0, direction=direction, side=side, knock="out", **parts)  # type: ignore[arg-type]
        return reference(problem(SINGLE, payoff, 1.0), spots, order=0).value

    dates = tuple((k + 1) / count for k in range(count))
    assert value(barrier=level) == pytest.approx(value(barrier=level + shift, dates=dates), abs=0.05)
