"""Textbook formulas in arithmetic of any precision."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from typing import Any

import mpmath as mp

# Dates of an average and start of a forward-start, as shares of the maturity.
DATES, START = (0.2, 0.5, 1.0), 0.4

# From the features, in the Box's order, to the value.
Truth = Callable[[Sequence[Any]], Any]


def normal(x: Any) -> Any:
    """N(x)."""
    return mp.erfc(-x / mp.sqrt(2)) / 2


def density(x: Any) -> Any:
    """n(x)."""
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def black(forward: Any, strike: Any, variance: Any, *, sign: int) -> Any:
    """Black's formula."""
    s = mp.sqrt(variance)
    d = mp.log(forward / strike) / s + s / 2
    return sign * (forward * normal(sign * d) - strike * normal(sign * (d - s)))


def digital(forward: Any, strike: Any, variance: Any, *, sign: int) -> Any:
    """The chance of ending beyond the strike."""
    s = mp.sqrt(variance)
    return normal(sign * (mp.log(forward / strike) / s - s / 2))


def bachelier_formula(mean: Any, strike: Any, variance: Any, *, sign: int) -> Any:
    """Bachelier's formula."""
    s = mp.sqrt(variance)
    x = sign * (mean - strike) / s
    return s * (x * normal(x) + density(x))


def geometric(x: Sequence[Any]) -> Any:
    """A call on the geometric average."""
    spot, strike, volatility, maturity, rate, dividend = x
    times, count = [mp.mpf(date) * maturity for date in DATES], len(DATES)
    mean = mp.log(spot) + (rate - dividend - volatility**2 / 2) * sum(times) / count
    variance = volatility**2 * sum(min(one, other) for one, other in product(times, repeat=2)) / count**2
    return mp.exp(-rate * maturity) * black(mp.exp(mean + variance / 2), strike, variance, sign=1)


def forward_start(x: Sequence[Any]) -> Any:
    """A call whose strike is set at `START`."""
    spot, strike, volatility, maturity, rate, dividend = x
    start, carry = mp.mpf(START) * maturity, rate - dividend
    late, early = spot * mp.exp(carry * maturity), strike * spot * mp.exp(carry * start)
    return mp.exp(-rate * maturity) * black(late, early, volatility**2 * (maturity - start), sign=1)


def poisson(formula: Callable[[Any, Any, Any], Any], x: Sequence[Any]) -> Any:
    """Merton's series, until its terms are nothing."""
    spot, strike, volatility, maturity, rate, dividend, intensity, mean, deviation = x
    jump, counted = mean + deviation**2 / 2, intensity * maturity
    most = counted * max(mp.mpf(1), mp.exp(jump))
    total, chance, n = mp.mpf(0), mp.exp(-counted), 0
    while True:
        forward = spot * mp.exp((rate - dividend) * maturity + n * jump - counted * mp.expm1(jump))
        term = chance * formula(forward, strike, volatility**2 * maturity + n * deviation**2)
        total, n = total + term, n + 1
        chance = chance * counted / n
        if n > most + 10 and chance * max(forward / strike, 1) * strike < total * mp.mpf(10) ** -45:
            return mp.exp(-rate * maturity) * total


def between(ends: Sequence[Any], sign: int) -> Any:
    """N(one) - N(other) for the larger and the smaller, by the thin tails, by those of the sign at an open end."""
    low, high = ends
    thin = sign if mp.isinf(low) or mp.isinf(high) else (1 if low + high < 0 else -1)
    one, other = (mp.mpf(0) if mp.isinf(d) else normal(thin * d) for d in (low, high))
    return thin * (one - other)


def inside(start: Any, *, low: Any, high: Any, strike: Any, carry: Any, variance: Any, sign: int) -> Any:
    """E[sign (S_T - K); low < S_T < high] from a start; calls may have no high, puts no low."""
    forward, s = start * mp.exp(carry), mp.sqrt(variance)
    d = [mp.inf if edge == 0 else -mp.inf if mp.isinf(edge) else mp.log(forward / edge) / s for edge in (low, high)]
    owned, owed = (between([each + shift for each in d], sign) for shift in (s / 2, -s / 2))
    return sign * (forward * owned - strike * owed)


def normal_inside(start: Any, *, low: Any, high: Any, strike: Any, deviation: Any, sign: int) -> Any:
    """The same of a normal law."""
    d = [(start - edge) / deviation for edge in (low, high)]
    ends = [mp.mpf(0) if mp.isinf(each) else density(each) for each in d]
    return sign * ((start - strike) * between(d, sign) + deviation * (ends[0] - ends[1]))


def call_like(level: Any, gap: Any, variance: Any) -> Any:
    """E[max(X - gap, 0)]."""
    return black(level, gap, variance, sign=1) if gap > 0 else level - gap


def put_like(level: Any, gap: Any, variance: Any) -> Any:
    """E[max(gap - X, 0)]."""
    return black(level, gap, variance, sign=-1) if gap > 0 else mp.mpf(0)


def digital_like(level: Any, gap: Any, variance: Any) -> Any:
    """P(X > gap)."""
    return digital(level, gap, variance, sign=1) if gap > 0 else mp.mpf(1)


def split(x: Sequence[Any]) -> tuple[Any, ...]:
    """Forwards, deviations, correlation, strike and discount factor."""
    first, second, strike, one, other, maturity, rate, y, q, rho = x
    root = mp.sqrt(maturity)
    forwards = [first * mp.exp((rate - y) * maturity), second * mp.exp((rate - q) * maturity)]
    return forwards, [one * root, other * root], rho, strike, mp.exp(-rate * maturity)


def conditional_sum(x: Sequence[Any], *, weights: tuple[float, float], formula: Callable[..., Any]) -> Any:
    """A payoff of w . S given the second asset; the first has a positive weight or both change places."""
    forwards, deviations, rho, strike, paid = split(x)
    inner = 0 if weights[0] > 0 else 1
    w, v = mp.mpf(weights[inner]), mp.mpf(weights[1 - inner])
    (F, G), (s, t) = (forwards[inner], forwards[1 - inner]), (deviations[inner], deviations[1 - inner])

    def given(z: Any) -> Any:
        level = w * F * mp.exp(s * rho * z - (s * rho) ** 2 / 2)
        gap = strike - v * G * mp.exp(t * z - t * t / 2)
        return formula(level, gap, s * s * (1 - rho * rho))

    def turned(z: Any) -> Any:
        return w * F * mp.exp(s * rho * z - (s * rho) ** 2 / 2) + v * G * mp.exp(t * z - t * t / 2) - strike

    zero = [(mp.log(strike / (v * G)) + t * t / 2) / t] if v > 0 else []
    return paid * integral(given, [turned], zero, tilt=max(abs(s), t))


def conditional_rank(x: Sequence[Any], *, worst: bool, sign: int) -> Any:
    """A worst-of or best-of given the second asset."""
    forwards, (s, t), rho, strike, paid = split(x)
    variance = s * s * (1 - rho * rho)

    def levels(z: Any) -> tuple[Any, Any]:
        a = forwards[0] * mp.exp(s * rho * z - (s * rho) ** 2 / 2)
        return a, forwards[1] * mp.exp(t * z - t * t / 2)

    def given(z: Any) -> Any:
        a, b = levels(z)
        option = partial(black, a, variance=variance, sign=sign)
        if worst == (sign > 0):
            return option(strike=strike) - option(strike=b) if sign * (b - strike) > 0 else mp.mpf(0)
        return max(sign * (b - strike), 0) + option(strike=max(b, strike) if sign > 0 else min(b, strike))

    corners = [(mp.log(strike / forwards[1]) + t * t / 2) / t]
    turns = [lambda z: levels(z)[0] - levels(z)[1], lambda z: levels(z)[0] - strike]
    return paid * integral(given, turns, corners, tilt=max(abs(s), t))


def halved(turn: Truth, low: Any, high: Any) -> Any:
    """The root between."""
    first = turn(low) > 0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if (turn(middle) > 0) == first else (low, middle)
    return low


def integral(given: Truth, turns: list[Truth], corners: list[Any], *, tilt: Any) -> Any:
    """E[given(z)], split at corners and around turns, where it counts."""
    low, high = -int(tilt) - 36, int(tilt) + 36
    grid = [mp.mpf(k) for k in range(low, high + 1)]
    places = list(corners)
    for turn in turns:
        signs = [turn(z) > 0 for z in grid]
        for left, right, one, other in zip(grid, grid[1:], signs, signs[1:], strict=False):
            if one != other:
                places.append(halved(turn, left, right))
    around = [place + k * mp.mpf(2) ** -j for place in places for j in range(16) for k in (-1, 0, 1)]
    edges = sorted({z for z in [*grid, *around] if low <= z <= high})
    f = [density(z) * given(z) for z in edges]
    top = max(f)
    total = mp.mpf(0)
    for left, right, one, other in zip(edges, edges[1:], f, f[1:], strict=False):
        if max(one, other) > top * mp.mpf(10) ** -40:
            total += mp.quad(lambda z: density(z) * given(z), [left, right], method="gauss-legendre", maxdegree=5)
    return total
