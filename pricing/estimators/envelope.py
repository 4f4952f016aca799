"""Expectations of the lowest or highest of several lines in one normal against a strike, exactly.

g_i(t) = a_i + c_i t ("additive") or a_i e^(c_i t) ("multiplicative"),   t ~ N(0, 1)

Asset i is the lowest between the crossings with those that rise faster and those that rise slower, and exercised where
it has crossed the strike: an interval (l_i, u_i) of t, explicit in the levels, in which the payoff is |g_i(t) - K|.

E = sum_i integral over (l_i, u_i) of |g_i(t) - K| n(t) dt
Hessian of it = the same with the ends held fixed +- sum over the ends t of n(t) / |f'(t)| grad f(t) grad f(t)^T

At the strike f = g_i - K with the sign +; between two assets f = g_i - g_j with + where the payoff is the largest of
the assets' own, - where it is the least. f is 0 at its end, so that the end's motion is felt from the second order on:
a term w f(t)^2 / 2 stands for it. The ends are found without derivatives.

References: as `pricing.estimators.exponentials`, whose one line this ranks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import Tensor

from pricing.elementary import density, mass, ratio
from pricing.estimators.exponentials import TINY
from pricing.specs.european import Side

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
        """What is linear in t: g_i, or its logarithm, at t = 0. Shape: batch path asset."""
        return self.amounts if self.law == "additive" else torch.log(self.amounts.clamp(min=TINY))

    @property
    def threshold(self) -> Tensor:
        """The strike on the scale of the heights. Shape: batch-or-1 1."""
        return self.strike if self.law == "additive" else torch.log(self.strike.clamp(min=TINY))


@dataclass(frozen=True, kw_only=True)
class Intervals:
    """Where every asset is the ranked one, and exercised, and who ends that: an asset, or the strike after the last.

    Shape: each batch path asset; empty intervals have equal ends.
    """

    low: Tensor
    high: Tensor
    low_rival: Tensor
    high_rival: Tensor


def ramp(lines: Lines, rank: Literal["lowest", "highest"], side: Side) -> Tensor:
    """E[(g - K)^+] of a call, E[(K - g)^+] of a put, on the lowest or highest line g. Shape: -> batch path."""
    ends = intervals(lines, rank, side)
    low, high = ends.low, ends.high
    between = mass(low, high)
    if lines.law == "additive":
        gained = lines.amounts * between + lines.slopes * (density(low) - density(high))
    else:
        shifted = mass(low - lines.slopes, high - lines.slopes)
        gained = lines.amounts * torch.exp(0.5 * lines.slopes.square()) * shifted
    total = (gained - lines.strike[..., None] * between).sum(dim=-1)
    total = total if side == "call" else -total
    if torch.is_grad_enabled():
        between_assets = 0.5 if (rank == "lowest") == (side == "put") else -0.5  # every such end is one of two assets
        for end, rival in ((low, ends.low_rival), (high, ends.high_rival)):
            counts = torch.where(rival < low.shape[-1], between_assets, 1.0) * ((low < high) & (end.abs() < FAR))
            total = total + moving(lines, end.where(counts != 0.0, 0.0), rival, counts)
    return total


def moving(lines: Lines, end: Tensor, rival: Tensor, counts: Tensor) -> Tensor:
    """What the motion of ends adds from the second order on, counts n(t) / |f'(t)| f(t)^2 / 2, of all assets.

    Shape: all batch path asset -> batch path.
    """
    amounts, strike = lines.amounts, lines.strike[..., None].expand(*lines.amounts.shape[:2], 1)
    slopes = lines.slopes.expand_as(amounts)
    others = torch.cat([amounts, strike], dim=-1).gather(-1, rival)
    other_slopes = torch.cat([slopes, torch.zeros_like(strike)], dim=-1).gather(-1, rival)
    if lines.law == "additive":
        gap, steepness = amounts + slopes * end - others - other_slopes * end, slopes - other_slopes
    else:
        level, other = amounts * torch.exp(slopes * end), others * torch.exp(other_slopes * end)
        gap, steepness = level - other, level * slopes - other * other_slopes
    weight = counts * ratio(density(end), steepness.detach().abs(), limit=0.0)
    return 0.5 * (weight * gap.square()).sum(dim=-1)


@torch.no_grad()
def intervals(lines: Lines, rank: Literal["lowest", "highest"], side: Side) -> Intervals:
    """Where every asset is the lowest or highest, and exercised."""
    heights, assets = lines.heights, lines.amounts.shape[-1]
    slopes, nobody = lines.slopes.expand_as(heights), torch.zeros(heights.shape, dtype=torch.long)
    far = torch.full_like(heights, FAR)
    kept = Intervals(low=-far, high=far, low_rival=nobody, high_rival=nobody)
    sign = 1.0 if rank == "lowest" else -1.0
    for other in range(assets):
        # Of two equal lines the first counts.
        before = torch.arange(assets) <= other
        gap = sign * (heights - heights[..., other, None])
        kept = cut(kept, gap, sign * (slopes - slopes[..., other, None]), ties=before, rival=other)
    raised = 1.0 if side == "put" else -1.0
    gap = raised * (heights - lines.threshold[..., None])
    kept = cut(kept, gap, raised * slopes, ties=torch.ones(assets, dtype=torch.bool), rival=assets)
    return replace(kept, high=torch.maximum(kept.low, kept.high))


def cut(kept: Intervals, gap: Tensor, tilt: Tensor, *, ties: Tensor, rival: int) -> Intervals:
    """The part of the intervals where gap + tilt t < 0; all or nothing of it where the tilt is 0.

    Args:
        ties: where all of it stays when gap and tilt are both 0. Shape: asset.
        rival: who it is that gap and tilt compare with.
    """
    flat = tilt == 0.0
    at = torch.clamp(-gap / torch.where(flat, 1.0, tilt), -FAR, FAR)
    stays = (gap < 0.0) | ((gap == 0.0) & ties)
    rises, falls = (tilt < 0.0) & (at > kept.low), (tilt > 0.0) & (at < kept.high)
    return Intervals(
        low=torch.where(rises, at, kept.low),
        high=torch.where(flat & ~stays, -FAR, torch.where(falls, at, kept.high)),
        low_rival=torch.where(rises, rival, kept.low_rival),
        high_rival=torch.where(falls, rival, kept.high_rival),
    )
