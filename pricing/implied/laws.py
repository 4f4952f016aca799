"""Implied volatilities: the deviation that a forward option's value says, lognormal or normal. Numpy only.

Both laws are solved for the total deviation s = sigma sqrt(T) of the option that is out of the money, whose value is
its time value beta, undiscounted. With the levels' own scale taken out,

    normal:     beta / |F - K| = phi(d) / d - Phi(-d),  d = |F - K| / s,
    lognormal:  beta / sqrt(F K) = Phi(h + t) e^(x/2) - Phi(h - t) e^(-x/2),  x = -|ln(F / K)|, h = x / s, t = s / 2,

each side is written by the scaled complementary error function, so that no wing is too deep: what is compared are
logarithms, the lognormal's of what is left to its limit e^(x/2) above half of it. They are concave in ln s (ln d), so
that Newton's steps from a bound of the root converge from one side; a bracket keeps rounding in.

References: Jaeckel, Let's Be Rational, Wilmott (2015), for the scaled form; Manaster & Koehler (1982) for the start.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from pricing.types import Array, BoolArray

ROOT_2, ROOT_2_PI = math.sqrt(2.0), math.sqrt(2.0 * math.pi)
# From here on 14 terms of the asymptotic series of erfcx are exact; before, e^(z^2) erfc(z) loses z^2 roundings.
SERIES_FROM, SERIES_TERMS = 10.0, 14
# Below this half deviation a difference of two tails cancels, and five terms of its Taylor series are exact.
NARROW = 0.1
# Newton's steps at most, and the one that ends them: what is missed after it is its square, times at most a thousand.
STEPS, SMALLEST_STEP = 100, 1e-9
# Logarithms of total deviations between which every float64 value of an option lies.
LEAST, MOST = -745.0, 6.0

# A logarithm less its target and its slope, both by u; and the logarithm by u and x.
_Missed = Callable[[Array], tuple[Array, Array]]
_Objective = Callable[[Array, Array], tuple[Array, Array]]

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def erfcx(z: Array) -> Array:
    """e^(z^2) erfc(z), to 2e-14; infinite below -26. Shape: any -> the same."""
    near = np.minimum(z, SERIES_FROM)
    with np.errstate(over="ignore", divide="ignore"):
        series, term = np.ones_like(z), np.ones_like(z)
        inverse = 0.5 / np.maximum(z, SERIES_FROM) ** 2
        for n in range(1, SERIES_TERMS):
            term = -term * (2 * n - 1) * inverse
            series = series + term
        far = series / (np.maximum(z, SERIES_FROM) * math.sqrt(math.pi))
        result: Array = np.where(z < SERIES_FROM, np.exp(near * near) * _erfc(near), far)
    return result


def normal_deviation(time_value: Array, distance: Array) -> Array:
    """s = sigma sqrt(T) of the normal law, currency.

    Args:
        time_value: beta > 0, undiscounted, currency.
        distance: |F - K|, currency.

    Shape: batch; batch -> batch.
    """
    at_the_money = distance == 0.0
    apart = np.where(at_the_money, 1.0, distance)
    with np.errstate(over="ignore", under="ignore"):
        ratio = np.maximum(time_value / apart, np.finfo(np.float64).tiny)
    target = np.log(time_value) - np.log(apart)
    # phi(d) / d bounds the left side, and so does phi(d) from d = 1 on: either start lies beyond the root.
    wing = np.sqrt(np.maximum(1.0, -2.0 * np.minimum(target + math.log(ROOT_2_PI), 0.0)))
    start = np.minimum(1.0 / (np.minimum(ratio, 1e300) * ROOT_2_PI), wing)

    def tail(u: Array) -> tuple[Array, Array]:
        d = np.exp(u)
        left = 1.0 - d * math.sqrt(0.5 * math.pi) * erfcx(d / ROOT_2)
        return np.log(left) - 0.5 * d * d - u - math.log(ROOT_2_PI) - target, -1.0 / left

    d = np.exp(_solve(tail, np.log(start), least=-MOST - 710.0, rising=False))
    result: Array = np.where(at_the_money, time_value * ROOT_2_PI, apart / d)
    return result


def lognormal_deviation(time_value: Array, forward: Array, strike: Array) -> Array:
    """s = sigma sqrt(T) of the lognormal law.

    Args:
        time_value: beta, undiscounted, currency, above 0 and below the lesser of F and K.
        forward: F > 0, currency.
        strike: K > 0, currency.

    Shape: batch; batch; batch -> batch.
    """
    x = -_log_moneyness(forward, strike)
    scale = 0.5 * (np.log(forward) + np.log(strike))
    value, limit = np.log(time_value) - scale, 0.5 * x
    low = time_value < 0.5 * np.minimum(forward, strike)
    left = np.log(np.where(low, 1.0, np.minimum(forward, strike) - time_value)) - scale
    wing, money = np.abs(x) / np.sqrt(-2.0 * np.minimum(value, -1e-300)), ROOT_2_PI * np.exp(np.minimum(value, limit))
    start = np.where(low, np.maximum(np.maximum(wing, money), 1e-300), np.sqrt(-8.0 * np.minimum(left, -0.5)))
    u = np.log(start)
    for side, objective, target in ((low, _log_value, value), (~low, _log_rest, left)):
        if side.any():
            u[side] = _of_side(objective, target[side], x[side], u[side])
    result: Array = np.exp(u)
    return result


def lognormal_slope(deviation: Array, forward: Array, strike: Array) -> Array:
    """d beta / ds, of the lognormal law: currency. Shape: batch; batch; batch -> batch."""
    h = _log_moneyness(forward, strike) / deviation
    result: Array = np.sqrt(forward) * np.sqrt(strike) * _slope(h, 0.5 * deviation)
    return result


def normal_slope(deviation: Array, distance: Array) -> Array:
    """d beta / ds = phi(d), of the normal law. Shape: batch; batch -> batch."""
    return _slope(distance / deviation, np.zeros_like(distance))


def _log_moneyness(forward: Array, strike: Array) -> Array:
    """|ln(F / K)|, to the last digits of whatever F and K differ by. Shape: batch; batch -> batch."""
    result: Array = np.log1p(np.abs(forward - strike) / np.minimum(forward, strike))
    return result


def _slope(h: Array, t: Array) -> Array:
    result: Array = np.exp(-0.5 * (h * h + t * t)) / ROOT_2_PI
    return result


def _log_value(u: Array, x: Array) -> tuple[Array, Array]:
    """ln b and its slope by u = ln s."""
    s = np.exp(u)
    h, t = x / s, 0.5 * s
    half = 0.5 * (erfcx(-(h + t) / ROOT_2) - erfcx((t - h) / ROOT_2))
    spread = np.where(t < NARROW, _narrow(h, np.minimum(t, NARROW)), half)
    exponent = -0.5 * (h * h + t * t)
    return np.log(spread) + exponent, s / (ROOT_2_PI * spread)


def _narrow(h: Array, t: Array) -> Array:
    """(Y(h + t) - Y(h - t)) / sqrt(2 pi), Y = Phi / phi, by odd terms of its series: Y^(n+1) = h Y^(n) + n Y^(n-1)."""
    before, now = math.sqrt(0.5 * math.pi) * erfcx(-h / ROOT_2), np.ones_like(h)
    now = now + h * before
    power, total = t, t * now
    for n in range(1, 9, 2):
        before, now = now, h * now + n * before
        before, now = now, h * now + (n + 1) * before
        power = power * t * t / ((n + 1) * (n + 2))
        total = total + power * now
    result: Array = total * 2.0 / ROOT_2_PI
    return result


def _log_rest(u: Array, x: Array) -> tuple[Array, Array]:
    """ln(e^(x/2) - b) and its slope by u = ln s."""
    s = np.exp(u)
    h, t = x / s, 0.5 * s
    exponent = -0.5 * (h * h + t * t)
    above, below = (h + t) / ROOT_2, (t - h) / ROOT_2
    inside = 0.5 * np.exp(0.5 * x) * _erfc(np.minimum(above, 0.0)) * np.exp(-exponent)
    rest = np.where(above < 0.0, inside, 0.5 * erfcx(np.maximum(above, 0.0))) + 0.5 * erfcx(below)
    return np.log(rest) + exponent, -s / (ROOT_2_PI * rest)


def _of_side(objective: _Objective, target: Array, x: Array, start: Array) -> Array:
    def missed(u: Array) -> tuple[Array, Array]:
        value, slope = objective(u, x)
        return value - target, slope

    return _solve(missed, start, least=LEAST, rising=objective is _log_value)


def _solve(missed: _Missed, start: Array, *, least: float, rising: bool) -> Array:
    """The roots of functions of u, each monotone, by Newton's steps inside a bracket."""
    u, low, high = start.copy(), np.full_like(start, least), np.full_like(start, MOST)
    with np.errstate(all="ignore"):
        for _ in range(STEPS):
            value, slope = missed(u)
            beyond: BoolArray = (value > 0.0) == rising
            high, low = np.where(beyond, np.minimum(u, high), high), np.where(beyond, low, np.maximum(u, low))
            step = u - value / slope
            outside = ~((step >= low) & (step <= high))
            after = np.where(outside, 0.5 * (low + high), step)
            done = np.abs(after - u) <= SMALLEST_STEP * np.maximum(1.0, np.abs(u))
            u = after
            if done.all():
                break
    return u
