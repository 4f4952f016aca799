"""Problems on a few assets, and QuantLib as oracle."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import QuantLib

from pricing.domain import Feature
from pricing.references.reference import Reference, reference
from pricing.specs.payoff import Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Process
from pricing.types import Array

# One date and day count for all: an Actual/365 year fraction of whole days is exact.
TODAY = QuantLib.Date(2, 1, 2026)
DAYS = 365.0
REFERENCE = Path(__file__).parents[2] / "reference"


@pytest.fixture
def problem() -> Callable[..., PricingProblem]:
    """A problem whose features are the spots, 1 to 200, and what is named with lower and upper bounds."""

    def build(process: Process, payoff: Payoff, years: float, /, **bounds: tuple[float, float]) -> PricingProblem:
        spots = Feature(name="spot", lower=(1.0,) * process.assets, upper=(200.0,) * process.assets)
        others = [Feature(name=name, lower=(low,), upper=(high,)) for name, (low, high) in bounds.items()]
        return PricingProblem(process=process, payoff=payoff, maturity=years, features=(spots, *others))

    return build


@pytest.fixture
def black_scholes() -> Callable[..., Any]:
    """QuantLib's process of one asset: (spot, rate, dividend yield, volatility)."""
    QuantLib.Settings.instance().evaluationDate = TODAY

    def build(spot: float, rate: float, dividend: float, volatility: float) -> Any:
        day_count = QuantLib.Actual365Fixed()
        curves = [
            QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(TODAY, number, day_count))
            for number in (dividend, rate)
        ]
        surface = QuantLib.BlackConstantVol(TODAY, QuantLib.NullCalendar(), volatility, day_count)
        return QuantLib.BlackScholesMertonProcess(
            QuantLib.QuoteHandle(QuantLib.SimpleQuote(spot)), *curves, QuantLib.BlackVolTermStructureHandle(surface)
        )

    return build


@pytest.fixture
def exercise() -> Callable[[float], Any]:
    """QuantLib's European exercise in so many years, a whole number of days."""
    return lambda maturity: QuantLib.EuropeanExercise(TODAY + round(maturity * DAYS))


@pytest.fixture
def bumped() -> Callable[..., tuple[Array, Array]]:
    """Gradient from values and Hessian from gradients, by central differences of the reference itself."""

    def differences(problem: PricingProblem, features: Array, step: float) -> tuple[Array, Array]:
        moves = np.diag(step * (problem.box.upper - problem.box.lower))
        rows = np.concatenate([features[:, None] + moves, features[:, None] - moves], axis=1)
        moved = reference(problem, rows.reshape(-1, len(moves)), order=1)
        up, down = np.split(moved.value.reshape(rows.shape[:2]), 2, axis=1)
        gradient = (up - down) / (2.0 * moves.diagonal())
        up, down = np.split(moved.gradient.reshape(rows.shape), 2, axis=1)
        return gradient, (up - down) / (2.0 * moves.diagonal())[:, None]

    return differences


@pytest.fixture
def assert_finite() -> Callable[[Reference], None]:
    """That nothing of a reference is NaN or infinite."""

    def check(got: Reference) -> None:
        for numbers in (got.value, got.gradient, got.hessian):
            assert np.isfinite(numbers).all()

    return check


@pytest.fixture
def andersen_broadie() -> Callable[[int], list[dict[str, str]]]:
    """The published Bermudan max-calls on so many assets, one row a spot."""
    rows = list(csv.DictReader((REFERENCE / "andersen_broadie.csv").read_text().splitlines()))
    return lambda assets: [row for row in rows if row["assets"] == str(assets)]
