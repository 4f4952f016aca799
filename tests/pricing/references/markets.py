"""Small problems of early exercise for the tests of their reference's parts."""

from __future__ import annotations

from pricing.domain import Feature
from pricing.specs.european import BestOf, Put, WorstOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes

ROWS = ((1.0, 0.3, 0.1), (0.3, 1.0, -0.2), (0.1, -0.2, 1.0))
MAXIMUM = BestOf(initial=(1.0, 1.0, 1.0), strike=100.0)
MINIMUM = WorstOf(initial=(1.0, 1.0, 1.0), strike=100.0)
BASKET = Put(weights=(0.2, 0.3, 0.5), strike=100.0)


def three(option: BestOf | WorstOf | Put, *features: Feature) -> PricingProblem:
    """Three unlike assets at three dates."""
    process = BlackScholes(volatilities=(0.2, 0.25, 0.3), correlation=ROWS, rate=0.05, dividend_yields=(0.1, 0.0, 0.05))
    spots = Feature(name="spot", lower=(80.0,) * 3, upper=(120.0,) * 3)
    payoff = Bermudan(option=option, dates=(0.25, 0.5, 1.0))
    return PricingProblem(process=process, payoff=payoff, maturity=2.0, features=(spots, *features))
