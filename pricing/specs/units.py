"""The unit of every parameter that may be a feature. Torch-free."""

from __future__ import annotations

from pricing.specs.payoff import Bermudan, BestOf, Payoff, WorstOf
from pricing.specs.process import Bachelier, Process

UNITS = {
    **dict.fromkeys(("spot", "strike", "barrier"), "currency"),
    "maturity": "years",
    "volatility": "1 / sqrt(year)",
    **dict.fromkeys(("rate", "dividend_yield"), "1 / year"),
    **dict.fromkeys(("initial_variance", "mean_reversion", "long_variance", "variance_volatility"), "1 / year"),
    **dict.fromkeys(("volatility_scale", "correlation", "loading", "spot_variance_correlation"), "1"),
    **dict.fromkeys(("skew", "curvature", "knock_in", "coupon_barrier"), "1"),
}


def unit(name: str, process: Process, payoff: Payoff) -> str:
    """The unit of a parameter: volatilities of Bachelier assets are in currency, strikes on performances are not."""
    if name == "volatility" and isinstance(process, Bachelier):
        return "currency / sqrt(year)"
    option = payoff.option if isinstance(payoff, Bermudan) else payoff
    if name == "strike" and isinstance(option, WorstOf | BestOf) and set(option.initial) != {1.0}:
        return "1"
    return UNITS[name]
