"""The time grid of the processes that need one: as many steps between any two dates, even or graded from time 0.

The dates are grid points at every maturity, and the steps move with it, so a path is differentiable in its maturity.
"""

from __future__ import annotations

from typing import assert_never

import torch
from torch import Tensor

from pricing.specs.process import Heston, LocalVolatility


def steps(process: Heston | LocalVolatility, dates: int) -> int:
    """Steps between two dates: the process's over all dates, rounded up."""
    return -(-process.steps // dates)


def blocks(process: Heston | LocalVolatility, dates: int) -> tuple[int, int]:
    """Sizes of the groups of normals that a rotation may mix; ln S is affine in the first, given the second."""
    count = process.assets * dates * steps(process, dates)
    match process:
        case Heston():
            return process.assets * dates, count
        case LocalVolatility():
            return process.assets, count - process.assets
        case _:
            assert_never(process)


def refined(process: Heston | LocalVolatility, until: Tensor, *, grading: float = 1.0) -> Tensor:
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
