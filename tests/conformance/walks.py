"""Paths of a process on fixed normals, and the coordinate of them that may be affine."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pricing.draws import stream, to_normals, uniforms
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, growth
from pricing.specs.process import Process
from tests.conformance.estimates import LEVEL

DATES = (0.5, 1.0)
# Of differences between numbers of order one that only rounding parts.
ROUNDING = 1e-9


def own(process: Process, **others: Sequence[float]) -> Scenario:
    """The parameters of the process with spots of 100, some of them with other values."""
    values = {"spot": (LEVEL,) * process.assets, "maturity": (1.0,), **process.parameters, **others}
    return Scenario(
        parameters={name: torch.tensor(numbers, dtype=torch.float64)[None, None] for name, numbers in values.items()}
    )


def normals(process: Process, dates: Sequence[float], *, paths: int, seed: int = 0) -> Tensor:
    """Sobol normals of paths to the dates. Shape: -> 1 path dimension."""
    dimension = sum(blocks(process, len(dates)))
    points = uniforms("sobol", paths, dimension, generator=stream("conformance", seed=seed))
    return torch.from_numpy(to_normals(points))[None]


def until(dates: Sequence[float]) -> Tensor:
    """The dates as a simulation takes them, years. Shape: -> 1 1 date."""
    return torch.tensor([[tuple(dates)]], dtype=torch.float64)


def walk(process: Process, at: Scenario, z: Tensor, dates: Sequence[float] = DATES) -> Paths:
    """The paths to the dates. Shape: z 1 path dimension."""
    return simulate(process, at, z, until(dates))


def levels(paths: Paths) -> Tensor:
    """S. Shape: -> batch path date asset."""
    return torch.stack([paths.levels(date) for date in range(paths.dates)], dim=2)


def coordinate(process: Process, at: Scenario, z: Tensor, dates: Sequence[float] = DATES) -> Tensor:
    """ln of the noise, or the noise per unit of growth, which is what may be affine. Shape: -> path date asset."""
    noise = walk(process, at, z, dates).noise[0]
    if process.facts.law == "multiplicative":
        return torch.log(noise)
    return noise / torch.exp(growth(process, at, until(dates)))[0]


def close(first: Tensor, second: Tensor) -> bool:
    """Whether two tensors differ by rounding alone, beside the size of the first."""
    size = 1.0 + float(first.abs().max())
    return bool(((first - second).abs() <= ROUNDING * size).all())


def replaced(z: Tensor, columns: slice, others: Tensor) -> Tensor:
    """The normals with some columns from others. Shape: 1 path dimension, twice -> the same."""
    changed = z.clone()
    changed[..., columns] = others[..., columns]
    return changed
