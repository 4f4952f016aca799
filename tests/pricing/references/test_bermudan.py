"""The reference of early exercise on several assets against the literature, and its Greeks against each other."""

from collections.abc import Callable

import numpy as np
import pytest

from pricing.domain import Feature
from pricing.references import bermudan
from pricing.references.reference import reference
from pricing.specs.european import BestOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes


@pytest.fixture
def max_call() -> PricingProblem:
    """The contract of Andersen & Broadie on three assets."""
    process = BlackScholes(
        volatilities=(0.2,) * 3,
        correlation=((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
        rate=0.05,
        dividend_yields=(0.1,) * 3,
    )
    option = BestOf(initial=(1.0,) * 3, strike=100.0)
    return PricingProblem(
        process=process,
        payoff=Bermudan(option=option, dates=tuple((k + 1) / 9 for k in range(9))),
        maturity=3.0,
        features=(Feature(name="spot", lower=(80.0,) * 3, upper=(120.0,) * 3),),
    )


def test_values_are_those_of_the_literature(
    max_call: PricingProblem, andersen_broadie: Callable[[int], list[dict[str, str]]]
) -> None:
    rows = andersen_broadie(3)
    spots = np.array([[float(row["spot"])] * 3 for row in rows])
    got, published = reference(max_call, spots, order=2), np.array([float(row["low"]) for row in rows])
    assert got.kind == "replicates"
    assert got.relative_error == bermudan.RULE_ERROR
    assert got.standard_error is not None
    assert (got.value <= published + 4.0 * got.standard_error).all()
    assert (got.value >= published * (1.0 - bermudan.RULE_ERROR) - 4.0 * got.standard_error).all()
    # Between two spots the gradient moves by what the Hessian says, but for third derivatives: Simpson's rule.
    assert got.hessian_error is not None
    assert got.gradient_error is not None
    along = got.hessian.sum(axis=(1, 2))
    moved = (got.gradient[2] - got.gradient[0]).sum()
    predicted = (along[0] + 4.0 * along[1] + along[2]) / 6.0 * 20.0
    noise = 20.0 * np.sqrt((got.hessian_error**2).sum())
    assert abs(moved - predicted) < 4.0 * noise + 0.02
