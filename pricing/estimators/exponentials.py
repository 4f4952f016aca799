"""Expectations of a sum of exponentials of one normal against a strike, exactly and smooth in everything.

f(t) = sum_i a_i e^(c_i t) - K,   t ~ N(0, 1),   R the set where f > 0 ("call") or f < 0 ("put")
E[|f| 1_R]  = +- (sum_i a_i e^(c_i^2 / 2) P_i(R) - K P_0(R)),   P_i(R) the mass of R under N(c_i, 1)
Hessian of it = the same with R held fixed + sum over the ends t of R of n(t) / |f'(t)| grad f(t) grad f(t)^T

f is 0 at the ends of R, so their motion is felt from the second order on; a term w f(t)^2 / 2, which is 0 with its
gradient, stands for it. The ends are found without derivatives.

References: Glasserman (2003), 7.2.3; the curvature term is the co-area formula.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pricing.elementary import cumulative, density, ratio
from pricing.elementary import mass as between
from pricing.specs.european import Side

# Beyond this plus the largest slope no mass lies, weighted by the items or not: N(-9) = 1e-19.
REACH = 9.0
# The last step of a search that converges quadratically: what is left after it is its square.
TOLERANCE = 1e-6
# Newton's method needs about 5 steps; bisection, where Newton leaves its bracket, one a bit.
MAXIMUM_STEPS = 60
# Steps in which leaving the bracket means that the root may lie beyond its end, so that the end is looked at.
BOLD_STEPS = 8
# Kept from logarithms of 0.
TINY = 1e-300


@dataclass(frozen=True, kw_only=True)
class Exponentials:
    """f(t) = sum_i a_i e^(c_i t) - K.

    Either every a_i >= 0, or every a_i c_i >= 0.

    Shape: amounts ``batch path item``; slopes ``batch-or-1 path-or-1 item``; strike ``batch-or-1 1``.
    """

    amounts: Tensor
    slopes: Tensor
    strike: Tensor

    @property
    def far(self) -> float:
        """Ends of a region are put here at the furthest."""
        return REACH + float(self.slopes.detach().abs().amax())

    def __call__(self, t: Tensor) -> Tensor:
        """The value f(t). Shape: batch path -> the same."""
        return (self.amounts * torch.exp(self.slopes * t[..., None])).sum(dim=-1) - self.strike

    def derivatives(self, t: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The function with its first two derivatives. Shape: batch path -> each the same."""
        terms = self.amounts * torch.exp(self.slopes * t[..., None])
        slopes = terms * self.slopes
        return terms.sum(dim=-1) - self.strike, slopes.sum(dim=-1), (slopes * self.slopes).sum(dim=-1)

    def detach(self) -> Exponentials:
        """The same numbers without their derivatives."""
        return Exponentials(amounts=self.amounts.detach(), slopes=self.slopes.detach(), strike=self.strike.detach())


def ramp(f: Exponentials, side: Side) -> Tensor:
    """E[f^+] of a call, E[(-f)^+] of a put; curvature included. Shape: -> batch path."""
    fixed = f.detach()
    ends = region(fixed)
    weights = torch.exp(0.5 * f.slopes.square())
    terms = (f.amounts * weights * mass(f.slopes, [t[..., None] for t in ends], side)).sum(dim=-1)
    signed = terms - f.strike * mass(torch.zeros((), dtype=terms.dtype), ends, side)
    total = signed if side == "call" else -signed
    if torch.is_grad_enabled():
        for t in ends:
            steepness = torch.where(t.abs() < f.far, fixed.derivatives(t)[1].abs(), 0.0)
            total = total + 0.5 * ratio(density(t), steepness, limit=0.0) * f(t).square()
    return total


def step(f: Exponentials, side: Side) -> Tensor:
    """P(f > 0) of a call, P(f < 0) of a put; curvature included. Shape: -> batch path."""
    ends = [moving(f, t) for t in region(f.detach())]
    return mass(torch.zeros((), dtype=f.strike.dtype), ends, side)


def mass(shift: Tensor, ends: list[Tensor], side: Side) -> Tensor:
    """Mass of R under N(shift, 1): above the last end and below the first of two, or for a put what that leaves.

    Shape: shift and every end, broadcast.
    """
    if side == "call":
        above = cumulative(shift - ends[0])
        return above if len(ends) == 1 else above + cumulative(ends[1] - shift)
    if len(ends) == 1:
        return cumulative(ends[0] - shift)
    return between(ends[1] - shift, ends[0] - shift)


def moving(f: Exponentials, t: Tensor) -> Tensor:
    """The root at t as a function of f, right to the second order: one step of Halley's method, of cubic convergence.

    Shape: batch path -> the same.
    """
    value, slope, bend = f.derivatives(t)
    correction = ratio(2.0 * value * slope, 2.0 * slope.square() - value * bend, limit=0.0)
    return torch.where(t.abs() < f.far, t - correction, t)


def region(f: Exponentials) -> list[Tensor]:
    """The ends of {f > 0}: where it starts, and where f is not increasing but convex, also where it stops before.

    Ends beyond ``f.far`` are put there. Shape: -> each batch path.
    """
    middle = torch.zeros_like(f.amounts[..., 0] * f.slopes[..., 0])
    low, high = middle - f.far, middle + f.far
    if bool((f.amounts < 0.0).any()) or bool((f.slopes >= 0.0).all()):
        return [crossing(f, low, high)]
    bend = Exponentials(amounts=f.amounts * f.slopes, slopes=f.slopes, strike=torch.zeros_like(f.strike))
    least = crossing(bend, low, high)
    everything = f(least) > 0.0
    mirror = Exponentials(amounts=f.amounts, slopes=-f.slopes, strike=f.strike)
    right, left = crossing(f, least, high), -crossing(mirror, -least, high)
    return [torch.where(everything, low, right), torch.where(everything, low, left)]


def crossing(f: Exponentials, low: Tensor, high: Tensor) -> Tensor:
    """Root of f, which increases between low and high, or the end nearest to it.

    Newton's method on ln(sum of the positive terms) - ln(sum of the negative ones), which is nearly straight, kept in
    its bracket by bisection. Shape: batch path -> the same.
    """
    t = torch.clamp(torch.zeros_like(low), low, high)
    for count in range(MAXIMUM_STEPS):
        height, slope = logarithmic(f, t)
        low, high = torch.where(height < 0.0, t, low), torch.where(height < 0.0, high, t)
        newton = t - height / slope.clamp(min=TINY)  # rounding may turn a slope of 0 down
        if count < BOLD_STEPS:
            following = torch.clamp(newton, low, high)
        else:
            following = newton.where((newton >= low) & (newton <= high), 0.5 * (low + high))
        move, t = float((following - t).abs().amax()), following
        if move < TOLERANCE:
            break
    return t


def logarithmic(f: Exponentials, t: Tensor) -> tuple[Tensor, Tensor]:
    """ln(sum of the positive terms of f) - ln(sum of the negative ones), and its derivative. Shape: as t."""
    terms = f.amounts * torch.exp(f.slopes * t[..., None])
    up, down = terms, None
    if bool((f.amounts < 0.0).any()):
        up, down = terms.clamp(min=0.0), (-terms).clamp(min=0.0)
    positive = (up.sum(dim=-1) - f.strike.clamp(max=0.0)).clamp(min=TINY)
    negative = f.strike.clamp(min=0.0).expand_as(positive)
    slope = (up * f.slopes).sum(dim=-1) / positive
    if down is not None:
        negative = negative + down.sum(dim=-1)
        slope = slope - (down * f.slopes).sum(dim=-1) / negative.clamp(min=TINY)
    return torch.log(positive) - torch.log(negative.clamp(min=TINY)), slope
