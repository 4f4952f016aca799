"""How many time steps a problem's paths take where its process does not say: by maturity, speed and dates.

What a path of one year takes is enough where the clock that matters has run for about one unit by the maturity:
reversions of the variance, or how far the volatility of variance drives it in units of its level; the variance of
ln S; how often coefficients change with the level. Errors of the schemes fall about as the square of the step and grow
about as that clock, so that steps grow as its root. The Box's worst corner decides. Torch-free.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import assert_never

import numpy as np
from msgspec import UNSET
from msgspec.structs import replace

from pricing.specs.diffusion import MAXIMUM_STEPS
from pricing.specs.evaluation import Dual, evaluate
from pricing.specs.ito import ItoDiffusion
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton
from pricing.specs.variations import on_grid

# Variance of ln S of a year at a volatility of 20 %.
USUAL_VARIANCE = 0.04
# A variance is not taken to be less than this, a volatility of 3 %: it would ask for any number of steps.
LEAST_VARIANCE = 1e-3
# Times the steps where a barrier is watched between them, over which it holds the variance still
# (`pricing.estimators.heston_barrier`).
BRIDGED = 2
# The most steps that are taken unasked.
MOST_STEPS = 512


@lru_cache(maxsize=256)
def gridded(problem: PricingProblem) -> PricingProblem:
    """The problem with a number of time steps, its own if it has one; itself where its process has no grid."""
    process = problem.process
    match process:
        case Bachelier() | BlackScholes() | Merton():
            return problem
        case Heston() | LocalVolatility() | ItoDiffusion():
            if process.steps is not UNSET:
                return problem
            count = min(math.ceil((process.facts.grid or 1) * _bridged(problem) * _clock(problem) ** 0.5), MOST_STEPS)
            return replace(problem, process=on_grid(process, _dated(problem, count)))
        case _:
            assert_never(process)


def _dated(problem: PricingProblem, count: int) -> int:
    """So many steps to maturity as a multiple of the dates: as many between any two, enough for the longest wait."""
    dates = problem.payoff.facts.dates
    longest = max(b - a for a, b in zip((0.0, *dates), dates, strict=False))
    return min(len(dates) * math.ceil(count * longest), MAXIMUM_STEPS)


def _bridged(problem: PricingProblem) -> int:
    watched = problem.payoff.facts.decided == "always" and problem.process.facts.bridge == "own steps"
    return BRIDGED if watched else 1


def _clock(problem: PricingProblem) -> float:
    """What runs until the maturity, 1 at least."""
    process, T = problem.process, _most(problem, "maturity")
    match process:
        case Heston():
            return max(1.0, *(_of_variance(problem, T, i) for i in range(process.assets)))
        case LocalVolatility():
            sigma = _most(problem, "volatility") * _most(problem, "volatility_scale")
            return max(1.0, T * sigma**2 / USUAL_VARIANCE)
        case ItoDiffusion():
            return max(1.0, T * _speed(problem, process))
        case Bachelier() | BlackScholes() | Merton():
            return 1.0
        case _:
            assert_never(process)


def _of_variance(problem: PricingProblem, T: float, asset: int) -> float:
    """Reversions, and xi^2 T in units of the variance, half of what there is of it after as many reversions."""
    slow, fast = (bounds[asset] for bounds in problem.bounds("mean_reversion"))
    xi = problem.bounds("variance_volatility")[1][asset]
    level = max(problem.bounds(name)[0][asset] for name in ("initial_variance", "long_variance"))
    return max(fast * T, 0.5 * xi**2 * T / (max(level, LEAST_VARIANCE) * (1.0 + slow * T)))


def _speed(problem: PricingProblem, process: ItoDiffusion) -> float:
    """The largest slope of a drift, or squared slope of a diffusion, at the Box's spots; per year.

    0 of assets whose noise is that of no level and whose drift is linear: a step of any length is right.
    """
    speed, scale = 0.0, _most(problem, "volatility_scale")
    constants = {}
    if process.constants:
        middle = 0.5 * np.add(*problem.bounds("constant"))
        constants = dict(zip(sorted(process.constants), middle.tolist(), strict=True))
    there = {**constants, "t": 0.0, "r": _most(problem, "rate")}
    low, high = problem.bounds("spot")
    for i, (drift, diffusion) in enumerate(process.coefficients):
        if drift.degree <= 1.0 and diffusion.degree == 0.0:
            continue
        S = np.linspace(low[i], high[i], 9)
        with np.errstate(all="ignore"):
            found = [evaluate(part, {**there, "S": S}, np.float64, library=np) for part in (drift, diffusion)]
        pull, spread = map(_steepest, found)
        speed = max(speed, pull, (scale * spread) ** 2)
    return speed


def _steepest(coefficient: Dual) -> float:
    """The largest slope in size, of those that are finite."""
    slopes = np.atleast_1d(0.0 if coefficient.slope is None else coefficient.slope)
    return float(np.abs(slopes[np.isfinite(slopes)]).max(initial=0.0))


def _most(problem: PricingProblem, name: str) -> float:
    """The largest coordinate of a parameter over the Box."""
    return max(problem.bounds(name)[1])
