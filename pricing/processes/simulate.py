"""The one place where a process specification meets its module."""

from __future__ import annotations

from typing import assert_never

from torch import Tensor

from pricing.processes import bachelier, black_scholes, grid, heston, ito, local_volatility, merton
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario
from pricing.specs.ito import ItoDiffusion
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton, Process


def simulate(process: Process, at: Scenario, normals: Tensor, until: Tensor) -> Paths:
    """The assets at the dates, deterministic in its arguments and differentiable in the scenario.

    Args:
        normals: standard normals. Shape: ``1 path dimension`` (shared by the batch) or ``batch path dimension``.
        until: the dates in years. Shape: ``batch-or-1 1 date``.
    """
    match process:
        case Bachelier():
            return bachelier.simulate(process, at, normals, until)
        case BlackScholes():
            return black_scholes.simulate(process, at, normals, until)
        case Heston():
            return heston.simulate(process, at, normals, until)
        case LocalVolatility():
            return local_volatility.simulate(process, at, normals, until)
        case Merton():
            return merton.simulate(process, at, normals, until)
        case ItoDiffusion():
            return ito.simulate(process, at, normals, until)
        case _:
            assert_never(process)


def blocks(process: Process, dates: int) -> tuple[int, ...]:
    """Sizes of the groups of consecutive normals that a rotation may mix.

    Given all others, S or ln S is affine in the normals of the first group: one of those can be integrated exactly.
    """
    match process:
        case Bachelier():
            return (process.assets * dates,)
        case BlackScholes():
            return black_scholes.blocks(process, dates)
        case Heston() | LocalVolatility() | ItoDiffusion():
            return grid.blocks(process, dates)
        case Merton():
            return merton.blocks(process, dates)
        case _:
            assert_never(process)
