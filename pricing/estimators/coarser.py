"""The same paths on half as many time steps, and what that changes: the bias of a grid, seen without its noise.

A step of the coarse grid is driven by the sum of two of the fine one's normals over the root of two: where steps have
equal lengths the Brownian motion is the same, and elsewhere nearly. What is read off both grids moves together, so
that few paths tell the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import assert_never

import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.estimators.contribute import contribution
from pricing.estimators.contribution import Contribution
from pricing.processes.grid import steps
from pricing.simulation.rotation import Rotation, identity
from pricing.simulation.scenario import Scenario
from pricing.specs.choice import settle
from pricing.specs.diffusion import MAXIMUM_STEPS
from pricing.specs.estimator import Bridge, Estimator
from pricing.specs.ito import ItoDiffusion
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton
from pricing.specs.time_steps import gridded
from pricing.specs.variations import on_grid


def doubled(problem: PricingProblem, estimator: Estimator) -> tuple[PricingProblem, Estimator]:
    """Problem and estimator with twice the time steps between any two dates, or as many as there may be.

    An even number, where there is a bias of time steps at all.
    """
    return _with_steps(gridded(problem), estimator, lambda steps, most: 2 * min(steps, most // 2))


def halved(problem: PricingProblem, estimator: Estimator) -> tuple[PricingProblem, Estimator]:
    """What `doubled` made, with half its time steps between any two dates."""
    return _with_steps(problem, estimator, lambda steps, _: steps // 2)


def _with_steps(
    problem: PricingProblem, estimator: Estimator, change: Callable[[int, int], int]
) -> tuple[PricingProblem, Estimator]:
    """With another number of steps between two dates, given the number and the most that there may be."""
    process, bridged = problem.process, isinstance(estimator, Bridge)
    dates = 1 if bridged else len(problem.payoff.facts.dates)
    own = estimator.steps if isinstance(estimator, Bridge) else 1
    match process:
        case Heston() | LocalVolatility() | ItoDiffusion():
            between = change(max(own, steps(process, dates)), MAXIMUM_STEPS // dates)
            estimator = Bridge() if bridged else estimator
            return replace(problem, process=on_grid(process, dates * between)), estimator
        case Bachelier() | BlackScholes() | Merton() if bridged and process.facts.bridge == "straight":
            return problem, Bridge(steps=change(own, MAXIMUM_STEPS))
        case Bachelier() | BlackScholes() | Merton():
            return problem, estimator
        case _:
            assert_never(process)


def coarser(problem: PricingProblem, estimator: Estimator, *, seed: int) -> Contribution | None:
    """What paths contribute on half the steps, from the normals of the fine grid; None where no step is biased.

    Args:
        problem, estimator: as `doubled` makes them.
        seed: as of `contribution`.
    """
    settled = settle(problem, estimator)
    halves = halved(problem, settled)
    if halves == (problem, settled):
        return None
    fine, coarse = contribution(problem, settled, seed=seed), contribution(*halves, seed=seed)
    take = partial(_paired, problem, settled, coarse.dimension)

    def value(at: Scenario, normals: Tensor, _: Rotation) -> Tensor:
        return coarse.value(at, take(normals), identity(coarse.blocks))

    return Contribution(
        value=value,
        pilot=lambda at, normals: coarse.pilot(at, take(normals)),
        blocks=(fine.dimension,),
        numbers=fine.numbers,
    )


def _paired(problem: PricingProblem, estimator: Estimator, dimension: int, normals: Tensor) -> Tensor:
    """Normals of the coarse grid from those of the fine one. Shape: ... fine -> ... dimension."""
    assets = problem.process.assets
    extra = 2 * dimension - normals.shape[-1]
    match problem.process:
        case Heston() if isinstance(estimator, Bridge):
            kept = extra // 2
            halves = normals.chunk(2, dim=-1)
            return torch.cat([torch.cat([summed(half[..., kept:], 1), half[..., :kept]], -1) for half in halves], -1)
        case Heston():
            return torch.cat([normals[..., :extra], summed(normals[..., extra:], assets)], dim=-1)
        case LocalVolatility() | ItoDiffusion():
            ordered = summed(torch.cat([normals[..., assets:], normals[..., :assets]], dim=-1), assets)
            return torch.cat([ordered[..., -assets:], ordered[..., :-assets]], dim=-1)
        case Bachelier() | BlackScholes() | Merton():
            return torch.cat([normals[..., :extra], summed(normals[..., extra:], assets)], dim=-1)
        case _:
            assert_never(problem.process)


def summed(normals: Tensor, assets: int) -> Tensor:
    """Pairs of steps as one. Shape: ... step*asset -> ... step/2*asset."""
    pairs = normals.reshape(*normals.shape[:-1], -1, 2, assets)
    return (pairs.sum(dim=-2) / math.sqrt(2.0)).flatten(-2)
