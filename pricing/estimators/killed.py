"""A normal step kept clear of a barrier on its whole way: draws of its end and its chance, smooth to all orders.

A Brownian motion starts at 0 over a barrier at -a and ends, after unit time, over a barrier at w, straight in between:

    density of an end z that was never touched    n(z) (1 - e^(-2 a (z - w))),   z > w
    chance of ending beyond z                     C(z) = N(-z) - e^(2 a (a + w)) N(-z - 2 a)

Ends are drawn as the root of C(z) = (1 - u) C(w), so that no path ends near the barrier more often than it should, and
none has to be weighted for it.

A step whose deviation changes in proportion to its move is a displaced lognormal one of such a z,

    x = s (e^(beta z - beta^2 / 2) - 1) / beta,   of mean 0 and variance c^2 = s^2 (e^(beta^2) - 1) / beta^2

A level of x is one of z that moves by beta / 2 over the step, on a straight line.

References: Glasserman & Staum (2001) for the draws; Karatzas & Shreve (1991), 3.5, for the law.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pricing.elementary import SERIES, cumulative, density, exprel, tail
from pricing.estimators.steps import CERTAIN
from pricing.estimators.truncation import END

# Distances of more deviations than this are not crossed: e^(-40^2 / 2) is nothing in float64.
OUT_OF_REACH = 40.0
# Below this distance, in deviations, what is left of the chance is rounding noise: the step is killed.
TOUCHING = 1e-7
# Uniforms this near to 0 and 1 are held: beyond, the chance has no digits left to solve for.
TAIL = 1e-13
# Newton steps to the root without derivatives.
SOLVING = 12
# Newton steps with derivatives: k of them from the root have the derivatives of the root up to order 2^k - 1.
DIFFERENTIATED = 2
# ln(1 + x) is held from here on: its root is out of reach for every skewness below 1.
LEAST_LOG = 1e-18


@dataclass(frozen=True, kw_only=True)
class Displaced:
    """The step x(z). Shape: each batch-or-1 path-or-1.

    Args:
        scale: standard deviation of x.
        skew: what beta is where it is small, a third of the skewness.
    """

    scale: Tensor
    skew: Tensor

    @property
    def beta(self) -> Tensor:
        """The skew held below 1: skew / (1 + skew^2)^(1/2). Shape: batch-or-1 path-or-1."""
        return self.skew * (1.0 + self.skew.square()).rsqrt()

    def move(self, z: Tensor) -> Tensor:
        """The move at a normal. Shape: broadcast."""
        shifted = z - 0.5 * self.beta
        return self.slope * shifted * exprel(self.beta * shifted)

    def normal(self, x: Tensor) -> Tensor:
        """The normal that moves by x, beyond all of them where none does. Shape: broadcast."""
        return self.start(x) + 0.5 * self.beta

    def start(self, x: Tensor) -> Tensor:
        """Where the barrier at x is before the step, in units of its normal. Shape: broadcast."""
        share = x / self.slope
        return share * log_ratio(self.beta * share)

    @property
    def slope(self) -> Tensor:
        """Deviation at the start of the step, over its whole length. Shape: batch-or-1 path-or-1."""
        return self.scale.clamp(min=CERTAIN) / exprel(self.beta.square()).sqrt()


def log_ratio(x: Tensor) -> Tensor:
    """``ln(1 + x) / x``, 1 at 0. Shape: any -> the same."""
    small = x.abs() < SERIES
    safe = torch.where(small, torch.ones_like(x), x)
    series = 1.0 - x * (0.5 - x * (1.0 / 3.0 - x * (0.25 - x * (0.2 - x / 6.0))))
    return torch.where(small, series, torch.log((1.0 + safe).clamp(min=LEAST_LOG)) / safe)


def kept_clear(uniform: Tensor, a: Tensor, w: Tensor) -> tuple[Tensor, Tensor]:
    """The end given that it was never touched, and the chance of that; a step that starts at the barrier has none.

    Shape: any, broadcast.
    """
    uniform, w = uniform.clamp(TAIL, 1.0 - TAIL), w.clamp(-OUT_OF_REACH, END)
    lives = a > TOUCHING
    a = torch.where(lives, a, torch.ones_like(a)).clamp(max=OUT_OF_REACH)
    whole = beyond(w, a, w)
    target = (1.0 - uniform) * whole
    z = solved(target.detach(), a.detach(), w.detach())
    for _ in range(DIFFERENTIATED):
        z = z + (beyond(z, a, w) - target) / untouched(z, a, w)
    return z, torch.where(lives, whole, torch.zeros_like(whole))


def solved(target: Tensor, a: Tensor, w: Tensor) -> Tensor:
    """The root of C(z) = target by Newton's method on ln C, which is concave, so that it converges from any start.

    It starts from the draw of a normal that only ends beyond w, which is never to the right of the root.

    Shape: any -> the same.
    """
    share = target / beyond(w, a, w)
    z = torch.maximum(-torch.special.ndtri(share * cumulative(-w)), w + TOUCHING)
    for _ in range(SOLVING):
        left = beyond(z, a, w)
        z = (z + left / untouched(z, a, w) * torch.log(left / target)).clamp(max=2.0 * END)
    return z


def beyond(z: Tensor, a: Tensor, w: Tensor) -> Tensor:
    """The chance C(z) of ending beyond z, never touched. Shape: any, broadcast."""
    return cumulative(-z) - tail(z + 2.0 * a, 2.0 * a * (a + w))


def untouched(z: Tensor, a: Tensor, w: Tensor) -> Tensor:
    """The density -C'(z) of an end that was never touched. Shape: any, broadcast."""
    return -density(z) * torch.expm1(-2.0 * a * (z - w))
