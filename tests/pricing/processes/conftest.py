"""Draws and features that the tests of the processes share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pricing.domain import Feature
from pricing.draws import stream, to_normals, uniforms
from pricing.processes.simulate import simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.problem import PricingProblem

Normals = Callable[..., Tensor]
# Widest bounds of what the tests vary.
BOUNDS = {"spot_variance_correlation": (-1.0, 1.0), "skew": (-0.99, 0.99), "rate": (-1.0, 1.0)}


@pytest.fixture
def normals() -> Normals:
    """Scrambled Sobol normals, one set a seed. Shape: -> 1 path dimension."""

    def draw(dimension: int, *, paths: int, seed: int = 0) -> Tensor:
        points = uniforms("sobol", paths, dimension, generator=stream("paths", seed, seed=seed))
        return torch.from_numpy(to_normals(points))[None]

    return draw


@pytest.fixture
def features() -> Callable[..., tuple[Feature, ...]]:
    """Features of one coordinate by name, within bounds that any test stays in."""

    def make(*names: str) -> tuple[Feature, ...]:
        bounds = {name: BOUNDS.get(name, (0.0, 3.0)) for name in names}
        return tuple(Feature(name=name, lower=(low,), upper=(high,)) for name, (low, high) in bounds.items())

    return make


@pytest.fixture
def conditional_call() -> Callable[[PricingProblem, Tensor, Tensor], Tensor]:
    """Black's formula over the first normal given the others, for a call on one asset at maturity.

    Shape: features batch feature, normals 1-or-batch path dimension -> batch path.
    """

    def price(problem: PricingProblem, features: Tensor, normals: Tensor) -> Tensor:
        at = scenario(problem, features)
        until = times(problem, at)
        low, high = normals.clone(), normals.clone()
        low[..., 0], high[..., 0] = 0.0, 1.0
        still, moved = (simulate(problem.process, at, z, until) for z in (low, high))
        deviation = torch.log(moved.noise / still.noise)[:, :, -1, 0]
        forward = still.levels()[..., 0] * torch.exp(0.5 * deviation.square())
        strike = at.scalar("strike")
        d = torch.log(forward / strike) / deviation + 0.5 * deviation
        cash = forward * torch.special.ndtr(d) - strike * torch.special.ndtr(d - deviation)
        value: Tensor = still.discount[..., -1] * cash
        return value

    return price
