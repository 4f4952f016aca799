from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.specs.european import Call, Digital
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from surrogate.evaluation.payoff_bounds import follows

BLACK = BlackScholes(volatilities=(0.2, 0.3), correlation=((1.0, 0.5), (0.5, 1.0)), rate=0.1)
X = np.array([[1.0, 0.9], [1.1, 1.2]])


def problem(payoff: Any, process: Any = BLACK) -> PricingProblem:
    spot = Feature(name="spot", lower=(0.7,) * payoff.assets, upper=(1.3,) * payoff.assets)
    return PricingProblem(process=process, payoff=payoff, maturity=2.0, features=(spot,))


def test_a_digital_pays_its_cash_at_most_and_follows_its_weights() -> None:
    found = follows(problem(Digital(weights=(1.0, -0.5), strike=0.3, cash=7.0)), X)
    assert found is not None
    assert found.high == pytest.approx(7.0 * np.exp(-0.2))
    assert found.signs["spot"].tolist() == [1.0, -1.0]


@pytest.mark.parametrize(
    ("direction", "knock", "side", "sign"),
    [
        ("down", "out", "call", 1.0),
        ("up", "in", "call", 1.0),
        ("up", "out", "put", -1.0),
        ("down", "in", "put", -1.0),
        ("up", "out", "call", 0.0),
        ("down", "out", "put", 0.0),
    ],
)
def test_a_barrier_moves_with_the_spot_where_survival_and_payment_do(
    direction: Any, knock: Any, side: Any, sign: float
) -> None:
    one = BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=0.1)
    payoff = Barrier(
        strike=1.0, barrier=0.8 if direction == "down" else 1.2, direction=direction, knock=knock, side=side
    )
    found = follows(problem(payoff, one), X[:, :1])
    assert found is not None
    assert found.signs["spot"].tolist() == [sign]
    assert (found.high is None) == (side == "call")
    normal = Bachelier(volatilities=(0.2,), correlation=((1.0,),))  # whose levels may be negative
    assert getattr(follows(replace(problem(payoff, one), process=normal), X[:, :1]), "high", 0) is None


def test_other_payoffs_say_nothing() -> None:
    assert follows(problem(Call(weights=(0.5, 0.5), strike=1.0)), X) is None
