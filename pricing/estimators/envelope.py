"""Expectations of the lowest or highest of several lines in one normal against a strike, exactly.

g_i(t) = a_i + c_i t ("additive") or a_i e^(c_i t) ("multiplicative"),   t ~ N(0, 1)

Asset i is the lowest between the crossings with those that rise faster and those that rise slower, and exercised where
it has crossed the strike: an interval (l_i, u_i) of t, explicit in the levels, in which the payoff is |g_i(t) - K|.

E = sum_i integral over (l_i, u_i) of |g_i(t) - K| n(t) dt

The ends move with everything, so autograd is exact at every order; nothing jumps, so first derivatives do not feel it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from pricing.elementary import cumulative, density
from pricing.estimators.exponentials import TINY
from pricing.specs.payoff import Side

# No mass lies beyond: N(-37) = 6e-300.
FAR = 37.0


@dataclass(frozen=True, kw_only=True)
class Lines:
    """The assets' lines and a strike. Shape: amounts and slopes ``batch path asset``; strike ``batch-or-1 1``."""

    amounts: Tensor
    slopes: Tensor
    strike: Tensor
    law: Literal["additive", "multiplicative"]

    @property
    def heights(self) -> Tensor:
        """What is linear in t: g_i, or its logarithm, at t = 0."""
        return self.amounts if self.law == "additive" else torch.log(self.amounts.clamp(min=TINY))

    @property
    def threshold(self) -> Tensor:
        """The strike on the scale of the heights. Shape: batch-or-1 1."""
        return self.strike if self.law == "additive" else torch.log(self.strike.clamp(min=TINY))


def ramp(lines: Lines, rank: Literal["lowest", "highest"], side: Side) -> Tensor:
    """E[(g - K)^+] of a call, E[(K - g)^+] of a put, on the lowest or highest line g. Shape: -> batch path."""
    low, high = intervals(lines, rank, side)
    between = cumulative(high) - cumulative(low)
    if lines.law == "additive":
        gained = lines.amounts * between + lines.slopes * (density(low) - density(high))
    else:
        shifted = cumulative(high - lines.slopes) - cumulative(low - lines.slopes)
        gained = lines.amounts * torch.exp(0.5 * lines.slopes.square()) * shifted
    total = (gained - lines.strike[..., None] * between).sum(dim=-1)
    return total if side == "call" else -total


def intervals(lines: Lines, rank: Literal["lowest", "highest"], side: Side) -> tuple[Tensor, Tensor]:
    """Where every asset is the lowest or highest, and exercised; empty ones have equal ends.

    Shape: -> batch path asset, both.
    """
    heights = lines.heights
    slopes = lines.slopes.expand_as(heights)
    sign = 1.0 if rank == "lowest" else -1.0
    low, high = torch.full_like(heights, -FAR), torch.full_like(heights, FAR)
    assets = heights.shape[-1]
    for other in range(assets):
        # Of two equal lines the first counts.
        before = torch.arange(assets) <= other
        gap = sign * (heights - heights[..., other, None])
        low, high = cut(low, high, gap, sign * (slopes - slopes[..., other, None]), ties=before)
    raised = 1.0 if side == "put" else -1.0
    gap = raised * (heights - lines.threshold[..., None])
    low, high = cut(low, high, gap, raised * slopes, ties=torch.ones(assets, dtype=torch.bool))
    return low, torch.maximum(low, high)


def cut(low: Tensor, high: Tensor, gap: Tensor, tilt: Tensor, *, ties: Tensor) -> tuple[Tensor, Tensor]:
    """The part of (low, high) where gap + tilt t < 0; all or nothing of it where the tilt is 0.

    Args:
        ties: where all of it stays when gap and tilt are both 0. Shape: asset.
    """
    flat = tilt == 0.0
    at = torch.clamp(-gap / torch.where(flat, torch.ones_like(tilt), tilt), -FAR, FAR)
    stays = (gap < 0.0) | ((gap == 0.0) & ties)
    nothing = torch.full_like(high, -FAR)
    low = torch.where(tilt < 0.0, torch.maximum(low, at), low)
    high = torch.where(tilt > 0.0, torch.minimum(high, at), high)
    return low, torch.where(flat & ~stays, nothing, high)
