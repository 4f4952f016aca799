"""What payoffs and processes say of themselves, so that nobody asks of which class they are.

Every leaf states all of its facts in a property ``facts``; no base has it and no fact has a default, so that mypy and
``tests/conformance/test_products.py`` name whoever left one out. What computes is a ``match`` over the classes instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from pricing.specs.schedule import Dividend

# What cash depends on: the levels at maturity, their average over the dates, the levels at the dates one by one, those
# between the dates too, or when the holder exercises.
Decided = Literal["maturity", "average", "dates", "always", "holder"]
# What a path is: S = forward + noise, or S = forward noise with positive levels.
Law = Literal["additive", "multiplicative"]


@dataclass(frozen=True, kw_only=True)
class PayoffFacts:
    """The facts of a payoff.

    Args:
        dates: at which it looks at the assets, increasing shares of the maturity that end with 1.
        last_look: the last of them that its cash depends on, which may be paid later.
        decided: what its cash depends on.
        degree: n of cash(l S, l p) = l^n cash(S, p) for every l > 0, p the parameters in ``levels``; None where its
            cash does not scale so.
        levels: its parameters that are levels of the assets and scale with them.
        jumps: whether its cash jumps somewhere, so that pathwise derivatives miss something.
        flat: whether its cash is constant but for its jumps, so that no gradient of it tells what matters.
        survives: whether one date after the other ends it or lets it live, each by the worst level against a trigger:
            what one-step survival conditions (`pricing.estimators.survival`).
        unintegrated: why no formula of `pricing.estimators.conditional` integrates a normal of it; None where one does.
        ranked: whether the worst or best of its assets decides it, so that the others do not move it where they are.
        weights: of the basket that decides it, one per asset; None where none does.
        vanilla: whether it pays max(w . S_T - K, 0) or max(K - w . S_T, 0), and nothing else.
        sized_by: the field that has one entry per asset; None where it is on one asset.
        positive_levels: the field that needs positive levels of the assets, "" where the whole payoff does; else None.
        strike_unit: of its parameter ``strike``.
    """

    dates: tuple[float, ...]
    last_look: float
    decided: Decided
    degree: Literal[0, 1] | None
    levels: tuple[str, ...]
    jumps: bool
    flat: bool
    survives: bool
    unintegrated: str | None
    ranked: bool
    weights: tuple[float, ...] | None
    vanilla: bool
    sized_by: str | None
    positive_levels: str | None
    strike_unit: Literal["currency", "1"]

    @property
    def summed(self) -> slice:
        """Which of the dates make the level that decides it: all that an average looks at, else the last there is."""
        return slice(0, self.dates.index(self.last_look) + 1) if self.decided == "average" else slice(-1, None)


@dataclass(frozen=True, kw_only=True)
class ProcessFacts:
    """The facts of a process.

    Args:
        law: of its paths.
        unaffine: what it needs for S or ln S to be affine in the normals of its dates; None where it is.
        opened: given all other normals, S or ln S is affine in those of every step, or of the last step alone.
        unopened: why none of its normals can be integrated; None where one can.
        random_variance: whether the variance of a step is random.
        independent_increments: whether S_t / S_k, or S_t - e^G S_k, holds nothing of S_k.
        density: whether the density of its levels at the dates is known.
        lognormal: whether ln S is a Gaussian process with the covariance sigma_i sigma_j rho_ij times the clock.
        grid: time steps of a path, whose number biases it; None where any step is exact.
        shared_noise: whether the normals move every path alike, so that one path tells the slope of all.
        level_noise: whether the noise of a step depends on the level that it starts from.
        bridge: of a path between two dates: exactly Brownian; Brownian but for a barrier that is straight and should
            be bent; by steps of its own (`pricing.estimators.heston_barrier`); None where there is none.
        tensors: of the size of `Contribution.numbers` that a double backward pass holds at its peak, measured.
        randomness: the parameters that together leave nothing random where all are 0.
        dividends: at fixed times, in which the levels jump.
        convex: whether convex payoffs of S_T are known to have values convex in the spots.
        unscaled: why prices do not scale in spots, time and volatility (`surrogate.reductions`); None where they do.
        constant: parameters that may be no feature, with the reason.
        by_law: parameters in which levels jump at given normals, so that the derivative comes by the law of the draws,
            as a weight of 1 in the discount factor.
        carried: whether E[S_t | S_k] is S_k with its carry and its dividends.
        kinked: whether levels at given normals may have kinks in their parameters, which leave no curvature on a path.
    """

    law: Law
    unaffine: str | None
    opened: Literal["every step", "last step"]
    unopened: str | None
    random_variance: bool
    independent_increments: bool
    density: bool
    lognormal: bool
    grid: int | None
    shared_noise: bool
    level_noise: bool
    bridge: Literal["exact", "straight", "own steps"] | None
    tensors: int
    randomness: tuple[str, ...]
    dividends: tuple[Dividend, ...]
    convex: bool
    unscaled: str | None
    constant: Mapping[str, str]
    by_law: tuple[str, ...]
    carried: bool
    kinked: bool

    @property
    def positive(self) -> bool:
        """Whether levels stay positive."""
        return self.law == "multiplicative"

    @property
    def pays_cash(self) -> bool:
        """Whether a dividend has an amount in currency."""
        return any(dividend.amount for dividend in self.dividends)
