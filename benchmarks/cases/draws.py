"""Random options far out, for days and for decades.

Volatilities of .005 to 2, maturities of a day to 30 years, rates and yields of -5 to 15 %, strikes up to 25 standard
deviations out; of barriers a fifth of the strikes is nearly at the barrier, and a fifth between half and twice the spot
whatever the volatility.
"""

from __future__ import annotations

import numpy as np

from pricing.types import Array

# What all draws share: volatility, maturity, rate, yield.
BOUNDS = {
    "volatility": (0.005, 2.0),
    "maturity": (1 / 365, 30.0),
    "rate": (-0.05, 0.15),
    "dividend_yield": (-0.05, 0.15),
}


def market(rng: np.random.Generator, options: int) -> list[Array]:
    """Volatility, maturity, rate and yield. Shape: -> 4 batch."""
    (low, high), (soon, late) = BOUNDS["volatility"], BOUNDS["maturity"]
    volatility = np.exp(rng.uniform(np.log(low), np.log(high), options))
    maturity = np.exp(rng.uniform(np.log(soon), np.log(late), options))
    return [volatility, maturity, *(rng.uniform(*BOUNDS[name], options) for name in ("rate", "dividend_yield"))]


def moves(rng: np.random.Generator, options: int) -> Array:
    """Standard deviations that a strike is out: mostly few, sometimes many. Shape: -> batch."""
    return np.where(rng.random(options) < 0.6, rng.normal(0.0, 2.0, options), rng.uniform(-25.0, 25.0, options))


def drawn(rng: np.random.Generator, options: int) -> Array:
    """Spot, strike and the market. Shape: -> batch feature."""
    volatility, maturity, rate, dividend = market(rng, options)
    spot = np.exp(rng.uniform(-5.0, 7.0, options))
    out = np.clip(moves(rng, options) * volatility * np.sqrt(maturity), -6.0, 6.0)
    return np.stack([spot, spot * np.exp(out + (rate - dividend) * maturity), volatility, maturity, rate, dividend], 1)


def shares(rng: np.random.Generator, options: int) -> Array:
    """The same with strikes as shares of the spot. Shape: -> batch feature."""
    features = drawn(rng, options)
    features[:, 1] /= features[:, 0]
    return features


def deviations(features: Array) -> Array:
    """Standard deviations by volatility and maturity, which stand third and fourth. Shape: batch feature -> batch."""
    result: Array = features[:, 2] * np.sqrt(features[:, 3])
    return result


def near(rng: np.random.Generator, features: Array, *, down: bool) -> Array:
    """Barriers on the living side, from nearly touched to far. Shape: batch feature -> batch."""
    away = np.abs(np.where(rng.random(len(features)) < 0.8, 1.0, 4.0) * rng.normal(0.0, 2.0, len(features)))
    gap = np.clip(away * deviations(features), 1e-6, 4.0)
    result: Array = features[:, 0] * np.exp(-gap if down else gap)
    return result


def struck(rng: np.random.Generator, strike: Array, spot: Array, level: Array, deviation: Array) -> Array:
    """Strikes, some put by the barrier and some far from where the asset ends, all of a scale where the law is normal.

    Shape: batch, batch, batch, batch -> batch.
    """
    options, case = len(strike), rng.random(len(strike))
    by = level + rng.normal(0.0, 1.0, options) * 10.0 ** rng.uniform(-6.0, 0.0, options) * deviation
    deep = spot + rng.uniform(-0.7, 0.7, options)
    return np.select([case < 0.2, case < 0.4], [by, deep], strike)


def bachelier_drawn(rng: np.random.Generator, options: int) -> Array:
    """Spot, strike, volatility in currency and maturity. Shape: -> batch feature."""
    volatility, maturity, *_ = market(rng, options)
    spot = np.exp(rng.uniform(-5.0, 7.0, options))
    deviation = spot * volatility * np.sqrt(maturity)
    return np.stack([spot, spot + moves(rng, options) * deviation, spot * volatility, maturity], axis=1)
