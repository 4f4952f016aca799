"""Every example's product against the QuantLib engine that prices it, or the reason why none does.

A day is 1 / 360 of a year, so that every date of the examples is a whole day.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import QuantLib
from msgspec.structs import replace

from pricing.references.reference import reference
from pricing.specs.base import load
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.payoff import Asian, Barrier, Bermudan
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton
from pricing.specs.schedule import Dividend
from pricing.types import Array

EXAMPLES = {path.stem: path for path in sorted((Path(__file__).parents[3] / "examples").glob("*.toml"))}
TODAY, DAY_COUNT, YEAR = QuantLib.Date(2, 1, 2026), QuantLib.Actual360(), 360
# Where in the range of the spots.
SHARES = (0.3, 0.5, 0.7)


Build = Callable[..., PricingProblem]
Numbers = tuple[float, ...]


def spots_alone(name: str) -> PricingProblem:
    """The example's problem with its other features at the values of the specification."""
    problem = load(PricingProblem, tomllib.loads(EXAMPLES[name].read_text())["problem"])
    return replace(problem, features=tuple(feature for feature in problem.features if feature.name == "spot"))


def day(years: float) -> Any:
    return TODAY + round(years * YEAR)


def exercise(problem: PricingProblem) -> Any:
    return QuantLib.EuropeanExercise(day(problem.maturity))


def side(payoff: Any) -> Any:
    put = isinstance(payoff, Put) or getattr(payoff, "side", "call") == "put"
    return QuantLib.Option.Put if put else QuantLib.Option.Call


def vanilla(payoff: Any, unit: float = 1.0) -> Any:
    return QuantLib.PlainVanillaPayoff(side(payoff), payoff.strike * unit)


def curve(rates: list[tuple[float, float]], end: float, jump: float = 1.0) -> Any:
    """Discount factors of rates that hold from their starts on, times a jump at the end."""
    starts = [start for start, _ in rates] + [end]
    steps = [rate * (later - start) for (start, rate), later in zip(rates, starts[1:], strict=True)]
    factors = np.exp(-np.concatenate([[0.0], np.cumsum(steps)]))
    factors[-1] *= jump
    dates = [day(start) for start in starts]
    return QuantLib.YieldTermStructureHandle(QuantLib.DiscountCurve(dates, factors.tolist(), DAY_COUNT))


def quote(spot: float) -> Any:
    return QuantLib.QuoteHandle(QuantLib.SimpleQuote(spot))


def carries(problem: PricingProblem, asset: int = 0) -> tuple[Any, Any]:
    """Curves of dividends, those in proportion as a yield, and of rates."""
    process = problem.process
    rates = [(0.0, process.rate), *((piece.start, piece.value) for piece in process.rate_pieces)]
    yields = process.dividend_yields or (0.0,) * process.assets
    kept = np.prod([1.0 - dividend.proportion for dividend in getattr(process, "dividends", ())])
    end = problem.maturity
    return curve([(0.0, yields[asset])], end, float(kept)), curve(rates, end)


def flow(problem: PricingProblem, spot: float, asset: int = 0) -> Any:
    """QuantLib's process of one Black-Scholes asset."""
    process = problem.process
    assert isinstance(process, BlackScholes)
    starts = np.array([0.0, *(piece.start for piece in process.volatility_pieces), problem.maturity])
    scales = np.array([1.0, *(piece.value for piece in process.volatility_pieces)])
    variances = np.cumsum((process.volatilities[asset] * scales) ** 2 * np.diff(starts))
    surface = QuantLib.BlackVarianceCurve(
        TODAY, [day(start) for start in starts[1:]], np.sqrt(variances / starts[1:]).tolist(), DAY_COUNT, False
    )
    return QuantLib.BlackScholesMertonProcess(
        quote(spot), *carries(problem, asset), QuantLib.BlackVolTermStructureHandle(surface)
    )


def flows(problem: PricingProblem, spots: Array) -> tuple[list[Any], Any]:
    """QuantLib's processes of all assets, and their correlation."""
    rho = QuantLib.Matrix(len(spots), len(spots))
    for i, row in enumerate(problem.process.correlation):
        for j, number in enumerate(row):
            rho[i][j] = number
    return [flow(problem, float(spot), i) for i, spot in enumerate(spots)], rho


def greeks(option: Any, engine: Any) -> Numbers:
    option.setPricingEngine(engine)
    return option.NPV(), option.delta(), option.gamma()


def value(option: Any, engine: Any, unit: float = 1.0) -> Numbers:
    option.setPricingEngine(engine)
    return (option.NPV() / unit,)


def european(problem: PricingProblem, spots: Array) -> Numbers:
    payoff = problem.payoff
    assert isinstance(payoff, Call | Put | Digital)
    paid = vanilla(payoff)
    if isinstance(payoff, Digital):
        paid = QuantLib.CashOrNothingPayoff(side(payoff), payoff.strike, payoff.cash)
    option = QuantLib.VanillaOption(paid, exercise(problem))
    return greeks(option, QuantLib.AnalyticEuropeanEngine(flow(problem, float(spots[0]))))


def asian(problem: PricingProblem, spots: Array) -> Numbers:
    """QuantLib's closed form, or Choi's quadrature over all directions but one, whose sums end at its parameter."""
    payoff, process = problem.payoff, flow(problem, float(spots[0]))
    assert isinstance(payoff, Asian)
    geometric = payoff.average == "geometric"
    option = QuantLib.DiscreteAveragingAsianOption(
        QuantLib.Average.Geometric if geometric else QuantLib.Average.Arithmetic,
        1.0 if geometric else 0.0,
        0,
        [day(share * problem.maturity) for share in payoff.dates],
        vanilla(payoff),
        exercise(problem),
    )
    if geometric:
        return greeks(option, QuantLib.AnalyticDiscreteGeometricAveragePriceAsianEngine(process))
    return value(option, QuantLib.ChoiAsianEngine(process, 10.0, 1 << 14))


def basket(problem: PricingProblem, spots: Array) -> Numbers:
    """Choi's quadrature on a pair of assets, Sobol points on more."""
    payoff, (processes, rho) = problem.payoff, flows(problem, spots)
    assert isinstance(payoff, Call | Put)
    paid = QuantLib.AverageBasketPayoff(vanilla(payoff), QuantLib.Array(list(payoff.weights)))
    option = QuantLib.BasketOption(paid, exercise(problem))
    if len(spots) == 2:
        return value(option, QuantLib.ChoiBasketEngine(processes, rho, 30.0))
    return value(option, sobol(processes, rho))


def sobol(processes: list[Any], rho: Any) -> Any:
    array = QuantLib.StochasticProcessArray(processes, rho)
    return QuantLib.MCLDEuropeanBasketEngine(array, timeSteps=1, requiredSamples=(1 << 15) - 1)


def ranked(problem: PricingProblem, spots: Array) -> Numbers:
    """Stulz's formula for a pair of assets, Sobol points for more."""
    payoff, (processes, rho) = problem.payoff, flows(problem, spots)
    assert isinstance(payoff, WorstOf | BestOf)
    unit = payoff.initial[0]
    assert set(payoff.initial) == {unit}
    kind = QuantLib.MinBasketPayoff if isinstance(payoff, WorstOf) else QuantLib.MaxBasketPayoff
    option = QuantLib.BasketOption(kind(vanilla(payoff, unit)), exercise(problem))
    if len(spots) == 2:
        return value(option, QuantLib.StulzEngine(*processes, rho[0][1]), unit)
    return value(option, sobol(processes, rho), unit)


def barrier(problem: PricingProblem, spots: Array) -> Numbers:
    """Finite differences; with dates, Sobol paths that look at the barrier at their steps alone."""
    payoff, process = problem.payoff, flow(problem, float(spots[0]))
    assert isinstance(payoff, Barrier)
    kind = getattr(QuantLib.Barrier, f"{payoff.direction.capitalize()}{payoff.knock.capitalize()}")
    option = QuantLib.BarrierOption(kind, payoff.barrier, 0.0, vanilla(payoff), exercise(problem))
    if not payoff.dates:
        return greeks(option, QuantLib.FdBlackScholesBarrierEngine(process, 400, 1600))
    engine = QuantLib.MCLDBarrierEngine(
        process, timeSteps=len(payoff.dates), requiredSamples=(1 << 16) - 1, isBiased=True
    )
    return value(option, engine)


def bachelier(problem: PricingProblem, spots: Array) -> Numbers:
    """One normal variable: the basket."""
    process, payoff = problem.process, problem.payoff
    assert isinstance(process, Bachelier)
    assert isinstance(payoff, Call | Put)
    weights = np.array(payoff.weights)
    pulls = weights * np.array(process.volatilities)
    deviation = np.sqrt(pulls @ np.array(process.correlation) @ pulls * problem.maturity)
    return (QuantLib.BachelierCalculator(vanilla(payoff), float(weights @ spots), float(deviation)).value(),)


def corners(problem: PricingProblem, spots: Array) -> Numbers:
    """Pieces that begin and end flat and meet: a sum of calls, lognormal on one asset and normal on a basket."""
    payoff = problem.payoff
    assert isinstance(payoff, Pieces)
    engine = bachelier if isinstance(problem.process, Bachelier) else european
    total = np.zeros(1)
    for knot, join in zip(payoff.knots, payoff.joins, strict=True):
        call = replace(problem, payoff=Call(weights=payoff.weights, strike=knot))
        total = total + join.bend * np.array(engine(call, spots))
    return tuple(total.tolist())


def heston(problem: PricingProblem, spots: Array) -> Numbers:
    """Finite differences on spot and variance."""
    process = problem.process
    assert isinstance(process, Heston)
    dividends, rates = carries(problem)
    model = QuantLib.HestonModel(
        QuantLib.HestonProcess(
            rates,
            dividends,
            quote(float(spots[0])),
            process.initial_variances[0],
            process.mean_reversions[0],
            process.long_variances[0],
            process.variance_volatilities[0],
            process.spot_variance_correlations[0],
        )
    )
    payoff = problem.payoff
    if isinstance(payoff, Barrier):
        kind = getattr(QuantLib.Barrier, f"{payoff.direction.capitalize()}{payoff.knock.capitalize()}")
        option = QuantLib.BarrierOption(kind, payoff.barrier, 0.0, vanilla(payoff), exercise(problem))
        return greeks(option, QuantLib.FdHestonBarrierEngine(model, 200, 200, 100))
    option = QuantLib.VanillaOption(vanilla(payoff), exercise(problem))
    return greeks(option, QuantLib.FdHestonVanillaEngine(model, 100, 400, 100))


def local_volatility(problem: PricingProblem, spots: Array) -> Numbers:
    """Finite differences with Dupire's local volatility of the surface, which QuantLib quotes at the spot itself."""
    process = problem.process
    assert isinstance(process, LocalVolatility)
    centre, sigma, skew = process.reference_spots[0], process.volatilities[0], process.skews[0]
    assert spots[0] == centre
    days = np.unique(np.concatenate([np.arange(1.0, 30.0), np.linspace(30.0, YEAR * problem.maturity, 80).round()]))
    strikes, years = centre * np.exp(np.linspace(-2.5, 2.5, 161))[:, None], days / YEAR
    slow = sigma**2 * np.hypot(years, 1.0 / 52.0)
    phi = process.curvatures[0] / (slow ** process.powers[0] * (1.0 + slow) ** (1.0 - process.powers[0]))
    tilt = phi * (np.log(strikes / centre) - process.rate * years)
    variance = 0.5 * sigma**2 * (1.0 + skew * tilt + np.sqrt((tilt + skew) ** 2 + 1.0 - skew**2))
    matrix = QuantLib.Matrix(*variance.shape)
    for i, row in enumerate(np.sqrt(variance).tolist()):
        for j, volatility in enumerate(row):
            matrix[i][j] = volatility
    dates = [TODAY + int(number) for number in days]
    surface = QuantLib.BlackVarianceSurface(
        TODAY, QuantLib.NullCalendar(), dates, strikes[:, 0].tolist(), matrix, DAY_COUNT
    )
    surface.setInterpolation("bicubic")
    flowing = QuantLib.BlackScholesMertonProcess(
        quote(float(spots[0])), *carries(problem), QuantLib.BlackVolTermStructureHandle(surface)
    )
    scheme = QuantLib.FdmSchemeDesc.Douglas()
    engine = QuantLib.FdBlackScholesVanillaEngine(flowing, 200, 200, 2, scheme, True, sigma)
    return greeks(QuantLib.VanillaOption(vanilla(problem.payoff), exercise(problem)), engine)


def jumps(problem: PricingProblem, spots: Array) -> Numbers:
    """The model of Bates (1996), whose variance here stands still: Merton's diffusion and its jumps."""
    process = problem.process
    assert isinstance(process, Merton)
    dividends, rates = carries(problem)
    still = process.volatilities[0] ** 2
    numbers = (process.jump_intensities[0], process.jump_means[0], process.jump_deviations[0])
    flowing = QuantLib.BatesProcess(rates, dividends, quote(float(spots[0])), still, 1.0, still, 1e-4, 0.0, *numbers)
    option = QuantLib.VanillaOption(vanilla(problem.payoff), exercise(problem))
    return value(option, QuantLib.BatesEngine(QuantLib.BatesModel(flowing), 1e-12, 100_000))


# The engine of every example, and how far value, delta and gamma may be off, in units of the largest spot and its
# inverse: what the engine's grid or its points leave, measured, times two to five.
ORACLES: dict[str, tuple[Callable[[PricingProblem, Array], Numbers], Numbers]] = {
    "asian_arithmetic": (asian, (1e-6,)),
    # The dates of the file are rounded to 1e-6 years.
    "asian_geometric": (asian, (2e-9, 2e-8, 1e-6)),
    "bachelier_basket_7": (bachelier, (1e-14,)),
    "bachelier_basket_7_pruned": (bachelier, (1e-14,)),
    "bachelier_parametric_7": (bachelier, (1e-14,)),
    "barrier_discrete": (barrier, (5e-5,)),
    "barrier_down_out": (barrier, (2e-7, 1e-6, 2e-6)),
    "best_of_call": (ranked, (1e-7,)),
    "black_scholes_basket_50": (basket, (6e-5,)),
    "black_scholes_basket_7": (basket, (2e-5,)),
    "butterfly": (corners, (1e-14,)),
    "call_spread": (corners, (1e-14, 1e-13, 1e-12)),
    "digital": (european, (1e-14, 1e-13, 1e-12)),
    "heston_call": (heston, (1e-5, 1e-4, 2e-3)),
    "least_squares_basket_7": (bachelier, (1e-14,)),
    "local_volatility_call": (local_volatility, (5e-5, 5e-4, 2e-3)),
    "merton_call": (jumps, (1e-8,)),
    "polynomial_basket_7": (bachelier, (1e-14,)),
    "spread": (basket, (1e-13,)),
    "term_structure_call": (european, (1e-14, 1e-13, 1e-12)),
    "worst_of_put": (ranked, (1e-14,)),
}
NO_ENGINE = {
    "asian_running": "QuantLib's engines take a past of one form each; the fresh average at its strike in test_fixings",
    "autocall_running": "as autocall_5; the shorter note with its coupons owed in test_fixings",
    "autocall_5": "QuantLib has no engine of such notes; plain simulations in test_quadrature and test_autocall",
    "forward_start": "QuantLib's engine of forward starts is lognormal; Gaussian by hand in test_forward_start",
    "bermudan_max_call_5": "QuantLib's rule on five assets misses 1 %; two assets by finite differences below",
    "mean_reverting_call": "QuantLib has no engine of a user's coefficients; laws that are known in test_ito",
    "heston_basket": "QuantLib's Heston engines have one asset, and its baskets assets without another factor",
}


def test_every_example_has_an_oracle_or_a_reason_to_have_none() -> None:
    assert sorted([*ORACLES, *NO_ENGINE]) == list(EXAMPLES)


@pytest.fixture(autouse=True)
def today() -> None:
    QuantLib.Settings.instance().evaluationDate = TODAY


def points(problem: PricingProblem) -> Array:
    if isinstance(problem.process, LocalVolatility):
        return np.array([problem.process.reference_spots])
    if isinstance(problem.process, Heston) and isinstance(problem.payoff, Barrier):
        return np.array([[problem.payoff.strike]])
    return problem.box.lower + np.array(SHARES)[:, None] * (problem.box.upper - problem.box.lower)


def agree(problem: PricingProblem, oracle: Callable[[PricingProblem, Array], Numbers], tolerances: Numbers) -> None:
    rows, count = points(problem), len(tolerances)
    ours = reference(problem, rows, order=(0, 1, 2)[count - 1])
    mine = np.stack([ours.value, ours.gradient[:, 0], ours.hessian[:, 0, 0]], axis=1)[:, :count]
    allowed = np.array(tolerances) * rows.max() ** (1.0 - np.arange(count))
    if ours.standard_error is not None and ours.gradient_error is not None and ours.hessian_error is not None:
        errors = [ours.standard_error, ours.gradient_error[:, 0], ours.hessian_error[:, 0, 0]]
        allowed = allowed + 4.0 * np.stack(errors, axis=1)[:, :count]
    theirs = [oracle(problem, row)[:count] for row in rows]
    assert (np.abs(mine - theirs) <= allowed).all()


@pytest.mark.parametrize("name", ORACLES)
def test_quantlib_agrees(name: str) -> None:
    oracle, tolerances = ORACLES[name]
    agree(spots_alone(name), oracle, tolerances)


def max_call(problem: PricingProblem, spots: Array) -> Numbers:
    """Finite differences on two assets with early exercise."""
    payoff, (processes, rho) = problem.payoff, flows(problem, spots)
    assert isinstance(payoff, Bermudan)
    dates = QuantLib.BermudanExercise([day(share * problem.maturity) for share in payoff.dates])
    option = QuantLib.BasketOption(QuantLib.MaxBasketPayoff(vanilla(payoff.option)), dates)
    return value(option, QuantLib.Fd2dBlackScholesVanillaEngine(*processes, rho[0][1], 200, 200, 60))


def test_a_bermudan_on_two_assets(problem: Build) -> None:
    process = BlackScholes(
        volatilities=(0.2, 0.3), correlation=((1.0, 0.3), (0.3, 1.0)), rate=0.05, dividend_yields=(0.1, 0.05)
    )
    payoff = Bermudan(option=BestOf(initial=(1.0, 1.0), strike=100.0), dates=(0.25, 0.5, 0.75, 1.0))
    agree(problem(process, payoff, 2.0), max_call, (5e-5,))


@pytest.mark.parametrize("kind", [Call, Put])
def test_dividends_in_cash(problem: Build, kind: type[Call] | type[Put]) -> None:
    """Spots that fall on the day, by interpolation on QuantLib's grid."""
    paid = (Dividend(time=0.25, amount=4.0), Dividend(time=0.75, amount=3.0))
    process = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), rate=0.05, dividends=paid)

    def oracle(case: PricingProblem, spots: Array) -> Numbers:
        schedule = [QuantLib.FixedDividend(dividend.amount, day(dividend.time)) for dividend in paid]
        engine = QuantLib.FdBlackScholesVanillaEngine(flow(case, float(spots[0])), schedule, 400, 1600)
        return greeks(QuantLib.VanillaOption(vanilla(case.payoff), exercise(case)), engine)

    agree(problem(process, kind(weights=(1.0,), strike=100.0), 1.0), oracle, (1e-4, 1e-4, 1e-3))


@pytest.mark.parametrize(("direction", "level"), [("down", 85.0), pytest.param("up", 125.0, marks=pytest.mark.slow)])
def test_heston_barriers(problem: Build, direction: Any, level: float) -> None:
    """Bridges between 32 steps see the variance at their ends alone: an up-and-out call is 2 % too low."""
    process = Heston(
        initial_variances=(0.04,),
        mean_reversions=(1.5,),
        long_variances=(0.06,),
        variance_volatilities=(0.4,),
        spot_variance_correlations=(-0.6,),
        correlation=((1.0,),),
        rate=0.03,
        dividend_yields=(0.01,),
    )
    payoff = Barrier(strike=100.0, barrier=level, direction=direction, knock="out")
    agree(problem(process, payoff, 1.0), heston, (7e-4, 2e-3))
