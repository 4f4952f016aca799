"""Paths with one driving normal left open: what conditional Monte Carlo integrates exactly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pricing.elementary import ratio
from pricing.processes.simulate import simulate
from pricing.simulation.scenario import Scenario
from pricing.specs.process import Process


@dataclass(frozen=True, kw_only=True)
class Line:
    """S(t) = level + slope t ("additive") or level e^(slope t) ("multiplicative"), t an independent standard normal.

    Shape: level ``batch path date asset``; slope ``batch-or-1 path-or-1 date asset``; discount ``batch-or-1 1 date``.
    """

    level: Tensor
    slope: Tensor
    law: Literal["additive", "multiplicative"]
    discount: Tensor


def paths_along(process: Process, at: Scenario, normals: Tensor, until: Tensor, *, direction: Tensor) -> Line:
    """The paths as functions of the normals' component along a direction, whatever that component is in ``normals``.

    S or ln S must be affine in it given the others. The slope is the difference between the paths at 1 and at 0.

    Args:
        normals: turned already. Shape: ``1-or-batch path dimension``.
        until: years. Shape: ``batch-or-1 1 date``.
        direction: unit vectors. Shape: ``1-or-batch 1 dimension``.
    """
    rest = normals - (normals * direction).sum(dim=-1, keepdim=True) * direction
    paths = simulate(process, at, rest, until)
    begin = torch.zeros_like(direction) if process.facts.shared_noise else rest
    low = paths.noise if begin is rest else simulate(process, at, begin, until).noise
    high = simulate(process, at, begin + direction, until).noise
    additive = paths.law == "additive"
    return Line(
        level=paths.forward + paths.noise if additive else paths.forward * paths.noise,
        slope=high - low if additive else torch.log(ratio(high, low, limit=1.0)),
        law=paths.law,
        discount=paths.discount,
    )
