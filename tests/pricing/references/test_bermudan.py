"""The reference of early exercise on several assets against the literature, and its Greeks against each other."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pricing.domain import Feature
from pricing.references import bermudan
from pricing.references.reference import reference
from pricing.specs.european import BestOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes

TABLE = Path(__file__).parents[2] / "reference" / "andersen_broadie.csv"
ROWS = [row for row in csv.DictReader(TABLE.read_text().splitlines()) if row["assets"] == "3"]


@pytest.fixture
def max_call() -> Callable[[float], PricingProblem]:
    """The market of Andersen & Broadie with three assets, of initial levels 1 times a scale."""

    def build(scale: float) -> PricingProblem:
        process = BlackScholes(
            volatilities=(0.2,) * 3,
            correlation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
            rate=0.05,
            dividend_yields=(0.1,) * 3,
        )
        option = BestOf(initial=(scale,) * 3, strike=100.0 / scale)
        return PricingProblem(
            process=process,
            payoff=Bermudan(option=option, dates=tuple((k + 1) / 9 for k in range(9))),
            maturity=3.0,
            features=(Feature(name="spot", lower=(80.0,) * 3, upper=(120.0,) * 3),),
        )

    return build


def test_values_are_those_of_the_literature(max_call: Callable[[float], PricingProblem]) -> None:
    spots = np.array([[float(row["spot"])] * 3 for row in ROWS])
    found, published = reference(max_call(1.0), spots, order=2), np.array([float(row["low"]) for row in ROWS])
    assert found.kind == "replicates"
    assert found.relative_error == bermudan.RULE_ERROR
    assert found.standard_error is not None
    assert (found.value <= published + 4.0 * found.standard_error).all()
    assert (found.value >= published * (1.0 - bermudan.RULE_ERROR) - 4.0 * found.standard_error).all()
    # Between two spots the gradient moves by what the Hessian says, but for third derivatives: Simpson's rule.
    assert found.hessian_error is not None
    assert found.gradient_error is not None
    along = found.hessian.sum(axis=(1, 2))
    moved = (found.gradient[2] - found.gradient[0]).sum()
    predicted = (along[0] + 4.0 * along[1] + along[2]) / 6.0 * 20.0
    noise = 20.0 * np.sqrt((found.hessian_error**2).sum())
    assert abs(moved - predicted) < 4.0 * noise + 0.02
