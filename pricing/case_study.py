"""Random basket markets and test points of the published case studies.

References: Huge & Savine (2020), "Differential machine learning"; Kichler, Afghan & Naumann (2024), "Towards Sobolev
pruning". Market data are parameters of a surrogate: they belong in its spec, not in its data.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pricing.draws import stream
from pricing.errors import InvalidSpec
from pricing.types import Array

# Weights of the seven-asset case, read off its published deltas (every delta is weight times a common factor).
SEVEN_ASSET_WEIGHTS = (0.03523608, 0.19428860, 0.20768846, 0.20812615, 0.04973940, 0.07701987, 0.22790145)
# Ranges of the raw weights and volatilities before both are scaled (Huge & Savine 2020).
RAW_WEIGHTS = (1.0, 10.0)
RAW_VOLATILITIES = (5.0, 50.0)


@dataclass(frozen=True, kw_only=True)
class Market:
    """Weights, volatilities (currency per sqrt(year)) and correlation as a spec takes them."""

    weights: tuple[float, ...]
    volatilities: tuple[float, ...]
    correlation: tuple[tuple[float, ...], ...]


def random_market(
    assets: int, *, seed: int, basket_volatility: float = 0.2, weights: Sequence[float] | None = None
) -> Market:
    """A market whose basket w . S has exactly the volatility asked for.

    rho is the correlation of A^T A with A uniform on (-1, 1), 2d by d; weights and volatilities are uniform and then
    scaled, w to sum 1 (given weights are kept as they are), sigma so that sqrt((w sigma)^T rho (w sigma)) is right.

    Raises:
        InvalidSpec: weights of another number than ``assets``.
    """
    generator = stream("market", assets, seed=seed)
    root = generator.uniform(-1.0, 1.0, (2 * assets, assets))
    raw_weights = generator.uniform(*RAW_WEIGHTS, assets)
    w = raw_weights / raw_weights.sum() if weights is None else np.array(weights)
    if len(w) != assets:
        raise InvalidSpec(f"weights: give {assets}, one per asset, got {len(w)}")
    covariance = root.T @ root
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    np.fill_diagonal(correlation, 1.0)
    sigma = generator.uniform(*RAW_VOLATILITIES, assets)
    sigma *= basket_volatility / math.sqrt((w * sigma) @ correlation @ (w * sigma))
    return Market(
        weights=tuple(w.tolist()),
        volatilities=tuple(sigma.tolist()),
        correlation=tuple(tuple(row) for row in correlation.tolist()),
    )


def evaluation_spots(assets: int, samples: int, *, seed: int, lower: float = 0.5, upper: float = 1.5) -> Array:
    """Independent uniform spots around 1, spread so that their basket covers about [lower, upper].

    a = 1 + sqrt((d - 1)(upper - lower) / 12) / 2,   S_i ~ U(1 - (1 - lower) a, 1 + (upper - 1) a)

    Shape: -> batch asset.
    """
    spread = 1.0 + 0.5 * math.sqrt((assets - 1) * (upper - lower) / 12.0)
    generator = stream("test spots", seed=seed)
    return generator.uniform(1.0 - (1.0 - lower) * spread, 1.0 + (upper - 1.0) * spread, (samples, assets))
