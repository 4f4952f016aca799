from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from pricing.domain import Box, Feature
from pruning.intervals.interval import Interval, interval_of
from pruning.spec import MethodName, PruningSpec
from pruning.stage import Evidence
from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import Network
from surrogate.learning.training import fit
from surrogate.spec import LBFGS, NetworkSpec, SobolevLoss, TrainingSpec
from surrogate.standardisation import fit_standardisation


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


@pytest.fixture(scope="session")
def box() -> Box:
    return Box(features=(Feature(name="spot", lower=(0.5, 0.4, 0.3), upper=(1.5, 1.6, 1.7)),))


@pytest.fixture(scope="session")
def interval(box: Box) -> Interval:
    return interval_of(box)


@pytest.fixture
def points_in(generator: torch.Generator) -> Callable[..., torch.Tensor]:
    """So many random points of an interval, a share of them corners, where most errors are largest."""

    def draw(interval: Interval, count: int, *, corners: float = 0.2) -> torch.Tensor:
        uniforms = torch.rand(count, len(interval.lower), generator=generator, dtype=torch.float64)
        last = int(corners * count)
        uniforms[:last] = uniforms[:last].round()
        return interval.lower + interval.width * uniforms

    return draw


@pytest.fixture(scope="session")
def dataset(box: Box) -> Dataset:
    """A smooth ramp of a basket of three, its third weight small, with exact deltas."""
    generator = torch.Generator().manual_seed(1)
    uniforms = torch.rand(256, 3, generator=generator, dtype=torch.float64)
    x = torch.from_numpy(box.from_uniforms(uniforms.numpy()))
    weights = torch.tensor([0.6, 0.35, 0.05], dtype=torch.float64)
    moneyness = 8.0 * (x @ weights - 1.0)
    return Dataset(
        x=x, y=torch.nn.functional.softplus(moneyness) / 8.0, gradient=torch.sigmoid(moneyness)[:, None] * weights
    )


@pytest.fixture(scope="session")
def trained(dataset: Dataset) -> Network:
    """An oversized network fitted to the dataset, raw units."""
    spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=60),))
    generator = torch.Generator().manual_seed(2)
    return fit(dataset, NetworkSpec(hidden=(10, 8)), spec, generator=generator).network


@pytest.fixture
def evidence_of() -> Callable[..., Evidence]:
    """All samples of a data set for a step to look at, under a specification of the given fields."""

    def make(
        dataset: Dataset,
        *,
        domain: Interval | None = None,
        generator: torch.Generator | None = None,
        method: MethodName = "magnitude",
        **fields: Any,
    ) -> Evidence:
        scaling = fit_standardisation(dataset.x, dataset.y)
        return Evidence(
            dataset=normalise(dataset, scaling),
            standardisation=scaling,
            training=dataset,
            domain=domain,
            spec=PruningSpec(method=method, sparsity=0.5, **fields),
            generator=generator or torch.Generator().manual_seed(0),
        )

    return make
