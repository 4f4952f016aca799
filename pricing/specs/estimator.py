"""How a path becomes a label."""

from __future__ import annotations

import math
from typing import Literal

from msgspec import UNSET, UnsetType

from pricing.errors import InvalidSpec
from pricing.specs.base import MAXIMUM_PATHS, Spec, require_power_of_two, require_range

# Smoothing narrower than this has derivatives that no number of paths averages, and at last none that are numbers.
LEAST_WIDTH, LEAST_BIAS = 1e-6, 1e-12

# Degrees that are tried where none is given, as long as they have no more terms than this.
DEGREES, MOST_TERMS = range(2, 9), 130

Kernel = Literal["silu", "softplus", "average", "gaussian", "logistic"]


class Pathwise(Spec, frozen=True, kw_only=True, tag_field="kind", tag="pathwise"):
    """The payoff as it is: unbiased value and delta, no curvature.

    Args:
        control: "geometric" takes the geometric basket off, whose expectation is known: an eighth of the variance of
            values and half of that of deltas on pseudo-random paths of a Black-Scholes basket of seven, and nothing, or
            less, on rotated Sobol paths.
    """

    control: Literal["none", "geometric"] = "none"


class Smoothed(Spec, frozen=True, kw_only=True, tag_field="kind", tag="smoothed"):
    """The payoff's kinks and jumps replaced by smooth ramps and steps.

    Args:
        kernel: their shape. "logistic" weighs the two branches f and g of every join at p, (1 - sigma) f + sigma g with
            sigma = 1 / (1 + exp(-(x - p) / w)), kinks and jumps alike. "average" of SiLU and softplus has no bias at
            second order in the width, and steps by the slope of that ramp. sigma has that bias, so that at the default
            ``gamma_bias`` it is a fifteenth as wide: 3 times the noise in deltas of a digital, 30 times in its gammas
            (`benchmarks/joins.py`).
        width: in units of the terminal standard deviation; 0 means: derived from ``gamma_bias``.
        gamma_bias: largest accepted relative bias of the at-the-money gamma (of a jump: delta) when ``width`` is 0.
    """

    kernel: Kernel = "average"
    width: float = 0.0
    gamma_bias: float = 1e-5

    def __post_init__(self) -> None:
        if not (self.width == 0.0 or LEAST_WIDTH <= self.width <= 1.0):
            raise InvalidSpec(
                f"width must be 0 (automatic) or {LEAST_WIDTH:g} to 1 terminal standard deviations, got {self.width!r}",
                path="width",
                bound=[LEAST_WIDTH, 1.0],
            )
        require_range("gamma_bias", self.gamma_bias, LEAST_BIAS, 0.1)


class Conditional(Spec, frozen=True, kw_only=True, tag_field="kind", tag="conditional"):
    """One driving normal integrated exactly: unbiased, infinitely smooth.

    Args:
        normal: "last" integrates the last (least important) rotated normal; "first" the most important one, which for a
            Bachelier basket after gradient PCA is the whole distribution, so that the labels are exact.
    """

    normal: Literal["first", "last"] = "first"


class Survival(Spec, frozen=True, kw_only=True, tag_field="kind", tag="survival"):
    """One-step survival: every step drawn given that the trigger is not hit, weighted by the chance of that.

    Differentiable path by path to all orders (Glasserman & Staum 2001) and unbiased on one asset; between several, ties
    are smoothed with the bias that `Smoothed` states for its own defaults.
    """


class Bridge(Spec, frozen=True, kw_only=True, tag_field="kind", tag="bridge"):
    """Continuous barriers by the chance that a Brownian bridge between the simulated points stays clear of them.

    The last step is integrated exactly, so that no kink is left; one step of Black-Scholes is the closed form.

    Args:
        steps: of equal length to maturity, for processes that are exact in any step; others have their own grid.
    """

    steps: int = 1

    def __post_init__(self) -> None:
        require_range("steps", self.steps, 1, 4096)


class LikelihoodRatio(Spec, frozen=True, kw_only=True, tag_field="kind", tag="likelihood_ratio"):
    """The density differentiated instead of the payoff: unbiased for any payoff, noisy.

    Args:
        scope: "full" differentiates the density of the whole path; "last" is the hybrid: pathwise up to the last step,
            the density of the last step.
    """

    scope: Literal["full", "last"] = "full"


class Frozen(Spec, frozen=True, kw_only=True, tag_field="kind", tag="frozen"):
    """Early exercise by least-squares Monte Carlo, differentiated with the exercise rule held fixed.

    Args:
        degree: of the polynomials that estimate continuation values. By default the smallest of 2 to 8, as far as they
            have 130 terms or less, whose rule earns on unseen paths what the best of them does, within noise.
        paths: that the rule is fitted on, independent of the label's; a power of two.
        width: of the smooth exercise decision, in standard deviations of exercise value less continuation; its bias is
            of fourth order. 0 decides hard, which leaves no curvature.
    """

    degree: int | UnsetType = UNSET
    paths: int = 1 << 15
    width: float = 0.1

    def __post_init__(self) -> None:
        if self.degree is not UNSET:
            require_range("degree", self.degree, 1, max(DEGREES))
        require_power_of_two("paths", self.paths, MAXIMUM_PATHS)
        if self.width != 0.0:
            require_range("width", self.width, LEAST_WIDTH, 1.0)

    @property
    def given_degree(self) -> int | None:
        """The degree that the specification says, if it says one."""
        return None if self.degree is UNSET else self.degree

    def degrees(self, inputs: int) -> tuple[int, ...]:
        """The degree that is given, or those that are tried on so many inputs."""
        if self.degree is not UNSET:
            return (self.degree,)
        return tuple(n for n in DEGREES if math.comb(inputs + n, n) <= MOST_TERMS) or (1,)


class Automatic(Spec, frozen=True, kw_only=True, tag_field="kind", tag="auto"):
    """The estimator that `pricing.estimators.contribute` gives the problem."""


Estimator = Automatic | Pathwise | Smoothed | Conditional | Survival | Bridge | LikelihoodRatio | Frozen
