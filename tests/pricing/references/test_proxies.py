"""Closed forms that are nearly European options: near simulation, exact for one asset, smooth at ties."""

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from pricing.references.market import market
from pricing.references.proxies import greatest, proxy
from pricing.specs.european import BestOf, Put, WorstOf
from tests.pricing.references.markets import BASKET, MAXIMUM, MINIMUM, three

ROW = torch.tensor([[100.0, 90.0, 110.0]], dtype=torch.float64)
SPREAD = replace(BASKET, weights=(1.0, 1.0, -1.0), strike=70.0)


@pytest.mark.parametrize("option", [MAXIMUM, MINIMUM, BASKET, SPREAD])
def test_they_are_nearly_what_paths_earn(option: BestOf | WorstOf | Put) -> None:
    here = market(three(option), ROW)
    draws = torch.from_numpy(np.random.default_rng(1).standard_normal((2, 3, 1 << 16)))
    x = here.step(here.start[:, None], draws[0, :, :1], 0)
    after = here.step(x.expand(-1, 1 << 16), draws[1], 1)
    mean = float(here.exercised(after, 1).clamp(min=0.0).mean())
    assert float(proxy(here, x, 0, 1)) == pytest.approx(mean, rel=0.06, abs=0.1)


def test_the_greatest_of_two_is_exact_and_of_one_itself() -> None:
    mean = torch.tensor([[0.1], [0.2]], dtype=torch.float64)
    covariance = torch.tensor([[0.04, 0.01], [0.01, 0.09]], dtype=torch.float64)
    draws = np.random.default_rng(1).multivariate_normal(mean[:, 0].numpy(), covariance.numpy(), size=1 << 20)
    middle, variance = greatest(mean, covariance)
    assert float(middle) == pytest.approx(draws.max(axis=1).mean(), abs=2e-3)
    assert float(variance) == pytest.approx(draws.max(axis=1).var(), abs=2e-3)
    middle, variance = greatest(mean[:1], covariance[:1, :1])
    assert float(middle) == pytest.approx(0.1)
    assert float(variance) == pytest.approx(0.04)
