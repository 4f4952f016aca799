"""Two lognormal assets, one of them given: nodes of its normal z where expectations over the other are smooth.

Given z, A has the mean a(z) = F_a e^(rho s_a z - (rho s_a)^2 / 2) and the variance s_a^2 (1 - rho^2) of its logarithm,
and B is b(z) = F_b e^(s_b z - s_b^2 / 2). Gauss-Legendre panels cover all z that carry any mass of A or B. They end
where the payoff has a kink in z, are narrow where A turns to the other side of what it is compared with, the more so
the better z knows A, and halve where that vanishes, of which there are logarithms then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pricing.references.normal import density, motion

# Gauss-Legendre nodes of a panel, whose width is 1 at most; how many deviations beyond the means they go: what lies
# further is worth 1e-57 of a forward.
NODES, REACH = 16, 16.0
# |rho| is kept this far from perfection, where a conditional law has no width.
MARGIN = 1e-12
# Panels around a turn in units of its width, doubled from the last on.
AROUND = (1.0, 2.0, 3.0, 4.0, 6.0, 8.0)
# Turns wider than this need none; narrower ones than this are corners.
WIDE, LEAST_WIDTH = 0.5, 1e-7
# How many times panels halve towards a place of logarithms, and by how much less for the deviation of A given z.
HALVINGS, BY_DEVIATION = 4, 13.0
MOST_HALVINGS = 50
BISECTIONS = 60
# Edges within one less than this of the kink move with it, those further than this stand still: one that stood still
# beside one that moves would cost a narrow panel the digits of its derivatives.
ALONG = 2.0


@dataclass(frozen=True, kw_only=True)
class Pair:
    """The assets. Shape: forwards and deviations batch; correlation batch-or-1."""

    first: Tensor
    second: Tensor
    first_deviation: Tensor
    second_deviation: Tensor
    correlation: Tensor

    def detach(self) -> Pair:
        """The same numbers without their derivatives."""
        return Pair(**{name: part.detach() for name, part in vars(self).items()})

    @property
    def known(self) -> Tensor:
        """The part of the first's deviation that z carries, signed. Shape: batch."""
        return self.first_deviation * self.correlation.clamp(MARGIN - 1.0, 1.0 - MARGIN)

    @property
    def left(self) -> Tensor:
        """The variance of the first that z leaves. Shape: batch."""
        rho = self.correlation.clamp(MARGIN - 1.0, 1.0 - MARGIN)
        return self.first_deviation.square() * (1.0 - rho) * (1.0 + rho)

    def given(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """a(z) and b(z). Shape: batch node -> batch node, twice."""
        known, own = self.known[:, None], self.second_deviation[:, None]
        a = self.first[:, None] * torch.exp(known * z - 0.5 * known.square())
        return a, self.second[:, None] * torch.exp(own * z - 0.5 * own.square())


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A place where A changes sides, and the width of that in z. Shape: batch; batch."""

    place: Tensor
    width: Tensor


def expectation(
    pair: Pair,
    given: Callable[[Tensor], Tensor],
    *,
    kink: Tensor,
    turns: Sequence[Turn],
    vanishes: bool = False,
) -> Tensor:
    """E[given(z)].

    Args:
        given: Shape: batch node -> batch node.
        kink: where it has a corner, with its derivatives; anywhere beyond reach where there is none. Shape: batch.
        vanishes: whether what A is compared with vanishes there.

    Shape: -> batch.
    """
    edges = _edges(pair, kink.detach(), turns, vanishes=vanishes)
    edges = edges + (ALONG - (edges - kink.detach()[:, None]).abs()).clamp(0.0, 1.0) * motion(kink)[:, None]
    x, weights = map(torch.from_numpy, np.polynomial.legendre.leggauss(NODES))
    left, width = edges[:, :-1, None], torch.diff(edges, dim=1)[..., None]
    z = (left + 0.5 * width * (1.0 + x)).flatten(1)
    return ((0.5 * width * weights).flatten(1) * density(z) * given(z)).sum(dim=1)


def crossing(f: Callable[[Tensor], Tensor], low: Tensor, high: Tensor) -> Tensor:
    """Where f, monotone between low and high, changes its sign; one of the two where it does not. Shape: batch, all."""
    first = f(low) > 0.0
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        same = (f(middle) > 0.0) == first
        low, high = torch.where(same, middle, low), torch.where(same, high, middle)
    return 0.5 * (low + high)


def reach(pair: Pair) -> tuple[Tensor, Tensor]:
    """The least and the largest z that matter. Shape: batch; batch."""
    means = torch.stack([torch.zeros_like(pair.known), pair.known, pair.second_deviation.expand_as(pair.known)])
    return means.detach().amin(dim=0) - REACH, means.detach().amax(dim=0) + REACH


def _edges(pair: Pair, kink: Tensor, turns: Sequence[Turn], *, vanishes: bool) -> Tensor:
    """Ends of the panels. Shape: kink batch -> batch edge."""
    low, high = reach(pair)
    count = int((high - low).max().ceil()) + 1
    inner = [low[:, None] + (high - low)[:, None] * torch.linspace(0.0, 1.0, count, dtype=torch.float64)]
    inner.append(kink[:, None])
    for turn in turns:
        width = turn.width.detach().clamp(LEAST_WIDTH, WIDE)
        doubled = range(1, 2 + int(torch.log2(WIDE / width.min())))
        around = torch.tensor([0.0, *AROUND, *(AROUND[-1] * 2.0**k for k in doubled)], dtype=torch.float64)
        around = torch.cat([-around.flip(0), around])
        inner.append(turn.place.detach()[:, None] + width[:, None] * around)
    if vanishes:
        halvings = min(HALVINGS + int(BY_DEVIATION * float(pair.left.detach().amax().sqrt())), MOST_HALVINGS)
        steps = 0.5 ** torch.arange(1, halvings + 1, dtype=torch.float64)
        inner.append(kink[:, None] + torch.cat([-steps, steps]))
    return torch.minimum(torch.maximum(torch.cat(inner, dim=1), low[:, None]), high[:, None]).sort(dim=1).values
