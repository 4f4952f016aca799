"""A call or put on a basket as a forward option, and the volatility that its value implies. Torch-free.

With D the discount factor and F = w . E[S_T], V = D times the forward option on F struck at K. The implied volatility
is the sigma by which the lognormal law (Black 1976) or the normal one (Bachelier 1900) of F gives V.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pricing.implied.laws import lognormal_deviation, lognormal_slope, normal_deviation, normal_slope
from pricing.specs.european import Call, Put
from pricing.specs.problem import PricingProblem, tag
from pricing.specs.schedule import Piece
from pricing.types import Array, BoolArray

ImpliedLaw = Literal["lognormal", "normal"]
# The unit of an implied volatility by its law.
UNITS: dict[ImpliedLaw, str] = {"lognormal": "1 / sqrt(year)", "normal": "currency / sqrt(year)"}
# What is left of a value above intrinsic is rounding below so many of F and K.
ROUNDINGS = 16.0 * float(np.finfo(np.float64).eps)
# Why a row has no implied volatility, the first that holds; longer ones would make answers longer than their bound.
NO_TIME, NO_LEVELS = "no time to maturity", "forward or strike not above 0"
TOO_LOW, TOO_HIGH = "value at or below intrinsic", "value at or above its limit"


@dataclass(frozen=True, kw_only=True)
class ForwardOption:
    """F and K in currency, D, and years to maturity. Shape: batch each."""

    forward: Array
    strike: Array
    discount: Array
    years: Array


@dataclass(frozen=True, kw_only=True)
class Implied:
    """Implied volatilities.

    Args:
        volatility: per sqrt(year), of the normal law in currency; NaN where there is none.
        vega: dV by it, currency per 1.00; NaN where there is none.
        reasons: why there is none; None where there is one.

    Shape: batch each.
    """

    volatility: Array
    vega: Array
    reasons: Sequence[str | None]


def why_not_implied(problem: PricingProblem) -> str | None:
    """Why values of a problem imply no volatility; None where they do."""
    if not isinstance(problem.payoff, Call | Put):
        return f"only a call or put on a basket at maturity implies one, and this is a {tag(problem.payoff)}"
    if not problem.process.facts.carried:
        return f"the forward of an {tag(problem.process)} is not known: its drift is an expression"
    if problem.process.facts.pays_cash:
        return "dividends in currency leave no forward in closed form"
    return None


def implied_law(problem: PricingProblem) -> ImpliedLaw:
    """Lognormal where the basket is positive whatever happens, else normal."""
    weights = problem.payoff.facts.weights or ()
    return "lognormal" if problem.process.facts.positive and min(weights) >= 0.0 else "normal"


def implied_volatility(problem: PricingProblem, features: Array, value: Array) -> Implied:
    """The volatilities that values of a call or put imply. Shape: features batch feature, value batch.

    Raises:
        ValueError: values of this problem imply none, see `why_not_implied`.
    """
    option, law = forward_option(problem, features), implied_law(problem)
    with np.errstate(all="ignore"):
        reasons, time_value = _judged(problem, option, value, law)
        there = np.array([reason is None for reason in reasons])
        volatility, vega = np.full(len(value), np.nan), np.full(len(value), np.nan)
        forward, strike, beta = option.forward[there], option.strike[there], time_value[there]
        if law == "lognormal":
            deviation = lognormal_deviation(beta, forward, strike)
            slope = lognormal_slope(deviation, forward, strike)
        else:
            deviation = normal_deviation(beta, np.abs(forward - strike))
            slope = normal_slope(deviation, np.abs(forward - strike))
        root = np.sqrt(option.years[there])
        volatility[there], vega[there] = deviation / root, option.discount[there] * slope * root
    return Implied(volatility=volatility, vega=vega, reasons=reasons)


def _judged(
    problem: PricingProblem, option: ForwardOption, value: Array, law: ImpliedLaw
) -> tuple[list[str | None], Array]:
    """Why rows have no implied volatility, and their undiscounted time values. Shape: -> batch; batch."""
    undiscounted, gain = value / option.discount, option.forward - option.strike
    intrinsic = np.maximum(gain if isinstance(problem.payoff, Call) else -gain, 0.0)
    time_value: Array = undiscounted - intrinsic
    rounding = np.where(intrinsic > 0.0, ROUNDINGS * (np.abs(option.forward) + np.abs(option.strike)), 0.0)
    limit = np.minimum(option.forward, option.strike) if law == "lognormal" else np.full_like(value, np.inf)
    tests: tuple[tuple[str, BoolArray], ...] = (
        (NO_TIME, ~(option.years > 0.0)),
        (NO_LEVELS, ~(limit > 0.0)),
        (TOO_LOW, ~(time_value > rounding)),
        (TOO_HIGH, ~(time_value < limit)),
    )
    reasons: list[str | None] = [None] * len(value)
    for reason, holds in reversed(tests):
        for row in np.flatnonzero(holds):
            reasons[row] = reason
    return reasons, time_value


def forward_option(problem: PricingProblem, features: Array) -> ForwardOption:
    """What the features make of a call or put. Shape: features batch feature.

    Raises:
        ValueError: they make none, see `why_not_implied`.
    """
    payoff = problem.payoff
    if (reason := why_not_implied(problem)) is not None or not isinstance(payoff, Call | Put):
        raise ValueError(reason)
    years = parameter(problem, features, "maturity")[:, 0]
    carried = "rate" in problem.process.parameters
    with np.errstate(over="ignore", invalid="ignore"):
        paid = integral(parameter(problem, features, "rate"), problem.process.rate_pieces, years) if carried else 0.0
        growth = np.zeros((len(features), problem.process.assets))
        if carried:
            growth = np.reshape(paid, (-1, 1)) - years[:, None] * parameter(problem, features, "dividend_yield")
        for dividend in problem.process.facts.dividends:
            gone = years >= dividend.time
            growth[gone, dividend.asset] += np.log1p(-dividend.proportion) if dividend.proportion < 1.0 else -np.inf
        levels = parameter(problem, features, "spot") * np.exp(growth)
        return ForwardOption(
            forward=levels @ np.array(payoff.weights),
            strike=parameter(problem, features, "strike")[:, 0],
            discount=np.exp(np.broadcast_to(-np.asarray(paid), years.shape)),
            years=years,
        )


def parameter(problem: PricingProblem, features: Array, name: str) -> Array:
    """A parameter at the features: their columns, or the problem's own value. Shape: -> batch coordinate."""
    if name in (feature.name for feature in problem.features):
        return features[:, problem.box.columns(name)]
    values = np.array(problem.parameters[name], dtype=np.float64)
    return np.broadcast_to(values, (len(features), len(values)))


def integral(values: Array, pieces: Sequence[Piece], until: Array) -> Array:
    """Integral from 0 to ``until`` of a piecewise-constant function of time, its first value from 0 on.

    Shape: values batch piece, until batch -> batch.
    """
    starts = np.array([0.0, *(piece.start for piece in pieces)])
    ends = np.array([*(piece.start for piece in pieces), np.inf])
    lengths = np.maximum(np.minimum(until[:, None], ends) - starts, 0.0)
    result: Array = (lengths * values).sum(axis=1)
    return result
