"""Problems that the pricing tests share."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pricing.case_study import SEVEN_ASSET_WEIGHTS, random_market
from pricing.domain import Feature
from pricing.specs.base import load
from pricing.specs.european import Call, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture
def seven() -> PricingProblem:
    """The seven-asset basket call of the seed paper: s = 0.2, K = 1.1, forward convention."""
    market = random_market(7, seed=1, weights=SEVEN_ASSET_WEIGHTS)
    return PricingProblem(
        process=Bachelier(volatilities=market.volatilities, correlation=market.correlation),
        payoff=Call(weights=market.weights, strike=1.1),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.3,) * 7, upper=(1.7,) * 7),),
    )


@pytest.fixture
def long_short() -> PricingProblem:
    """A put on three assets with weights of both signs, carry and discounting."""
    return load(PricingProblem, tomllib.loads((REFERENCE / "long_short.toml").read_text()))


@pytest.fixture
def spots(seven: PricingProblem) -> Tensor:
    """Sixteen points around the money of the seven-asset basket, |d| < 2."""
    generator = torch.Generator().manual_seed(0)
    return 1.1 + 0.8 * (torch.rand((16, 7), dtype=torch.float64, generator=generator) - 0.5)


@pytest.fixture
def single() -> PricingProblem:
    """One asset, forward convention, unit spot and 20 % normal volatility."""
    return PricingProblem(
        process=Bachelier(volatilities=(0.2,), correlation=((1.0,),)),
        payoff=Put(weights=(1.0,), strike=1.1),
        maturity=1.0,
        features=(Feature(name="spot", lower=(0.5,), upper=(1.5,)),),
    )


@pytest.fixture(params=["seven", "long_short", "single"])
def problem(request: pytest.FixtureRequest) -> PricingProblem:
    """Every problem above in turn."""
    value = request.getfixturevalue(request.param)
    assert isinstance(value, PricingProblem)
    return value
