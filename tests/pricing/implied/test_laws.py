"""The laws against 50-digit values, in every wing, from a deviation of 1e-9 to 30."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from pricing.implied.laws import (
    erfcx,
    lognormal_deviation,
    lognormal_slope,
    normal_deviation,
    normal_slope,
)
from pricing.types import Array

EPS = float(np.finfo(np.float64).eps)
DIGITS = 50
# Deviations from the money: the deepest whose value is a float64.
WINGS = (0.0, 1e-9, 1e-4, 0.03, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 36.0)


def black(forward: float, strike: float, deviation: float) -> float:
    """The undiscounted value of the option out of the money."""
    with mpmath.workdps(DIGITS):
        low, high, s = mpmath.mpf(min(forward, strike)), mpmath.mpf(max(forward, strike)), mpmath.mpf(deviation)
        d = mpmath.log(low / high) / s
        return float(low * mpmath.ncdf(d + s / 2) - high * mpmath.ncdf(d - s / 2))


def bachelier(distance: float, deviation: float) -> float:
    with mpmath.workdps(DIGITS):
        x, s = mpmath.mpf(distance), mpmath.mpf(deviation)
        return float(s * mpmath.npdf(x / s) - x * mpmath.ncdf(-x / s))


def lognormal_cases() -> tuple[Array, ...]:
    rows = []
    for deviation in (1e-9, 1e-6, 1e-4, 0.01, 0.1999, 0.2001, 0.5, 1.0, 3.0, 8.0, 20.0, 30.0):
        for wing in WINGS:
            for sign in (-1.0, 1.0):
                if wing * deviation < 600.0:
                    strike = 100.0 * math.exp(sign * wing * deviation)
                    rows.append((100.0, strike, deviation, black(100.0, strike, deviation)))
    table = np.array([row for row in rows if 1e-300 < row[3] < min(row[0], row[1])])
    return tuple(table.T)


def test_erfcx_is_exact_on_both_sides_of_its_series() -> None:
    z = np.array([-5.0, -1.0, 0.0, 1e-8, 0.5, 3.0, 9.999999, 10.0, 10.000001, 27.0, 1e3, 1e100, 1e300])
    with mpmath.workdps(DIGITS):
        right = np.array([float(mpmath.exp(mpmath.mpf(x) ** 2) * mpmath.erfc(mpmath.mpf(x))) for x in z[:11]])
    np.testing.assert_allclose(erfcx(z)[:11], right, rtol=3e-14)
    np.testing.assert_allclose(erfcx(z)[11:], 1.0 / (z[11:] * math.sqrt(math.pi)), rtol=1e-15)


def test_a_lognormal_deviation_is_found_to_what_the_value_can_tell() -> None:
    """To 1e-12 beside what half a rounding of the value, or of its distance to its limit, makes of it."""
    forward, strike, deviation, value = lognormal_cases()
    assert len(value) > 150
    found = lognormal_deviation(value, forward, strike)
    told = EPS * value / (lognormal_slope(deviation, forward, strike) * deviation)
    assert (np.abs(found / deviation - 1.0) <= 1e-12 + told).all()
    assert np.median(np.abs(found / deviation - 1.0)) < 1e-15


def test_a_normal_deviation_is_found() -> None:
    rows = [
        (wing * deviation, deviation, bachelier(wing * deviation, deviation))
        for deviation in (1e-9, 1e-3, 0.2, 1.0, 20.0, 1e6)
        for wing in WINGS
    ]
    distance, deviation, value = np.array([row for row in rows if row[2] > 1e-300]).T
    np.testing.assert_allclose(normal_deviation(value, distance), deviation, rtol=1e-12)


def test_what_is_published_of_an_option() -> None:
    """Hull, Options, Futures, and Other Derivatives, example 15.6: 4.76 at 42, strike 40, rate .1, half a year."""
    forward, strike = np.array([42.0 * math.exp(0.05)]), np.array([40.0])
    call = 4.759422392871532 / math.exp(-0.05)
    deviation = lognormal_deviation(np.array([call]) - (forward - strike), forward, strike)
    np.testing.assert_allclose(deviation / math.sqrt(0.5), [0.2], rtol=1e-12)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_the_size_of_levels_does_not_matter(scale: float) -> None:
    forward, strike, deviation, value = lognormal_cases()
    kept = (value * scale > 1e-290) & (deviation < 10.0)
    found = lognormal_deviation(value[kept] * scale, forward[kept] * scale, strike[kept] * scale)
    plain = lognormal_deviation(value[kept], forward[kept], strike[kept])
    told = 8.0 * EPS * value[kept] / (lognormal_slope(plain, forward[kept], strike[kept]) * plain)
    # what scaling F and K does to ln(F / K) near the money
    told += 8.0 * EPS / plain
    assert (np.abs(found / plain - 1.0) <= 1e-12 + told).all()


def test_slopes_are_those_of_the_values() -> None:
    step = 1e-5
    forward, strike, s = np.full(3, 100.0), np.array([80.0, 100.0, 150.0]), np.array([0.1, 0.3, 0.9])
    for i in range(3):
        up, down = (black(100.0, float(strike[i]), float(s[i]) + sign * step) for sign in (1.0, -1.0))
        slope = lognormal_slope(s, forward, strike)[i]
        np.testing.assert_allclose(slope, (up - down) / (2.0 * step), rtol=1e-7)
        up, down = (bachelier(float(strike[i]), 100.0 * float(s[i]) + sign * step) for sign in (1.0, -1.0))
        np.testing.assert_allclose(normal_slope(100.0 * s, strike)[i], (up - down) / (2.0 * step), rtol=1e-6)
