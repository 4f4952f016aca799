"""Options with a continuous barrier as integrals of positive numbers over how far beyond it the asset ends.

In its deviations, a Brownian motion starts a on the living side of the barrier and ends w on that side, w ~ N(m, 1). A
bridge between the two has touched with the chance e^(-2 a w), and any path that ends beyond the barrier has. So

    out = E[payoff (1 - e^(-2 a w)); w > 0],    in = E[payoff; w <= 0] + E[payoff e^(-2 a w); w > 0]

which are the formulas of Reiner and Rubinstein, that is weights of any size times differences of masses that may be
nearly nothing or nearly one, before anything is taken from anything. The integrands are entire between the strike and
the barrier, so Gauss-Legendre panels there give every digit. Neither end moves with the spot, which is in a and m
alone: gammas lose nothing, however near the strike is to the barrier.

References: Karatzas & Shreve (1991), 2.8; Reiner & Rubinstein (1991).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pricing.references.normal import density, motion

# Panels on either side of the integrand's top, Gauss-Legendre nodes of one, and how far they go: where the integrand is
# e^(-REACH^2 / 2) of its top.
PANELS, NODES, REACH = 6, 16, 9.0
# Panels by the barrier, in units of what a bridge needs to get there.
LAYERS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# An end that is not there, and how many deviations from both ends a top is in the open.
FAR, OPEN = 1e4, 4.0


@dataclass(frozen=True, kw_only=True)
class End:
    """Where a Brownian motion ends, as deviations w on the living side of the barrier; its payoff is not negative.

    Args:
        beyond: whether it pays above the strike's w, that is nearer to the living side, or below.
        strike: as an end w. Shape: batch.
        start: deviations a from today to the barrier. Shape: batch.
        mean: m of the end. Shape: batch.
        tilt: what the payoff grows by, e^(tilt w) of a call that is lognormal, else 0. Shape: batch.
        paid: of the end. Shape: batch node -> batch node.
    """

    beyond: bool
    strike: Tensor
    start: Tensor
    mean: Tensor
    tilt: Tensor
    paid: Callable[[Tensor], Tensor]


def out(end: End) -> Tensor:
    """Undiscounted value of the option that a touch ends. Shape: -> batch."""
    return _integral(end, end.tilt, lambda w: _held(2.0 * end.start[:, None] * w), clear=True)


def touched(end: End) -> Tensor:
    """Undiscounted value of the option that a touch begins. Shape: -> batch."""
    through = _integral(end, end.tilt, torch.ones_like, clear=False)
    tilt = end.tilt - 2.0 * end.start
    return through + _integral(end, tilt, lambda w: torch.exp(-2.0 * end.start[:, None] * w), clear=True)


def _held(x: Tensor) -> Tensor:
    """1 - e^(-x); torch's expm1 has no digits of its own derivative where that is small. Shape: any -> the same."""
    near = x < 1.0
    return torch.where(near, -torch.expm1(-x.where(near, 0.0)), 1.0 - torch.exp(-x))


def _integral(end: End, tilt: Tensor, chance: Callable[[Tensor], Tensor], *, clear: bool) -> Tensor:
    """E[payoff chance(w); w > 0], or w < 0.

    Args:
        tilt: what payoff and chance grow by together. Shape: batch.
        chance: of ends. Shape: batch node -> batch node.
        clear: on the living side of the barrier.
    """
    strike = end.strike.clamp(0.0, FAR) if clear else end.strike.clamp(-FAR, 0.0)
    other = torch.full_like(strike, 0.0 if clear != end.beyond else FAR if clear else -FAR)
    low, high, top = torch.minimum(strike, other), torch.maximum(strike, other), end.mean + tilt
    edges = _edges(low.detach(), high.detach(), top.detach(), end.start.detach())
    edges = edges + _carried(edges, low, high, top)
    x, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(NODES))
    left, width = edges[:, :-1, None], torch.diff(edges, dim=1)[..., None]
    w = (left + 0.5 * width * (1.0 + x)).flatten(1)
    mass = (0.5 * width * weights).flatten(1) * density(w - end.mean[:, None])
    return (mass * end.paid(w) * chance(w)).sum(dim=1)


def _carried(edges: Tensor, low: Tensor, high: Tensor, top: Tensor) -> Tensor:
    """0, with the derivative that keeps the digits of derivatives: any is right that moves the ends as they move.

    An edge that stands still beside one that moves costs a narrow panel its digits, and one that stands still where
    most of the mass is takes second derivatives from n'', which cancel. So around a top in the open the edges move with
    it, and elsewhere with the ends, or with the strike alone where the other is not there.

    Shape: batch edge, batch, batch, batch -> batch edge.
    """
    first, last, middle = (bound.detach()[:, None] for bound in (low, high, top))
    moves, rises, shifts = (motion(bound)[:, None] for bound in (low, high, top))
    near, far = first > -FAR, last < FAR
    share = torch.where(near & far, (edges - first) / torch.where(last > first, last - first, 1.0), far.to(edges.dtype))
    bound = moves + share * (rises - moves)
    room = torch.minimum(middle - first, last - middle)
    held = torch.where(room > OPEN, middle, 0.5 * (first + last))
    inside = 2.0 * torch.minimum((edges - first) / (held - first), (last - edges) / (last - held))
    free = torch.where(room > OPEN, inside.clamp(max=1.0), 0.0)
    return bound + free * (shifts - bound)


def _edges(low: Tensor, high: Tensor, top: Tensor, start: Tensor) -> Tensor:
    """Ends of the panels between two ends, for an integrand with its top somewhere.

    Shape: batch, batch, batch, batch -> batch edge.
    """
    middle = torch.minimum(torch.maximum(top, low), high)
    first = torch.maximum(low, middle - _reach((top - middle).clamp(min=0.0)))
    last = torch.minimum(high, middle + _reach((middle - top).clamp(min=0.0)))
    shares = torch.linspace(0.0, 1.0, PANELS + 1, dtype=torch.float64)
    scale = 1.0 / (2.0 * start).clamp(min=1.0 / FAR)
    inner = torch.cat(
        [
            first[:, None] + (middle - first)[:, None] * shares,
            middle[:, None] + (last - middle)[:, None] * shares,
            scale[:, None] * torch.tensor(LAYERS, dtype=torch.float64),
            last[:, None],  # itself, for the sum of what leads there may end a rounding before it
        ],
        dim=1,
    )
    return torch.minimum(torch.maximum(inner, first[:, None]), last[:, None]).sort(dim=1).values


def _reach(slope: Tensor) -> Tensor:
    """From where ln n falls with a slope, how far it is to e^(-REACH^2 / 2) of it. Shape: any -> the same."""
    return REACH**2 / ((slope.square() + REACH**2).sqrt() + slope)
