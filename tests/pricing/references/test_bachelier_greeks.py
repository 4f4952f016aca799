from __future__ import annotations

import csv
import math
from dataclasses import fields
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.references.bachelier_greeks import Greeks, greeks
from pricing.specs.european import Call, Put
from pricing.specs.payoff import Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.types import Array

REFERENCE = Path(__file__).parents[2] / "reference"
FORWARD = list(csv.DictReader((REFERENCE / "bachelier_forward.csv").read_text().splitlines()))
LONG_SHORT = list(csv.DictReader((REFERENCE / "long_short_greeks.csv").read_text().splitlines()))
# Steps of central differences: their error is about step^2 of a third derivative plus 1e-16 / step of rounding.
STEP = 1e-5


def on_one_asset(payoff: Payoff, deviation: float, maturity: float = 1.0) -> PricingProblem:
    return PricingProblem(
        process=Bachelier(volatilities=(deviation,), correlation=((1.0,),)),
        payoff=payoff,
        maturity=maturity,
        features=(Feature(name="spot", lower=(0.5,), upper=(1.5,)),),
    )


def mirrored(problem: PricingProblem) -> PricingProblem:
    """The call for the put and the other way round."""
    assert isinstance(problem.payoff, Call | Put)
    other = Put if isinstance(problem.payoff, Call) else Call
    payoff = other(weights=problem.payoff.weights, strike=problem.payoff.strike)
    return msgspec.structs.replace(problem, payoff=payoff)


def points(problem: PricingProblem) -> Array:
    return problem.box.from_uniforms(np.random.default_rng(3).random((64, problem.box.dimension)))


def moved(problem: PricingProblem, change: float, **where: int | tuple[int, int]) -> PricingProblem:
    """The problem with one parameter of its process moved."""
    process = problem.process
    ((name, index),) = where.items()
    field = np.array(getattr(process, name), dtype=float)
    field[index] += change
    if name == "correlation":
        field[index[::-1]] = field[index]  # type: ignore[index]
    plain = tuple(map(tuple, field.tolist())) if field.ndim == 2 else tuple(field.tolist())
    return msgspec.structs.replace(problem, process=msgspec.structs.replace(process, **{name: plain}))


@pytest.mark.parametrize("row", FORWARD, ids=lambda row: f"{row['side']} F={row['forward']} s={row['deviation']}")
def test_forward_rows(row: dict[str, str]) -> None:
    kind = Call if row["side"] == "call" else Put
    problem = on_one_asset(kind(weights=(1.0,), strike=float(row["strike"])), float(row["deviation"]))
    result, discount = greeks(problem, np.array([[float(row["forward"])]])), float(row["discount"])
    for name in ("value", "delta", "strike_curvature"):
        computed = discount * getattr(result, name).item()
        assert computed == pytest.approx(float(row[name]), rel=float(row["rtol"]), abs=0.0)


@pytest.mark.parametrize("row", LONG_SHORT, ids=lambda row: f"{row['quantity']} {row['index']}")
def test_long_short_rows(row: dict[str, str], long_short: PricingProblem) -> None:
    result = getattr(greeks(long_short, np.array([[100.0, 90.0, 95.0]])), row["quantity"])[0]
    for index in row["index"].split():
        result = result[int(index)]
    assert float(result) == pytest.approx(float(row["value"]), rel=float(row["rtol"]))


@pytest.fixture(params=["seven", "long_short", "single"])
def problem(request: pytest.FixtureRequest) -> PricingProblem:
    value: PricingProblem = request.getfixturevalue(request.param)
    return value


def test_matrices_are_symmetric(problem: PricingProblem) -> None:
    result = greeks(problem, points(problem))
    for matrix in (result.gamma, result.correlation):
        np.testing.assert_array_equal(matrix, matrix.transpose(0, 2, 1))
    assert (np.diagonal(result.correlation, axis1=1, axis2=2) == 0.0).all()


def test_delta_and_gamma_are_derivatives_of_value_and_delta(problem: PricingProblem) -> None:
    x = points(problem)
    exact, step = greeks(problem, x), STEP * float(np.mean(problem.box.upper - problem.box.lower))
    for i in range(problem.process.assets):
        bump = step * np.eye(problem.process.assets)[i]
        up, down = greeks(problem, x + bump), greeks(problem, x - bump)
        slope = (up.value - down.value) / (2 * step)
        np.testing.assert_allclose(exact.delta[:, i], slope, atol=1e-8)
        np.testing.assert_allclose(exact.gamma[:, i], (up.delta - down.delta) / (2 * step), atol=1e-7)


def test_parameter_greeks_are_derivatives(problem: PricingProblem) -> None:
    x, exact = points(problem), greeks(problem, points(problem))

    def slope(up: PricingProblem, down: PricingProblem) -> Array:
        return np.asarray((greeks(up, x).value - greeks(down, x).value) / (2 * STEP))

    T, scale = problem.maturity, float(np.abs(exact.value).max())
    longer, shorter = (msgspec.structs.replace(problem, maturity=T + h) for h in (STEP, -STEP))
    np.testing.assert_allclose(exact.theta, -slope(longer, shorter), atol=1e-7 * scale)
    for i in range(problem.process.assets):
        vega = slope(moved(problem, STEP, volatilities=i), moved(problem, -STEP, volatilities=i))
        np.testing.assert_allclose(exact.vega[:, i], vega, atol=1e-7 * scale)
        for j in range(i):
            up, down = (moved(problem, h, correlation=(i, j)) for h in (STEP, -STEP))
            np.testing.assert_allclose(exact.correlation[:, i, j], slope(up, down), atol=1e-7 * scale)


def test_partial_differential_equation(problem: PricingProblem) -> None:
    """dV/dT = 1/2 sum sigma_i sigma_j rho_ij gamma_ij + sum b_i S_i delta_i - r V."""
    x, process = points(problem), problem.process
    assert isinstance(process, Bachelier)
    result, sigma = greeks(problem, x), np.array(process.volatilities)
    diffusion = 0.5 * (result.gamma * np.outer(sigma, sigma) * np.array(process.correlation)).sum(axis=(1, 2))
    b = process.rate - np.array(process.dividend_yields or (0.0,) * process.assets)
    residual = diffusion + (b * x * result.delta).sum(axis=1) - process.rate * result.value + result.theta
    np.testing.assert_allclose(residual, 0.0, atol=1e-13 * np.abs(result.value).max())


def test_parity_of_every_greek(problem: PricingProblem) -> None:
    """C - P = D (F - K), so gammas, vegas and correlation sensitivities agree and deltas differ by D g w."""
    x, process, T = points(problem), problem.process, problem.maturity
    call, put = greeks(problem, x), greeks(mirrored(problem), x)
    assert isinstance(problem.payoff, Call | Put)
    if isinstance(problem.payoff, Put):
        call, put = put, call
    b = process.rate - np.array(process.dividend_yields or (0.0,) * process.assets)
    gw, D = np.exp(b * T) * np.array(problem.payoff.weights), math.exp(-process.rate * T)
    np.testing.assert_allclose(call.value - put.value, D * (x @ gw - problem.payoff.strike), atol=1e-12)
    np.testing.assert_allclose(call.delta - put.delta, np.broadcast_to(D * gw, x.shape), atol=1e-14)
    np.testing.assert_allclose(call.strike - put.strike, -D, atol=1e-14)
    np.testing.assert_allclose(call.moneyness, put.moneyness, rtol=0)
    for name in ("gamma", "strike_curvature", "vega", "correlation"):
        np.testing.assert_allclose(getattr(call, name), getattr(put, name), rtol=1e-12)


def test_forward_convention_is_carry_at_rate_zero(seven: PricingProblem) -> None:
    carry = msgspec.structs.replace(seven, process=msgspec.structs.replace(seven.process, convention="carry"))
    one, other = greeks(seven, points(seven)), greeks(carry, points(seven))
    for field in fields(Greeks):
        if field.name not in ("rho", "dividend"):
            np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))
    assert (one.rho == 0.0).all()
    assert (one.dividend == 0.0).all()
    # At r = 0, T = 1 the forwards, the discount and the variance move: rho = S . delta - V + s^2 / 2 gamma.
    expected = (points(seven) * other.delta).sum(axis=1) - other.value + 0.5 * 0.2**2 * other.strike_curvature
    np.testing.assert_allclose(other.rho, expected, atol=1e-13)


@pytest.mark.parametrize(("deviation", "maturity"), [(0.2, 0.0), (0.0, 1.0), (1e-14, 1.0)])
@pytest.mark.parametrize("kind", [Call, Put])
def test_degenerate_limit_is_the_intrinsic_value(kind: type[Call | Put], deviation: float, maturity: float) -> None:
    payoff, x = kind(weights=(2.0,), strike=2.2), np.array([[0.9], [1.1], [1.3]])
    result = greeks(on_one_asset(payoff, deviation, maturity), x)
    sign = 1.0 if kind is Call else -1.0
    m = sign * (2.0 * x[:, 0] - 2.2)
    assert result.degenerate.all()
    np.testing.assert_array_equal(result.value, np.maximum(m, 0.0))
    np.testing.assert_array_equal(result.delta[:, 0], np.where(m > 0.0, sign * 2.0, 0.0))
    for name in ("gamma", "strike_curvature", "vega", "theta", "correlation"):
        assert (getattr(result, name) == 0.0).all(), name


def test_short_maturity_tends_to_the_degenerate_limit() -> None:
    payoff, x = Call(weights=(1.0,), strike=1.0), np.array([[0.9], [1.1]])
    limit = greeks(on_one_asset(payoff, 0.2, 0.0), x)
    near = greeks(on_one_asset(payoff, 0.2, 1e-8), x)
    assert limit.degenerate.all()
    assert not near.degenerate.any()
    for name in ("value", "delta", "gamma", "vega", "theta"):
        np.testing.assert_allclose(getattr(near, name), getattr(limit, name), atol=1e-12)


def test_far_from_the_money_is_finite_and_never_negative() -> None:
    x = np.concatenate([-np.logspace(12, -3, 40), np.logspace(-3, 12, 40)])[:, None]
    for kind in (Call, Put):
        result = greeks(on_one_asset(kind(weights=(1.0,), strike=0.0), 0.1), x)
        for field in fields(Greeks):
            assert np.isfinite(getattr(result, field.name)).all(), field.name
        assert (result.value >= 0.0).all()
        assert (result.gamma >= 0.0).all()


@given(
    spot=st.floats(-2.0, 3.0),
    strikes=st.tuples(*[st.floats(-1.0, 3.0).map(lambda strike: 0.0 if abs(strike) < 1e-30 else strike)] * 3),
    deviation=st.floats(1e-3, 2.0),
    maturity=st.floats(1e-3, 5.0),
)
def test_monotone_convex_and_bounded_in_strike(
    spot: float, strikes: tuple[float, float, float], deviation: float, maturity: float
) -> None:
    low, middle, high = sorted(strikes)

    def value(strike: float) -> float:
        problem = on_one_asset(Call(weights=(1.0,), strike=strike), deviation, maturity)
        return float(greeks(problem, np.array([[spot]])).value.item())

    v = [value(strike) for strike in (low, middle, high)]
    rounding = 1e-14 * (1.0 + abs(spot) + deviation * math.sqrt(maturity))
    assert v[0] + rounding >= v[1] >= v[2] - rounding
    assert v[1] * (high - low) <= v[0] * (high - middle) + v[2] * (middle - low) + rounding * (high - low + 1.0)
    assert v[1] >= max(spot - middle, 0.0) - rounding


def test_width_of_features(seven: PricingProblem) -> None:
    with pytest.raises(InvalidSpec, match=r"\(samples, 7\), got \(2, 6\)"):
        greeks(seven, np.zeros((2, 6)))
