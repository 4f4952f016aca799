from __future__ import annotations

import csv
import math
from collections.abc import Callable
from itertools import groupby, product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import QuantLib
from scipy.stats import norm

from pricing.domain import Feature
from pricing.references.reference import Reference, reference
from pricing.specs.european import Call, Digital, Put, Side
from pricing.specs.payoff import Asian, Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.specs.schedule import Piece
from pricing.types import Array
from tests.pricing.cases import ONE, problem_of

Build = Callable[..., PricingProblem]
RATE, YIELD, VOLATILITY, STRIKE = 0.05, 0.02, 0.3, 100.0
YEARS = 219 / 365
SINGLE = BlackScholes(volatilities=(VOLATILITY,), correlation=((1.0,),), rate=RATE, dividend_yields=(YIELD,))
REFERENCE = Path(__file__).parents[2] / "reference"
HAUG = list(csv.DictReader((REFERENCE / "haug_barriers.csv").read_text().splitlines()))
MARGRABE = list(csv.DictReader((REFERENCE / "margrabe.csv").read_text().splitlines()))
SPOTS = np.array([60.0, 85.0, 100.0, 118.0, 150.0])
# Of spots, for engines that give values alone: central differences leave errors of some 1e-7.
BUMP = 0.02


def pair(rho: float, *, rate: float = RATE) -> BlackScholes:
    return BlackScholes(
        volatilities=(0.2, 0.35), correlation=((1.0, rho), (rho, 1.0)), rate=rate, dividend_yields=(0.01, YIELD)
    )


@pytest.mark.parametrize("kind", ["call", "put", "digital"])
def test_quantlib_agrees_on_one_asset(
    problem: Build, black_scholes: Callable[..., Any], exercise: Callable[[float], Any], kind: str
) -> None:
    payoffs: dict[str, Call | Put | Digital] = {
        "call": Call(weights=(1.0,), strike=STRIKE),
        "put": Put(weights=(1.0,), strike=STRIKE),
        "digital": Digital(weights=(1.0,), strike=STRIKE),
    }
    ours = reference(problem(SINGLE, payoffs[kind], YEARS), SPOTS[:, None])
    side = QuantLib.Option.Put if kind == "put" else QuantLib.Option.Call
    theirs = []
    for spot in SPOTS.tolist():
        paid = (
            QuantLib.CashOrNothingPayoff(side, STRIKE, 1.0)
            if kind == "digital"
            else QuantLib.PlainVanillaPayoff(side, STRIKE)
        )
        option = QuantLib.VanillaOption(paid, exercise(YEARS))
        option.setPricingEngine(QuantLib.AnalyticEuropeanEngine(black_scholes(spot, RATE, YIELD, VOLATILITY)))
        theirs.append((option.NPV(), option.delta(), option.gamma()))
    mine = np.stack([ours.value, ours.gradient[:, 0], ours.hessian[:, 0, 0]], axis=1)
    assert np.allclose(mine, theirs, rtol=1e-10, atol=1e-12)


def test_every_greek_is_the_slope_of_the_value(problem: Build, bumped: Callable[..., tuple[Array, Array]]) -> None:
    process = BlackScholes(
        volatilities=(VOLATILITY,),
        correlation=((1.0,),),
        rate=RATE,
        volatility_pieces=(Piece(start=0.4, value=1.3),),
        rate_pieces=(Piece(start=0.6, value=0.01),),
    )
    case = problem(
        process,
        Call(weights=(1.0,), strike=STRIKE),
        YEARS,
        strike=(50.0, 150.0),
        maturity=(0.1, 2.0),
        volatility=(0.1, 0.5),
        dividend_yield=(0.0, 0.1),
    )
    points = np.array([[105.0, 100.0, 1.3, 0.25, 0.03], [80.0, 90.0, 0.3, 0.4, 0.01]])
    ours, (gradient, hessian) = reference(case, points), bumped(case, points, 1e-4)
    size = case.box.upper - case.box.lower
    assert np.abs((ours.gradient - gradient) * size).max() < 2e-5
    assert np.abs((ours.hessian - hessian) * np.outer(size, size)).max() < 2e-3


@pytest.mark.parametrize(("weights", "strike"), [((0.6, 0.4), STRIKE), ((1.0, -1.0), 5.0), ((-0.5, 0.8), 30.0)])
@pytest.mark.parametrize("payoff", [Call, Put])
def test_two_assets_against_quantlib(
    problem: Build,
    black_scholes: Callable[..., Any],
    exercise: Callable[[float], Any],
    payoff: type[Call] | type[Put],
    weights: tuple[float, float],
    strike: float,
) -> None:
    """A basket or spread with a strike by quadrature of QuantLib's Choi engine, bumped for the Greeks."""
    case = problem(pair(0.4), payoff(weights=weights, strike=strike), YEARS)
    rho = QuantLib.Matrix(2, 2, 1.0)
    rho[0][1] = rho[1][0] = 0.4
    side = QuantLib.Option.Call if payoff is Call else QuantLib.Option.Put
    paid = QuantLib.AverageBasketPayoff(QuantLib.PlainVanillaPayoff(side, strike), QuantLib.Array(list(weights)))
    option = QuantLib.BasketOption(paid, exercise(YEARS))

    def theirs(first: float, second: float) -> float:
        processes = [black_scholes(first, RATE, 0.01, 0.2), black_scholes(second, RATE, YIELD, 0.35)]
        option.setPricingEngine(QuantLib.ChoiBasketEngine(processes, rho, 50.0))
        value: float = option.NPV()
        return value

    x, step = np.array([95.0, 110.0]), BUMP * np.eye(2)
    values = {(i, j): theirs(*(x + i * step[0] + j * step[1])) for i, j in product((-1, 0, 1), repeat=2)}
    ours = reference(case, x[None])
    assert ours.value[0] == pytest.approx(values[0, 0], rel=1e-8)
    delta = [values[1, 0] - values[-1, 0], values[0, 1] - values[0, -1]]
    assert ours.gradient[0] == pytest.approx(np.array(delta) / (2.0 * BUMP), abs=1e-6)
    cross = values[1, 1] - values[1, -1] - values[-1, 1] + values[-1, -1]
    assert ours.hessian[0, 0, 1] == pytest.approx(cross / (4.0 * BUMP**2), abs=1e-6)
    gamma = values[1, 0] - 2.0 * values[0, 0] + values[-1, 0]
    assert ours.hessian[0, 0, 0] == pytest.approx(gamma / BUMP**2, abs=1e-6)


def test_an_exchange_is_margrabes(problem: Build) -> None:
    rho, (first, second) = 0.6, (100.0, 95.0)
    deviation = math.sqrt((0.2**2 + 0.35**2 - 2.0 * rho * 0.2 * 0.35) * YEARS)
    mine, other = first * math.exp(-0.01 * YEARS), second * math.exp(-YIELD * YEARS)
    d = math.log(mine / other) / deviation + 0.5 * deviation
    case = problem(pair(rho), Call(weights=(1.0, -1.0), strike=0.0), YEARS)
    got = reference(case, np.array([[first, second]]))
    assert got.value[0] == pytest.approx(mine * norm.cdf(d) - other * norm.cdf(d - deviation), rel=1e-11)
    assert got.gradient[0, 0] == pytest.approx(math.exp(-0.01 * YEARS) * norm.cdf(d), rel=1e-11)


@pytest.mark.parametrize("payoff", [Call, Digital])
@pytest.mark.parametrize("held", [0, 1])
def test_an_asset_without_weight_changes_nothing(problem: Build, payoff: type[Call | Digital], held: int) -> None:
    weights, x = (1.0, 0.0) if held == 0 else (0.0, 1.0), np.full((1, 2), 97.0)
    whole, both = pair(-0.4), reference(problem(pair(-0.4), payoff(weights=weights, strike=STRIKE), 1.3), x)
    single = BlackScholes(
        volatilities=whole.volatilities[held : held + 1],
        correlation=((1.0,),),
        rate=RATE,
        dividend_yields=whole.dividend_yields[held : held + 1],
    )
    alone = reference(problem(single, payoff(weights=(1.0,), strike=STRIKE), 1.3), x[:, :1])
    np.testing.assert_allclose(both.value, alone.value, rtol=1e-12)
    np.testing.assert_allclose(both.gradient[:, held], alone.gradient[:, 0], rtol=1e-12)
    np.testing.assert_allclose(both.hessian[:, held, held], alone.hessian[:, 0, 0], rtol=1e-10)


@pytest.mark.parametrize("weights", [(0.5, 0.5), (1.0, -1.0), (-0.3, 0.8)])
def test_two_assets_have_parity_and_homogeneity(problem: Build, weights: tuple[float, float]) -> None:
    x = np.array([[100.0, 90.0, 30.0], [80.0, 120.0, -10.0], [100.0, 90.0, 0.0]])
    call, put = (
        reference(problem(pair(-0.3), payoff(weights=weights, strike=STRIKE), YEARS, strike=(-200.0, 200.0)), x)
        for payoff in (Call, Put)
    )
    forward = x[:, :2] * np.exp(-np.array([0.01, YIELD]) * YEARS) @ np.array(weights) - x[:, 2] * np.exp(-RATE * YEARS)
    assert np.abs(call.value - put.value - forward).max() < 1e-11
    assert np.abs((call.gradient * x).sum(axis=1) - call.value).max() < 1e-10
    assert np.abs(np.einsum("nij,nj->ni", call.hessian, x)).max() < 1e-9


def test_a_geometric_average_against_quantlib(
    problem: Build, black_scholes: Callable[..., Any], exercise: Callable[[float], Any]
) -> None:
    days = (73, 146, 219)
    process = black_scholes(100.0, RATE, YIELD, VOLATILITY)
    today = QuantLib.Settings.instance().evaluationDate
    option = QuantLib.DiscreteAveragingAsianOption(
        QuantLib.Average.Geometric,
        1.0,
        0,
        [today + day for day in days],
        QuantLib.PlainVanillaPayoff(QuantLib.Option.Call, STRIKE),
        exercise(YEARS),
    )
    option.setPricingEngine(QuantLib.AnalyticDiscreteGeometricAveragePriceAsianEngine(process))
    payoff = Asian(weights=(1.0,), strike=STRIKE, dates=tuple(day / 219 for day in days), average="geometric")
    got = reference(problem(SINGLE, payoff, YEARS), np.array([[100.0]]))
    assert got.value[0] == pytest.approx(option.NPV(), rel=1e-10)
    assert got.gradient[0, 0] == pytest.approx(option.delta(), rel=1e-10)
    assert got.hessian[0, 0, 0] == pytest.approx(option.gamma(), rel=1e-10)


@pytest.mark.parametrize(("direction", "knock", "side"), list(product(("down", "up"), ("in", "out"), ("call", "put"))))
@pytest.mark.parametrize("moved", [0.9, 1.15])
def test_all_eight_barriers_against_quantlib(
    problem: Build,
    black_scholes: Callable[..., Any],
    exercise: Callable[[float], Any],
    direction: str,
    knock: str,
    side: str,
    moved: float,
) -> None:
    spot, level = 100.0, 92.0 if direction == "down" else 109.0
    payoff = Barrier(strike=100.0 * moved, barrier=level, direction=direction, knock=knock, side=side)  # type: ignore[arg-type]
    kind = getattr(QuantLib.Barrier, f"{direction.capitalize()}{knock.capitalize()}")
    option = QuantLib.BarrierOption(
        kind,
        level,
        0.0,
        QuantLib.PlainVanillaPayoff(QuantLib.Option.Call if side == "call" else QuantLib.Option.Put, 100.0 * moved),
        exercise(YEARS),
    )

    def theirs(at: float) -> float:
        option.setPricingEngine(QuantLib.AnalyticBarrierEngine(black_scholes(at, RATE, YIELD, VOLATILITY)))
        value: float = option.NPV()
        return value

    low, middle, high = (theirs(spot + step) for step in (-BUMP, 0.0, BUMP))
    ours = reference(problem(SINGLE, payoff, YEARS), np.array([[spot]]))
    assert ours.value[0] == pytest.approx(middle, rel=1e-9, abs=1e-10)
    assert ours.gradient[0, 0] == pytest.approx((high - low) / (2.0 * BUMP), abs=1e-6)
    assert ours.hessian[0, 0, 0] == pytest.approx((high - 2.0 * middle + low) / BUMP**2, abs=1e-6)


@pytest.mark.parametrize("dates", [(), (0.3, 0.7), (0.5, 1.0)])
@pytest.mark.parametrize(("direction", "side"), list(product(("down", "up"), ("call", "put"))))
def test_in_and_out_make_the_vanilla(problem: Build, dates: tuple[float, ...], direction: str, side: str) -> None:
    parts = [
        reference(
            problem(
                SINGLE,
                Barrier(strike=STRIKE, barrier=95.0, direction=direction, knock=knock, side=side, dates=dates),  # type: ignore[arg-type]
                YEARS,
            ),
            SPOTS[:, None],
        )
        for knock in ("in", "out")
    ]
    plain = (Call if side == "call" else Put)(weights=(1.0,), strike=STRIKE)
    whole = reference(problem(SINGLE, plain, YEARS), SPOTS[:, None])
    for name in ("value", "gradient", "hessian"):
        assert np.abs(sum(getattr(part, name) for part in parts) - getattr(whole, name)).max() < 1e-10


PAYOFFS = (
    Call(weights=(1.0,), strike=STRIKE),
    Put(weights=(1.0,), strike=STRIKE),
    Digital(weights=(1.0,), strike=STRIKE, side="put"),
    Asian(weights=(1.0,), strike=STRIKE, dates=(0.5, 1.0), average="geometric"),
    Barrier(strike=STRIKE, barrier=80.0, direction="down", knock="out"),
    Barrier(strike=STRIKE, barrier=80.0, direction="down", knock="in", side="put"),
    Barrier(strike=STRIKE, barrier=130.0, direction="up", knock="out"),
)


@pytest.mark.parametrize("payoff", PAYOFFS, ids=lambda payoff: type(payoff).__name__)
def test_expiry_and_certainty_are_finite(
    payoff: Call, problem: Build, assert_finite: Callable[[Reference], None]
) -> None:
    case = problem(SINGLE, payoff, YEARS, maturity=(0.0, 1.0), volatility=(0.0, 1.0))
    x = np.array([[90.0, 0.0, 0.3], [110.0, 0.5, 0.0], [110.0, 0.0, 0.0], [0.0, 0.5, 0.3], [110.0, 1e-6, 1e-4]])
    got = reference(case, x)
    assert_finite(got)


def test_certain_pairs_are_finite(assert_finite: Callable[[Reference], None]) -> None:
    case = PricingProblem(
        process=pair(0.5),
        payoff=Call(weights=(1.0, 1.0), strike=STRIKE),
        maturity=1.0,
        features=(
            Feature(name="spot", lower=(0.0, 0.0), upper=(200.0, 200.0)),
            Feature(name="maturity", lower=(0.0,), upper=(1.0,)),
            Feature(name="volatility", lower=(0.0, 0.0), upper=(1.0, 1.0)),
            Feature(name="correlation", lower=(-0.5,), upper=(1.0,)),
        ),
    )
    x = np.array([[90.0, 50.0, 0.0, 0.2, 0.2, 0.3], [0.0, 0.0, 1.0, 0.2, 0.2, 0.3], [90.0, 50.0, 1.0, 0.0, 0.0, 1.0]])
    got = reference(case, x)
    assert_finite(got)
    assert got.value[0] == pytest.approx(40.0, abs=1e-9)


def rebate_group(row: dict[str, str]) -> tuple[str, ...]:
    return tuple(row[name] for name in ("knock", "direction", "barrier", "volatility"))


@pytest.mark.parametrize("group", [list(rows) for _, rows in groupby(sorted(HAUG, key=rebate_group), key=rebate_group)])
def test_published_barriers(problem: Build, group: list[dict[str, str]]) -> None:
    """The table has a rebate, which is worth the same for all strikes, calls and puts; at the barrier 0 or all."""
    rebates = []
    for row in group:
        flow = BlackScholes(
            volatilities=(float(row["volatility"]),), correlation=((1.0,),), rate=0.08, dividend_yields=(0.04,)
        )
        payoff = Barrier(
            strike=float(row["strike"]),
            barrier=float(row["barrier"]),
            direction=row["direction"],  # type: ignore[arg-type]
            knock=row["knock"],  # type: ignore[arg-type]
            side=row["side"],  # type: ignore[arg-type]
        )
        rebates.append(
            float(row["value"]) - reference(problem(flow, payoff, 0.5), np.array([[100.0]]), order=0).value[0]
        )
    assert len(group) == 6
    if float(group[0]["barrier"]) == 100.0:
        assert rebates == pytest.approx([3.0 if group[0]["knock"] == "out" else 0.0] * 6, abs=6e-5)
    assert max(rebates) - min(rebates) < 2.0 * float(group[0]["tolerance"])
    assert 0.0 < max(rebates) < 3.0001


@pytest.mark.parametrize("row", MARGRABE, ids=lambda row: " ".join(list(row.values())[:4]))
def test_published_exchanges(problem: Build, row: dict[str, str]) -> None:
    number = {name: float(row[name]) for name in row if name != "source"}
    rho = number["correlation"]
    flow = BlackScholes(
        volatilities=(number["volatility_1"], number["volatility_2"]),
        correlation=((1.0, rho), (rho, 1.0)),
        rate=0.1,
        dividend_yields=(0.06, 0.04),
    )
    case = problem(flow, Call(weights=(1.0, -1.0), strike=0.0), number["maturity"])
    got = reference(case, np.array([[22.0, 20.0]]))
    assert got.value[0] == pytest.approx(number["value"], abs=number["tolerance"])
    assert got.gradient[0] == pytest.approx([number["delta_1"], number["delta_2"]], abs=number["tolerance"])
    assert got.hessian[0].diagonal() == pytest.approx([number["gamma_1"], number["gamma_2"]], abs=number["tolerance"])


@pytest.mark.parametrize("knock", ["in", "out"])
@pytest.mark.parametrize("side", ["call", "put"])
@pytest.mark.parametrize("direction", ["up", "down"])
def test_gammas_of_a_barrier_are_the_slopes_of_its_deltas_at_every_spot(
    direction: Literal["up", "down"], side: Side, knock: Literal["in", "out"]
) -> None:
    level = 130.0 if direction == "up" else 80.0
    payoff = Barrier(strike=100.0, barrier=level, direction=direction, side=side, knock=knock)
    process = BlackScholes(volatilities=(0.25,), correlation=ONE, rate=0.03, dividend_yields=(0.02,))
    problem = problem_of(process, payoff, maturity=0.5, spots=(60.0, 160.0))
    low, high = (60.0, 129.0) if direction == "up" else (81.0, 160.0)
    x, step = np.linspace(low, high, 700)[:, None], 1e-4
    before, after = (reference(problem, x + move, order=1).gradient for move in (-step, step))
    slopes, gammas = (after - before)[:, 0] / (2.0 * step), reference(problem, x).hessian[:, 0, 0]
    assert np.abs(gammas - slopes).max() < 1e-6 * np.abs(gammas).max() + 1e-9
