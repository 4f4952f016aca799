"""The time grid of the processes that need one: as many steps between any two dates, even or graded from time 0.

The dates are grid points at every maturity, and the steps move with it, so a path is differentiable in its maturity.
"""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor

from pricing.simulation.scenario import Scenario, correlation
from pricing.specs.ito import ItoDiffusion
from pricing.specs.process import Heston, LocalVolatility

GridProcess = Heston | LocalVolatility | ItoDiffusion


def steps(process: GridProcess, dates: int) -> int:
    """Steps between two dates: the process's over all dates, rounded up."""
    return -(-(process.facts.grid or 1) // dates)


def blocks(process: GridProcess, dates: int) -> tuple[int, int]:
    """Sizes of the groups of normals that a rotation may mix; S or ln S is affine in the first, given the second."""
    count = process.assets * dates * steps(process, dates)
    match process:
        case Heston():
            return process.assets * dates, count
        case LocalVolatility() | ItoDiffusion():
            return process.assets, count - process.assets
        case _:
            assert_never(process)


def refined(process: GridProcess, until: Tensor, *, grading: float = 1.0) -> Tensor:
    """The grid, the dates among it. Shape: batch-or-1 1 date -> batch-or-1 1 step, years.

    Args:
        grading: the j-th of n steps to the first date ends at the share (j / n)^grading; above 1, steps begin short.
    """
    count = steps(process, until.shape[-1])
    even = (torch.arange(1, count + 1, dtype=until.dtype) / count).expand(until.shape[-1], -1)
    shares = torch.cat([even[:1].pow(grading), even[1:]])
    before = torch.cat([torch.zeros_like(until[..., :1]), until[..., :-1]], dim=-1)
    # Weighted so that the last of each is the date itself, to the last bit.
    return (before[..., None] * (1.0 - shares) + until[..., None] * shares).flatten(2)


def lengths(grid: Tensor) -> Tensor:
    """Differences from 0 on. Shape: batch-or-1 1 step -> the same."""
    return torch.diff(grid, dim=-1, prepend=torch.zeros_like(grid[..., :1]))


def drivers(process: LocalVolatility | ItoDiffusion, at: Scenario, normals: Tensor, count: int) -> tuple[Tensor, ...]:
    """Correlated normals step by step, of which the last step's stand first.

    Shape: 1-or-batch path dimension -> 1-or-batch path asset each.
    """
    z = normals.reshape(*normals.shape[:2], count, process.assets).movedim(2, 0).contiguous()
    z = z if process.assets == 1 else z @ torch.linalg.cholesky(correlation(process, at)).mT
    last, *earlier = z.unbind()
    return (*earlier, last)
