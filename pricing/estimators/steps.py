"""Paths date by date, with one normal of every step left open: what one-step survival and bridges condition.

The coordinate y is the logarithm of the noise ("multiplicative") or the noise per unit of growth ("additive"):

    y_k = y_(k-1) + drift_k + F_k z_k = y_(k-1) + drift_k + across_k z_k[1:] + along_k t,   t = z_k[0]

with every along_k >= 0: t runs along v = L^-1 1 / |L^-1 1| where F = diag(|F_i|) L, which lifts all assets equally in
units of their deviations, so {worst level < H} is {t < a threshold}, whatever the correlation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pricing.elementary import ratio, root
from pricing.errors import InvalidSpec
from pricing.processes.simulate import simulate
from pricing.simulation.scenario import Scenario, growth
from pricing.specs.process import Process

# Standard deviations of a step below this are rounding noise of its logarithm: the step is certain.
CERTAIN = 1e-12
# Levels below this are zero: their logarithm stays finite.
TINY_LEVEL = 1e-300


@dataclass(frozen=True, kw_only=True)
class Steps:
    """The law of every step given the one before.

    Shape: forward ``batch 1 date asset`` and growth ``batch-or-1 1 date asset``, at 0 and then at every date; drift
    and along ``batch-or-1 path-or-1 date asset``; across ``batch-or-1 path-or-1 date asset asset-1``; normals
    ``1-or-batch path date asset``, the open one first; discount ``batch-or-1 1 date``.
    """

    law: Literal["additive", "multiplicative"]
    forward: Tensor
    growth: Tensor
    drift: Tensor
    along: Tensor
    across: Tensor
    normals: Tensor
    discount: Tensor

    @property
    def dates(self) -> int:
        """Number of steps."""
        return self.drift.shape[2]

    def edge(self, level: Tensor, date: int) -> Tensor:
        """The coordinate y of a level after that many steps. Shape: batch-or-1 1 asset -> batch 1 asset."""
        forward = self.forward[:, :, date]
        if self.law == "additive":
            return (level - forward) / self.growth[:, :, date]
        return torch.log(level.clamp(min=TINY_LEVEL)) - torch.log(forward.clamp(min=TINY_LEVEL))

    def level(self, y: Tensor, date: int) -> Tensor:
        """S after that many steps. Shape: batch path asset -> the same."""
        forward = self.forward[:, :, date]
        return forward + self.growth[:, :, date] * y if self.law == "additive" else forward * torch.exp(y)

    def rest(self, y: Tensor, step: int) -> Tensor:
        """The next y for t = 0. Shape: batch-or-1 path-or-1 asset -> batch-or-1 path asset."""
        rest = y + self.drift[:, :, step]
        if self.normals.shape[-1] == 1:
            return rest
        return rest + (self.across[:, :, step] * self.normals[:, :, step, None, 1:]).sum(dim=-1)


def threshold(rest: Tensor, along: Tensor, edge: Tensor) -> Tensor:
    """The t at which rest + along t meets the edge; out of reach where the step is certain. Shape: any, broadcast."""
    return (edge - rest) / along.clamp(min=CERTAIN)


def steps(process: Process, at: Scenario, normals: Tensor, until: Tensor) -> Steps:
    """The steps between the dates, from simulations with all open normals at 0 and with those of one asset at 1.

    Shape: normals ``1-or-batch path dimension``, turned; until ``batch-or-1 1 date``, years.

    Raises:
        InvalidSpec: a process whose path is not affine in its normals, date by date.
    """
    require_affine(process)
    count, assets = until.shape[-1], process.assets
    own = count * assets
    z = normals[..., :own].reshape(*normals.shape[:2], count, assets)
    still = normals if normals.shape[-1] > own else normals[:1, :1]
    still = torch.cat([torch.zeros_like(still[..., :own]), still[..., own:]], dim=-1)
    plain = simulate(process, at, still, until)
    grown = torch.exp(growth(process, at, torch.cat([torch.zeros_like(until[..., :1]), until], dim=-1)))

    def increments(noise: Tensor) -> Tensor:
        y = torch.log(noise) if plain.law == "multiplicative" else noise / grown[:, :, 1:]
        return torch.diff(y, dim=2, prepend=torch.zeros_like(y[:, :, :1]))

    drift = increments(plain.noise)
    tips = [still + (torch.arange(still.shape[-1]) % assets == i) * own_mask(still, own) for i in range(assets)]
    factor = torch.stack([increments(simulate(process, at, tip, until).noise) - drift for tip in tips], dim=-1)
    along, across = turn(factor)
    return Steps(
        law=plain.law,
        forward=torch.cat([at["spot"][:, :, None], plain.forward], dim=2),
        growth=grown,
        drift=drift,
        along=along,
        across=across,
        normals=z,
        discount=plain.discount,
    )


def own_mask(normals: Tensor, own: int) -> Tensor:
    """1 at the open normals, 0 at those that they are conditional on. Shape: -> dimension."""
    return (torch.arange(normals.shape[-1]) < own).to(normals.dtype)


def turn(factor: Tensor) -> tuple[Tensor, Tensor]:
    """The factor in an orthonormal basis whose first axis v lifts all assets equally in units of their deviations.

    The other axes are those of the reflection that turns the first unit vector into -v, so they are smooth in v.

    Shape: ... asset asset, lower triangular -> ... asset; ... asset asset-1.
    """
    deviation = root(factor.square().sum(dim=-1))
    if factor.shape[-1] == 1:
        return deviation, factor[..., 1:]
    eye = torch.eye(factor.shape[-1], dtype=factor.dtype)
    shape = torch.where(deviation[..., None] > CERTAIN, ratio(factor, deviation[..., None], limit=0.0), eye)
    solved = torch.linalg.solve_triangular(shape, torch.ones_like(deviation)[..., None], upper=False)[..., 0]
    length = solved.norm(dim=-1, keepdim=True)
    w = solved / length + eye[0]
    projected = (factor @ w[..., None]) / w.square().sum(dim=-1)[..., None, None]
    reflected = factor - 2.0 * projected * w[..., None, :]
    return deviation / length, reflected[..., 1:]


def require_affine(process: Process) -> None:
    """Raise InvalidSpec unless S or ln S of the process is affine in the normals of its dates."""
    reason = process.facts.unaffine
    if reason is not None:
        raise InvalidSpec(
            f"estimator: 'survival' and 'bridge' need {reason}, or use 'smoothed' on dates", path="estimator"
        )
