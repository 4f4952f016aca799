from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from pricing.domain import Feature
from pricing.specs.european import Call, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.functions.network import Network, initialise


@pytest.fixture
def make_problem() -> Callable[[type[Call | Put]], PricingProblem]:
    """A call or a put on two assets with carry, spots from 0.6 to 1.4."""
    process = Bachelier(
        volatilities=(0.2, 0.3),
        correlation=((1.0, 0.4), (0.4, 1.0)),
        convention="carry",
        rate=0.05,
        dividend_yields=(0.01, 0.0),
    )
    spots = Feature(name="spot", lower=(0.6, 0.6), upper=(1.4, 1.4))
    return lambda kind: PricingProblem(
        process=process, payoff=kind(weights=(0.7, 0.3), strike=1.0), maturity=1.0, features=(spots,)
    )


@pytest.fixture
def call(make_problem: Callable[[type[Call | Put]], PricingProblem]) -> PricingProblem:
    """The call of `make_problem`."""
    return make_problem(Call)


@pytest.fixture
def student() -> Network:
    """An untrained network of two features."""
    return initialise((2, 4, 1), "softplus", generator=torch.Generator().manual_seed(3))
