"""A process changed as a whole: other volatilities, finer grids."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from pricing.specs.diffusion import MAXIMUM_STEPS
from pricing.specs.ito import ItoDiffusion
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton, Process


def with_volatilities(process: Process, factor: float) -> Process:
    """The process with all volatilities multiplied."""
    match process:
        case Bachelier() | BlackScholes() | LocalVolatility():
            return replace(process, volatilities=tuple(factor * sigma for sigma in process.volatilities))
        case Heston():
            squared = factor * factor
            return replace(
                process,
                initial_variances=tuple(squared * v for v in process.initial_variances),
                long_variances=tuple(squared * v for v in process.long_variances),
                variance_volatilities=tuple(factor * xi for xi in process.variance_volatilities),
            )
        case Merton():
            return replace(
                process,
                volatilities=tuple(factor * sigma for sigma in process.volatilities),
                jump_means=tuple(factor * mu for mu in process.jump_means),
                jump_deviations=tuple(factor * delta for delta in process.jump_deviations),
            )
        case ItoDiffusion():
            return replace(process, diffusions=tuple(f"{factor!r} * ({b})" for b in process.diffusions))
        case _:
            assert_never(process)


def with_steps(process: Process, factor: int) -> Process:
    """The process on so many times finer a grid, as far as grids go; itself where it has none."""
    return on_grid(process, factor * (process.facts.grid or 1))


def on_grid(process: Process, steps: int) -> Process:
    """The process with that many time steps, as far as grids go; itself where it has none."""
    match process:
        case Heston() | LocalVolatility() | ItoDiffusion():
            return replace(process, steps=min(steps, MAXIMUM_STEPS))
        case Bachelier() | BlackScholes() | Merton():
            return process
        case _:
            assert_never(process)
