"""Products as somebody describes them who knows nothing of labels or networks: a `[problem]` each and no more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.specification.build import BuildSpec
from pricing.specs.base import load


def feature(name: str, lower: Sequence[float], upper: Sequence[float]) -> dict[str, Any]:
    """A feature of the Box."""
    return {"name": name, "lower": list(lower), "upper": list(upper)}


def black_scholes(volatilities: Sequence[float], correlation: float = 0.0, rate: float = 0.0) -> dict[str, Any]:
    """Assets that are all as much correlated."""
    n = len(volatilities)
    matrix = [[1.0 if i == j else correlation for j in range(n)] for i in range(n)]
    return {"kind": "black_scholes", "volatilities": list(volatilities), "correlation": matrix, "rate": rate}


def one(maturity: float, volatility: float, rate: float, payoff: dict[str, Any], *features: dict[str, Any]) -> Any:
    """A product of one asset."""
    process = black_scholes([volatility], rate=rate)
    return {"maturity": maturity, "process": process, "payoff": payoff, "features": list(features)}


DOWN_OUT = {"kind": "barrier", "strike": 100.0, "direction": "down", "knock": "out", "side": "call"}
AUTOCALL = {
    "kind": "autocall",
    "initial": [100.0] * 4,
    "dates": [0.25, 0.5, 0.75, 1.0],
    "triggers": [1.0] * 4,
    "coupon": 0.04,
    "coupon_barrier": 0.8,
    "knock_in": 0.6,
    "notional": 100.0,
}

STRANGERS: Mapping[str, Any] = {
    "one-day call": one(
        1.0 / 365.0,
        0.2,
        0.03,
        {"kind": "call", "strike": 100.0, "weights": [1.0]},
        feature("spot", [60.0], [160.0]),
    ),
    "digital, a few days to a year": one(
        1.0,
        0.2,
        0.03,
        {"kind": "digital", "strike": 100.0, "weights": [1.0]},
        feature("spot", [60.0], [160.0]),
        feature("maturity", [0.01], [1.0]),
    ),
    "down-and-out call, its barrier inside": one(
        1.0, 0.3, 0.02, DOWN_OUT | {"barrier": 120.0}, feature("spot", [100.0], [200.0])
    ),
    "down-and-out call": one(1.0, 0.3, 0.02, DOWN_OUT | {"barrier": 80.0}, feature("spot", [81.0], [160.0])),
    "call, strike and volatility vary": one(
        0.5,
        0.2,
        0.01,
        {"kind": "call", "strike": 100.0, "weights": [1.0]},
        feature("spot", [50.0], [150.0]),
        feature("strike", [80.0], [120.0]),
        feature("volatility", [0.1], [0.5]),
    ),
    "worst-of put on 2": {
        "maturity": 1.0,
        "process": black_scholes([0.2, 0.3], 0.4, 0.02),
        "payoff": {"kind": "worst_of", "side": "put", "strike": 1.0, "initial": [100.0, 100.0]},
        "features": [feature("spot", [60.0, 60.0], [140.0, 140.0])],
    },
    "worst-of put on 5, correlation varies": {
        "maturity": 1.0,
        "process": black_scholes([0.2, 0.25, 0.3, 0.22, 0.28], 0.5, 0.02),
        "payoff": {"kind": "worst_of", "side": "put", "strike": 1.0, "initial": [100.0] * 5},
        "features": [feature("spot", [70.0] * 5, [130.0] * 5), feature("correlation", [0.2], [0.8])],
    },
    "basket of 20": {
        "maturity": 1.0,
        "process": black_scholes([0.15 + 0.01 * i for i in range(20)], 0.4, 0.02),
        "payoff": {"kind": "call", "strike": 100.0, "weights": [0.05] * 20},
        "features": [feature("spot", [70.0] * 20, [130.0] * 20)],
    },
    "autocall on 4, volatilities and maturity vary": {
        "maturity": 2.0,
        "process": black_scholes([0.2, 0.25, 0.3, 0.22], 0.5, 0.03),
        "payoff": AUTOCALL,
        "features": [
            feature("spot", [60.0] * 4, [130.0] * 4),
            feature("volatility", [0.15] * 4, [0.4] * 4),
            feature("maturity", [0.5], [2.0]),
        ],
    },
}


def stranger(name: str, *, seed: int) -> BuildSpec:
    """The build of a product by its name."""
    return load(BuildSpec, {"name": "stranger", "seed": seed, "problem": STRANGERS[name]})
