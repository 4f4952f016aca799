"""The random options of `benchmarks/cases/draws.py` in arithmetic of fifty digits and more: what closed forms are.

The formulas are the textbooks', which need the digits: an image's weight may be 1e1000.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import mpmath as mp
import numpy as np

from benchmarks.cases.draws import BOUNDS, bachelier_drawn, deviations, drawn, market, moves, near, shares, struck
from benchmarks.cases.fifty_digits import (
    DATES,
    START,
    Truth,
    bachelier_formula,
    black,
    call_like,
    conditional_rank,
    conditional_sum,
    digital,
    digital_like,
    forward_start,
    geometric,
    inside,
    normal,
    normal_inside,
    poisson,
    put_like,
)
from pricing.domain import Feature
from pricing.references.methods import LEAST_SHARE
from pricing.references.reference import reference
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.payoff import Asian, Barrier, ForwardStart, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Merton, Process
from pricing.types import Array

# Digits of arithmetic, doubled so often until a value no longer moves by that share; and the step of differences as a
# share of the parameter: they are right to a share of 1e-40.
DIGITS, DOUBLINGS, SETTLED, STEP = 90, 4, mp.mpf(10) ** -75, mp.mpf(10) ** -20
# Of the integrals over a second asset, which take a second each: differences right to 1e-16.
FEWER_DIGITS, LONGER_STEP = 40, mp.mpf(10) ** -8
# Values below this share of the spots may have lost digits to underflow.
LEAST = 1e-250
# Weights of a pair, and the correlations it has.
PAIRS = ((1.0, -1.0), (0.6, 0.4), (-0.5, 0.8))
CORRELATIONS = (-0.9999, -0.9, -0.3, 0.1, 0.5, 0.95, 0.9999)


@dataclass(frozen=True, kw_only=True)
class Family:
    """Options of one closed form.

    Args:
        draw: so many random features. Shape: -> batch feature.
        least: share of the spots that a value counts as at least.
        digits, step: of the arithmetic, and of its differences.
        differentiated: how many features are, all by default.
    """

    name: str
    problem: PricingProblem
    truth: Truth
    draw: Callable[[np.random.Generator, int], Array]
    least: float = LEAST
    step: Any = STEP
    digits: int = DIGITS
    differentiated: int | None = None


@dataclass(frozen=True, kw_only=True)
class Found:
    """Worst errors over the options, and what the reference states.

    Args:
        value: as a share of the value.
        gradient: of x dV/dx as a share of itself, of the value and of the spots' part.
        gamma: of S^2 d2V/dS2 as a share of itself and of all these.
    """

    name: str
    options: int
    stated: float
    value: float
    gradient: float
    gamma: float


def measure(family: Family, options: int, *, seed: int) -> Found:
    """Compare so many options of a family with the truth."""
    features = family.draw(np.random.default_rng(seed), options)
    got = reference(family.problem, features)
    spots = range(*family.problem.box.columns("spot").indices(features.shape[1]))
    columns = range(family.differentiated or features.shape[1])
    worst = [0.0, 0.0, 0.0]
    for row in range(options):
        x = [mp.mpf(number) for number in features[row].tolist()]
        floor = family.least * sum(x[j] for j in spots)
        with mp.workdps(needed(family, x, floor)):
            value = family.truth(x)
            worst[0] = max(worst[0], float(abs(got.value[row] - value) / max(value, floor)))
            if value < floor:
                continue
            slopes, bends = zip(*(differences(family, x, value, j) for j in columns), strict=True)
            hedge = value + sum(abs(x[j] * slopes[j]) for j in spots)
            for j in columns:
                error, size = abs(x[j] * (got.gradient[row, j] - slopes[j])), abs(x[j] * slopes[j]) + hedge
                worst[1] = max(worst[1], float(error / size))
            for j in spots:
                error, size = abs(x[j] ** 2 * (got.hessian[row, j, j] - bends[j])), abs(x[j] ** 2 * bends[j]) + hedge
                worst[2] = max(worst[2], float(error / size))
    return Found(
        name=family.name,
        options=options,
        stated=got.relative_error,
        value=worst[0],
        gradient=worst[1],
        gamma=worst[2],
    )


def needed(family: Family, x: list[Any], floor: Any) -> int:
    """Digits in which the value is known to fifty."""
    if family.digits < DIGITS:
        return family.digits
    before = None
    for digits in (DIGITS << doubling for doubling in range(DOUBLINGS + 1)):
        with mp.workdps(digits):
            value = family.truth(x)
            seen = floor > mp.mpf(10) ** (50 - digits)
            if seen and value < floor:
                return digits
            if before is not None and abs(value - before) < SETTLED * value:
                return digits // 2
        before = value
    raise AssertionError(f"{family.name}: {x} takes more than {digits} digits")


def differences(family: Family, x: list[Any], value: Any, j: int) -> tuple[Any, Any]:
    """First and second derivative by one feature."""
    h = family.step * abs(x[j])
    up, down = (family.truth([*x[:j], x[j] + move, *x[j + 1 :]]) for move in (h, -h))
    return (up - down) / (2 * h), (up - 2 * value + down) / h**2


def families() -> Iterator[Family]:
    """Every closed form."""
    yield single(Call(weights=(1.0,), strike=1.0), partial(black, sign=1))
    yield single(Put(weights=(1.0,), strike=1.0), partial(black, sign=-1))
    yield single(Digital(weights=(1.0,), strike=1.0), partial(digital, sign=1))
    yield one_asset("geometric", Asian(weights=(1.0,), strike=1.0, dates=DATES, average="geometric"), geometric, drawn)
    yield one_asset("forward start", ForwardStart(weights=(1.0,), strike=1.0, start=START), forward_start, shares)
    yield from merton()
    for down, out, call in product((True, False), repeat=3):
        yield barrier(down=down, out=out, call=call)
    yield from bachelier()
    for down, out, call in product((True, False), repeat=3):
        yield bachelier_barrier(down=down, out=out, call=call)
    for weights in PAIRS:
        yield pair(Call(weights=weights, strike=1.0), partial(conditional_sum, weights=weights, formula=call_like))
    yield pair(Put(weights=PAIRS[1], strike=1.0), partial(conditional_sum, weights=PAIRS[1], formula=put_like))
    yield pair(Digital(weights=PAIRS[0], strike=1.0), partial(conditional_sum, weights=PAIRS[0], formula=digital_like))
    ranks: tuple[type[WorstOf | BestOf], ...] = (WorstOf, BestOf)
    for rank, call in product(ranks, (True, False)):
        ranked = rank(side="call" if call else "put", strike=1.0, initial=(1.0, 1.0))
        yield pair(ranked, partial(conditional_rank, worst=rank is WorstOf, sign=1 if call else -1))


def problem(process: Process, payoff: Payoff, spots: int = 1, **more: tuple[float, float]) -> PricingProblem:
    """Everything a feature, in Boxes that hold all draws."""
    per_asset = {"volatility", "dividend_yield"}
    bounds = {"strike": (1e-9, 1e9), **BOUNDS, **more}
    if isinstance(process, Bachelier):
        bounds = {
            "strike": (-1e9, 1e9),
            "volatility": (1e-12, 1e9),
            **{name: bounds[name] for name in ("maturity", *more)},
        }
    features = [Feature(name="spot", lower=(1e-9,) * spots, upper=(1e9,) * spots)]
    for name, (low, high) in bounds.items():
        count = spots if name in per_asset else 1
        features.append(Feature(name=name, lower=(low,) * count, upper=(high,) * count))
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=tuple(features))


FLAT = BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=0.0, dividend_yields=(0.0,))
TWO = BlackScholes(volatilities=(0.2, 0.2), correlation=((1.0, 0.5), (0.5, 1.0)), rate=0.0, dividend_yields=(0.0, 0.0))
JUMPS = Merton(
    volatilities=(0.2,),
    correlation=((1.0,),),
    rate=0.0,
    dividend_yields=(0.0,),
    jump_intensities=(0.5,),
    jump_means=(-0.1,),
    jump_deviations=(0.2,),
)
NORMAL = Bachelier(volatilities=(0.2,), correlation=((1.0,),))


def one_asset(name: str, payoff: Payoff, truth: Truth, draw: Callable[[np.random.Generator, int], Array]) -> Family:
    """Of a Black-Scholes asset."""
    return Family(name=name, problem=problem(FLAT, payoff), truth=truth, draw=draw)


def single(payoff: Payoff, formula: Callable[[Any, Any, Any], Any]) -> Family:
    """At maturity."""

    def truth(x: Sequence[Any]) -> Any:
        spot, strike, volatility, maturity, rate, dividend = x
        forward = spot * mp.exp((rate - dividend) * maturity)
        return mp.exp(-rate * maturity) * formula(forward, strike, volatility**2 * maturity)

    return one_asset(type(payoff).__name__.lower(), payoff, truth, drawn)


def merton() -> Iterator[Family]:
    """A call, a put and a digital."""
    more = {"jump_intensity": (0.01, 5.0), "jump_mean": (-0.5, 0.3), "jump_deviation": (0.01, 0.5)}

    def draw(rng: np.random.Generator, options: int) -> Array:
        jumps = [np.exp(rng.uniform(np.log(0.01), np.log(1.0), options))]
        jumps += [rng.uniform(*more[name], options) for name in ("jump_mean", "jump_deviation")]
        return np.concatenate([drawn(rng, options), np.stack(jumps, axis=1)], axis=1)

    for payoff, formula in (
        (Call(weights=(1.0,), strike=1.0), partial(black, sign=1)),
        (Put(weights=(1.0,), strike=1.0), partial(black, sign=-1)),
        (Digital(weights=(1.0,), strike=1.0), partial(digital, sign=1)),
    ):
        name = f"merton {type(payoff).__name__.lower()}"
        yield Family(name=name, problem=problem(JUMPS, payoff, 1, **more), truth=partial(poisson, formula), draw=draw)


def barrier(*, down: bool, out: bool, call: bool) -> Family:
    """A continuous barrier by the image of the spot."""

    def draw(rng: np.random.Generator, options: int) -> Array:
        features = drawn(rng, options)
        level = near(rng, features, down=down)
        spot, strike = np.log(features[:, :2].T)
        features[:, 1] = np.exp(struck(rng, strike, spot, np.log(level), deviations(features)))
        return np.concatenate([features, level[:, None]], axis=1)

    def truth(x: Sequence[Any]) -> Any:
        spot, strike, volatility, maturity, rate, dividend, level = x
        variance, carry = volatility**2 * maturity, (rate - dividend) * maturity
        power, sign = 2 * carry / variance - 1, 1 if call else -1
        weight = power * mp.log(level / spot)
        low, high = (strike, mp.inf) if call else (mp.mpf(0), strike)
        low, high = (max(low, level), high) if down else (low, min(high, level))
        mass = partial(inside, low=low, high=high, strike=strike, carry=carry, variance=variance, sign=sign)
        kept = mass(spot) - mp.exp(weight) * mass(level**2 / spot) if low < high else mp.mpf(0)
        vanilla = black(spot * mp.exp(carry), strike, variance, sign=sign)
        return mp.exp(-rate * maturity) * (kept if out else vanilla - kept)

    payoff = Barrier(
        strike=1.0,
        barrier=0.9 if down else 1.1,
        direction="down" if down else "up",
        knock="out" if out else "in",
        side="call" if call else "put",
    )
    name = f"{payoff.direction}-and-{payoff.knock} {payoff.side}"
    return Family(name=name, problem=problem(FLAT, payoff, barrier=(1e-9, 1e9)), truth=truth, draw=draw)


def bachelier() -> Iterator[Family]:
    """A call, a put, a digital and an average."""

    def at_maturity(formula: Callable[[Any, Any, Any], Any], x: Sequence[Any]) -> Any:
        spot, strike, volatility, maturity = x
        return formula(spot, strike, volatility**2 * maturity)

    def averaged(x: Sequence[Any]) -> Any:
        spot, strike, volatility, maturity = x
        times = [mp.mpf(date) * maturity for date in DATES]
        variance = volatility**2 * sum(min(one, other) for one, other in product(times, repeat=2)) / len(DATES) ** 2
        return bachelier_formula(spot, strike, variance, sign=1)

    def chance(mean: Any, strike: Any, variance: Any) -> Any:
        return normal((mean - strike) / mp.sqrt(variance))

    cases: list[tuple[Payoff, Truth]] = [
        (Call(weights=(1.0,), strike=1.0), partial(at_maturity, partial(bachelier_formula, sign=1))),
        (Put(weights=(1.0,), strike=1.0), partial(at_maturity, partial(bachelier_formula, sign=-1))),
        (Digital(weights=(1.0,), strike=1.0), partial(at_maturity, chance)),
        (Asian(weights=(1.0,), strike=1.0, dates=DATES), averaged),
    ]
    for payoff, truth in cases:
        name = f"bachelier {type(payoff).__name__.lower()}"
        yield Family(name=name, problem=problem(NORMAL, payoff), truth=truth, draw=bachelier_drawn)


def bachelier_barrier(*, down: bool, out: bool, call: bool) -> Family:
    """A continuous barrier by reflection."""

    def draw(rng: np.random.Generator, options: int) -> Array:
        features, away = bachelier_drawn(rng, options), -1.0 if down else 1.0
        level = features[:, 0] + away * np.abs(rng.normal(0.0, 2.0, options)) * deviations(features)
        features[:, 1] = struck(rng, features[:, 1], features[:, 0], level, deviations(features))
        return np.concatenate([features, level[:, None]], axis=1)

    def truth(x: Sequence[Any]) -> Any:
        spot, strike, volatility, maturity, level = x
        s, sign = volatility * mp.sqrt(maturity), 1 if call else -1
        low, high = (strike, mp.inf) if call else (-mp.inf, strike)
        low, high = (max(low, level), high) if down else (low, min(high, level))

        mass = partial(normal_inside, low=low, high=high, strike=strike, deviation=s, sign=sign)
        kept = mass(spot) - mass(2 * level - spot) if low < high else mp.mpf(0)
        return kept if out else bachelier_formula(spot, strike, s * s, sign=sign) - kept

    payoff = Barrier(
        strike=1.0,
        barrier=0.9 if down else 1.1,
        direction="down" if down else "up",
        knock="out" if out else "in",
        side="call" if call else "put",
    )
    name = f"bachelier {payoff.direction}-and-{payoff.knock} {payoff.side}"
    return Family(name=name, problem=problem(NORMAL, payoff, barrier=(-1e9, 1e9)), truth=truth, draw=draw)


def pair(payoff: Payoff, truth: Callable[..., Any]) -> Family:
    """Two assets and everything else."""
    weights = getattr(payoff, "weights", (1.0, 1.0))

    def draw(rng: np.random.Generator, options: int) -> Array:
        first, maturity, rate, one = market(rng, options)
        second, _, _, other = market(rng, options)
        spots = np.exp(rng.uniform(-0.5, 0.5, (options, 2)))
        volatilities, yields = np.stack([first, second], axis=1), np.stack([one, other], axis=1)
        forwards = spots * np.exp((rate[:, None] - yields) * maturity[:, None])
        deviation = volatilities * np.sqrt(maturity)[:, None]
        out = np.clip(moves(rng, options)[:, None] * deviation, -3.0, 3.0)
        strikes = np.abs((forwards * np.exp(out)) @ np.abs(weights)) / (1.0 if hasattr(payoff, "weights") else 2.0)
        rho = rng.choice(CORRELATIONS, options)
        columns = [spots, strikes[:, None], volatilities, maturity[:, None], rate[:, None], yields, rho[:, None]]
        return np.concatenate(columns, axis=1)

    name = f"pair {type(payoff).__name__.lower()} {getattr(payoff, 'side', '')} {weights}"
    box = problem(TWO, payoff, 2, correlation=(-0.99999, 0.99999))
    return Family(
        name=name,
        problem=box,
        truth=truth,
        draw=draw,
        least=LEAST_SHARE,
        step=LONGER_STEP,
        digits=FEWER_DIGITS,
        differentiated=2,
    )
