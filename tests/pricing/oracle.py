"""QuantLib as oracle. One date and day count for all: an Actual/365 year fraction of whole days is exact."""

from __future__ import annotations

from typing import Any

import QuantLib

TODAY = QuantLib.Date(2, 1, 2025)
YEAR = 365


def curve(rate: float) -> Any:
    """A flat curve of a continuous rate, per year."""
    QuantLib.Settings.instance().evaluationDate = TODAY
    return QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(TODAY, rate, QuantLib.Actual365Fixed()))


def quote(spot: float) -> Any:
    """A level today."""
    return QuantLib.QuoteHandle(QuantLib.SimpleQuote(spot))


def black_scholes(spot: float, *, rate: float, dividend: float, volatility: float) -> Any:
    """The process of one asset."""
    surface = QuantLib.BlackConstantVol(TODAY, QuantLib.NullCalendar(), volatility, QuantLib.Actual365Fixed())
    return QuantLib.BlackScholesMertonProcess(
        quote(spot), curve(dividend), curve(rate), QuantLib.BlackVolTermStructureHandle(surface)
    )


def payoff(side: str, strike: float) -> Any:
    """What a call or put pays."""
    return QuantLib.PlainVanillaPayoff(QuantLib.Option.Call if side == "call" else QuantLib.Option.Put, strike)


def exercise(years: float = 1.0) -> Any:
    """At the end of so many years, a whole number of days."""
    return QuantLib.EuropeanExercise(TODAY + round(YEAR * years))
