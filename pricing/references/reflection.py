"""Options with a continuous barrier as integrals of positive numbers over the normal that the asset ends at.

A Brownian motion starts a deviations off a barrier and ends at z, which is w of them short of it: a bridge between the
two has touched with the chance e^(-2 a w), and any path that ends beyond the barrier has. So

    out = E[payoff (1 - e^(-2 a w)); w > 0],    in = E[payoff; w <= 0] + E[payoff e^(-2 a w); w > 0]

which are the formulas of Reiner and Rubinstein, that is weights of any size times differences of masses that may be
nearly nothing or nearly one, before anything is taken from anything. The integrands are entire between the strike and
the barrier, so Gauss-Legendre panels there give every digit.

References: Karatzas & Shreve (1991), 2.8; Reiner & Rubinstein (1991).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pricing.references.normal import density

# Panels on either side of the integrand's top, Gauss-Legendre nodes of one, and how far they go: where the integrand is
# e^(-REACH^2 / 2) of its top.
PANELS, NODES, REACH = 6, 16, 9.0
# Panels by the barrier, in units of what a bridge needs to get there.
LAYERS = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
# An end that is not there.
FAR = 1e4


@dataclass(frozen=True, kw_only=True)
class End:
    """Where a Brownian motion ends, in its deviations; what it pays there has the sign of the side.

    Args:
        call: whether it pays above the strike.
        down: whether the barrier lies below.
        strike, barrier: as ends z. Shape: batch.
        start: deviations a from today to the barrier. Shape: batch.
        tilt: what the payoff grows by, e^(tilt z) of a call that is lognormal, else 0. Shape: batch.
        paid: of the end, signed. Shape: batch node -> batch node.
    """

    call: bool
    down: bool
    strike: Tensor
    barrier: Tensor
    start: Tensor
    tilt: Tensor
    paid: Callable[[Tensor], Tensor]

    @property
    def paying(self) -> tuple[Tensor, Tensor]:
        """Between which ends it pays. Shape: batch; batch."""
        far = torch.full_like(self.strike, FAR)
        return (self.strike, far) if self.call else (-far, self.strike)


def out(end: End) -> Tensor:
    """Undiscounted value of the option that a touch ends. Shape: -> batch."""
    return _integral(end, _beyond(end, clear=True), end.tilt, lambda w: -torch.expm1(-2.0 * end.start[:, None] * w))


def touched(end: End) -> Tensor:
    """Undiscounted value of the option that a touch begins. Shape: -> batch."""
    away = 1.0 if end.down else -1.0
    through = _integral(end, _beyond(end, clear=False), end.tilt, torch.ones_like)
    tilt = end.tilt - 2.0 * away * end.start
    return through + _integral(end, _beyond(end, clear=True), tilt, lambda w: torch.exp(-2.0 * end.start[:, None] * w))


def _beyond(end: End, *, clear: bool) -> tuple[Tensor, Tensor]:
    """The paying ends on one side of the barrier; maybe none. Shape: batch; batch."""
    low, high = end.paying
    if end.down == clear:
        low = torch.maximum(low, end.barrier)
    else:
        high = torch.minimum(high, end.barrier)
    return low, torch.maximum(low, high)


def _integral(end: End, ends: tuple[Tensor, Tensor], top: Tensor, chance: Callable[[Tensor], Tensor]) -> Tensor:
    """E[payoff chance(w); low < z < high].

    Args:
        top: where payoff, density and chance have their top on the whole line. Shape: batch.
        chance: of distances from the barrier, 0 or more. Shape: batch node -> batch node.
    """
    away = 1.0 if end.down else -1.0
    edges = _edges(end, ends, top.detach())
    x, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(NODES))
    left, width = edges[:, :-1, None], torch.diff(edges, dim=1)[..., None]
    z = (left + 0.5 * width * (1.0 + x)).flatten(1)
    mass = (0.5 * width * weights).flatten(1) * density(z)
    return (mass * end.paid(z) * chance(away * (z - end.barrier[:, None]))).sum(dim=1)


def _edges(end: End, ends: tuple[Tensor, Tensor], top: Tensor) -> Tensor:
    """Ends of the panels; the first and the last move with strike and barrier where they are those.

    Shape: -> batch edge.
    """
    low, high = (bound.detach() for bound in ends)
    middle = torch.minimum(torch.maximum(top, low), high)
    first = torch.maximum(low, middle - _reach((top - middle).clamp(min=0.0)))
    last = torch.minimum(high, middle + _reach((middle - top).clamp(min=0.0)))
    shares = torch.linspace(0.0, 1.0, PANELS + 1, dtype=torch.float64)
    scale = 1.0 / (2.0 * end.start.detach()).clamp(min=1.0 / FAR)
    layers = (1.0 if end.down else -1.0) * scale[:, None] * torch.tensor(LAYERS, dtype=torch.float64)
    inner = torch.cat(
        [
            first[:, None] + (middle - first)[:, None] * shares,
            middle[:, None] + (last - middle)[:, None] * shares,
            end.barrier.detach()[:, None] + layers,
            last[:, None],  # itself, for the sum of what leads there may end a rounding before it
        ],
        dim=1,
    )
    edges = torch.minimum(torch.maximum(inner, first[:, None]), last[:, None]).sort(dim=1).values
    for bound in ends:
        edges = torch.where(edges == bound.detach()[:, None], bound[:, None], edges)
    return edges


def _reach(slope: Tensor) -> Tensor:
    """From where ln n falls with a slope, how far it is to e^(-REACH^2 / 2) of it. Shape: any -> the same."""
    return REACH**2 / ((slope.square() + REACH**2).sqrt() + slope)
