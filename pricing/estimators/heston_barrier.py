"""A continuous barrier under Heston: every step drawn given that it stays clear of the barrier on its whole way.

The variance is split into the part that moves on its own and the part that moves with the asset (Strang 1968):

    dv = kappa (theta - v) dt + xi sqrt(1 - rho^2) sqrt(v) dW     half a step before and after, the asset at rest
    dv = rho xi sqrt(v) dZ,   d ln S = b dt - nu^2 v dt / 2 + nu sqrt(v) dZ

In the second, one normal z drives both. nu^2 v changes by l = nu rho xi per unit of ln S, so over a step of length h

    ln S' = ln S + b h - c^2 / 2 + x(z),   c^2 = nu^2 v h,   skew of x = l h / (2 c),

x of `pricing.estimators.killed`, and no path comes to the barrier only to be thrown away. The drift -nu^2 v / 2 moves
with x too, by -l x / 2; that is a change of measure: it multiplies by sqrt(1 + 2 q) e^(-q z^2), q = l h / 4, under
which z sqrt(1 + 2 q) is the normal of both moves. The last step has constant coefficients and is integrated exactly.

The bias is small where xi^2 h is small against v, and no cash jumps at the barrier; see docs/choosing-labels.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pricing.elementary import cumulative, exprel, ratio, root
from pricing.estimators import barrier
from pricing.estimators.killed import Displaced, kept_clear
from pricing.estimators.steps import TINY_LEVEL, Steps
from pricing.processes.grid import lengths
from pricing.processes.heston import VarianceStep, moved
from pricing.simulation.scenario import Scenario, clock, discount, growth
from pricing.specs.payoff import Barrier
from pricing.specs.process import Heston

# |q| of a step that is too long for its leverage is held here: rho xi h of 0.4.
LARGEST_TILT = 0.1
# A variance is held above this when it moves with the asset, a volatility of 0.1 %: at 0 its root has no derivatives.
LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Walk:
    """The grid and what the asset does on it whatever the variance does.

    Shape: h and squared_scale ``batch-or-1 1 step``; forward ``batch 1 step+1 1``; discount ``batch-or-1 1 step``.
    """

    h: Tensor
    squared_scale: Tensor
    forward: Tensor
    discount: Tensor

    @property
    def steps(self) -> int:
        """Number of steps."""
        return self.h.shape[-1]


@dataclass(frozen=True, kw_only=True)
class Joint:
    """A step of asset and variance with one normal, seen from the barrier.

    Args:
        clear: 1 where the living side is above the barrier, else -1.
        drift: -c^2 / 2.
        x: the move away from the barrier.

    Shape: each batch-or-1 path-or-1 1.
    """

    clear: float
    drift: Tensor
    q: Tensor
    x: Displaced

    def ended(self, y: Tensor, z: Tensor) -> Tensor:
        """The coordinate after the step. Shape: broadcast."""
        return y + self.drift + self.clear * (1.0 - self.q) * self.x.move(z)


def expected(payoff: Barrier, process: Heston, at: Scenario, normals: Tensor, until: Tensor) -> Tensor:
    """D cash of a barrier option on every path. Shape: normals 1-or-batch path 2*step; until batch-or-1 1 step."""
    grid = walk(process, at, until)
    out = simulated(payoff, grid, at, normals, killed=True)
    return out if payoff.knock == "out" else simulated(payoff, grid, at, normals, killed=False) - out


def walk(process: Heston, at: Scenario, until: Tensor) -> Walk:
    """The grid that ends at the maturity. Shape: until batch-or-1 1 step."""
    h = lengths(until)
    grown = torch.exp(growth(process, at, torch.cat([torch.zeros_like(until[..., :1]), until], dim=-1)))
    return Walk(
        h=h,
        squared_scale=ratio(lengths(clock(process, at, until)), h, limit=0.0),
        forward=at["spot"][:, :, None] * grown,
        discount=discount(process, at, until),
    )


def simulated(payoff: Barrier, walk: Walk, at: Scenario, normals: Tensor, *, killed: bool) -> Tensor:
    """D cash of the option that a touch ends, or of the one without a barrier. Shape: -> batch path."""
    common, own = (half[..., None].unbind(dim=2) for half in normals.chunk(2, dim=-1))
    y, v = torch.zeros_like(walk.forward[:, :, 0]), at["initial_variance"]
    weight, before = torch.ones_like(y), torch.zeros_like(walk.h[..., :1])
    for k in range(walk.steps - 1):
        h = walk.h[..., k, None]
        v = on_its_own(at, v, own[k], 0.5 * (before + h)).clamp(min=LEAST_VARIANCE)
        law = joint(payoff, walk, at, v, k)
        z, factor = drawn(walk, at, law, (y, common[k]), k) if killed else (common[k], 1.0)
        y, weight, before = law.ended(y, z), weight * factor, h
        v = with_the_asset(at, v, law.clear * z, h)
    v = on_its_own(at, v, own[-1], 0.5 * (before + walk.h[..., -1:]))
    last = last_step(walk, v, common[-1])
    if killed:
        cash, _ = barrier.ended(payoff, last, at, y, bridged=True)
    else:
        cash = barrier.unconditional(payoff, last, at, last.rest(y, 0), last.along[:, :, 0])
    return last.discount[..., -1] * (weight * cash)[..., 0]


def joint(payoff: Barrier, walk: Walk, at: Scenario, v: Tensor, k: int) -> Joint:
    """The law of a step from a variance. Shape: v batch-or-1 path-or-1 1."""
    h, squared_scale = walk.h[..., k, None], walk.squared_scale[..., k, None]
    clear = 1.0 if payoff.direction == "down" else -1.0
    c = root(squared_scale * v * h)
    q = 0.25 * root(squared_scale) * leverage(at) * h
    skew = clear * ratio(2.0 * q, c, limit=0.0)
    q = q.clamp(-LARGEST_TILT, LARGEST_TILT)
    return Joint(clear=clear, drift=-0.5 * c.square(), q=q, x=Displaced(scale=c, skew=skew))


def drawn(walk: Walk, at: Scenario, law: Joint, start: tuple[Tensor, Tensor], k: int) -> tuple[Tensor, Tensor]:
    """The normal of the asset and the variance given that the step is never touched, and its weight.

    Args:
        start: y before the step, and the normal that is turned into the draw.

    Shape: each batch-or-1 path 1 -> batch path 1, twice.
    """
    y, normal = start
    stretch = (1.0 + 2.0 * law.q).sqrt()
    edges = [edge(walk, at, date) for date in (k, k + 1)]
    a = -law.x.start(law.clear * (edges[0] - y))
    w = law.x.normal(law.clear * (edges[1] - y - law.drift) / (1.0 - law.q)) / stretch
    z, chance = kept_clear(cumulative(normal), a, w)
    return stretch * z, chance * stretch * torch.exp(-law.q * z.square())


def edge(walk: Walk, at: Scenario, date: int) -> Tensor:
    """The coordinate y = ln(S / F) of the barrier after that many steps. Shape: -> batch 1 1."""
    level, forward = at["barrier"].clamp(min=TINY_LEVEL), walk.forward[:, :, date].clamp(min=TINY_LEVEL)
    return torch.log(level) - torch.log(forward)


def leverage(at: Scenario) -> Tensor:
    """How the variance moves with the asset, rho xi. Shape: batch-or-1 1 1."""
    return at["spot_variance_correlation"] * at["variance_volatility"]


def on_its_own(at: Scenario, v: Tensor, z: Tensor, h: Tensor) -> Tensor:
    """The variance after its own part of a step. Shape: batch-or-1 path-or-1 1."""
    kappa, theta, rho = at["mean_reversion"], at["long_variance"], at["spot_variance_correlation"]
    E, f, zero = torch.exp(-kappa * h), h * exprel(-kappa * h), torch.zeros_like(h)
    step = VarianceStep(
        shift=theta * (1.0 - E),
        decay=E,
        base=0.5 * theta * kappa * f * f,
        rate=E * f,
        constant=zero,
        weight=zero,
        gain=zero,
        rest=zero,
    )
    return moved(step, v, z, at["variance_volatility"] * root((1.0 - rho.square()).clamp(min=0.0)))[1]


def with_the_asset(at: Scenario, v: Tensor, z: Tensor, h: Tensor) -> Tensor:
    """The variance after the part that moves with the asset. Shape: batch-or-1 path-or-1 1."""
    zero, one = torch.zeros_like(h), torch.ones_like(h)
    step = VarianceStep(shift=zero, decay=one, base=zero, rate=h, constant=zero, weight=zero, gain=zero, rest=zero)
    sign = torch.where(leverage(at) < 0.0, -one, one)
    return moved(step, v, sign * z, sign * leverage(at))[1]


def last_step(walk: Walk, v: Tensor, normal: Tensor) -> Steps:
    """The last step with the variance as it is, for the closed forms of `pricing.estimators.barrier`.

    Shape: v batch-or-1 path 1; normal 1-or-batch path 1.
    """
    squared = (walk.squared_scale[..., -1:] * walk.h[..., -1:] * v)[:, :, None]
    along = root(squared)
    return Steps(
        law="multiplicative",
        forward=walk.forward[:, :, -2:],
        growth=torch.ones_like(walk.forward[:, :, -2:]),
        drift=-0.5 * squared,
        along=along,
        across=along[..., None][..., :0],
        normals=normal[..., None],
        discount=walk.discount[..., -1:],
    )
