"""Where coefficients that a user wrote make no process: looked at over the Box, before anything is simulated.

Levels are followed from the spots of the Box along the paths of W_t = c t / sqrt(T), c from -4 to 4 standard
deviations, at corners and middle of what varies: the likeliest way to the far ends. What a path meets beyond is refused
when it does (`pricing.processes.ito`). Torch-free.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from typing import NoReturn

import numpy as np

from pricing.errors import InvalidSpec
from pricing.specs.evaluation import evaluate, steps
from pricing.specs.expression import Expression
from pricing.specs.ito import ItoDiffusion
from pricing.specs.problem import PricingProblem
from pricing.types import Array, BoolArray

# Standard deviations at maturity that levels are followed to, the flows between, and the most steps of one.
DEVIATIONS, FLOWS, MOST_STEPS = 4.0, 17, 32
# Parameters whose Box has so few corners that all of them are looked at.
FEW = 6
# Levels between the least and the largest at which a jump is looked for, and the share of a coefficient's range that
# its slope may miss between two of them: a kink misses a ten-thousandth, and a root at its end a hundredth.
LEVELS, JUMP = 4097, 0.05
# Characters of an expression in a sentence; a maturity that stands for zero.
SHOWN, TINY = 80, 1e-12


def require_coefficients(problem: PricingProblem) -> None:
    """Raise InvalidSpec where coefficients are not finite, jump in S, or leave nothing random.

    A coefficient that jumps has derivatives that miss the jump, and so would every delta.
    """
    process = problem.process
    if not isinstance(process, ItoDiffusion):
        return
    seen, random = set[tuple[str, str]](), False
    with np.errstate(all="ignore"):
        for i, (drift, diffusion) in enumerate(process.coefficients):
            if (drift.text, diffusion.text) in seen:
                continue
            seen.add((drift.text, diffusion.text))
            random = _follow(problem, process, i) or random
    if not random:
        raise InvalidSpec(
            "problem.process.diffusions: they are 0 wherever levels go, so nothing is random and there is nothing to "
            "simulate; write a diffusion",
            path="problem.process.diffusions",
        )


def corners(problem: PricingProblem, process: ItoDiffusion) -> dict[str, Array]:
    """What varies beside the spots: all at their middles, each at its bounds, and where they are few every corner.

    Constants have their names, rate, scale and maturity theirs after a dot. Shape: -> corner each.
    """
    bounds = {f".{name}": problem.bounds(name) for name in ("rate", "volatility_scale", "maturity")}
    low, high = problem.bounds("constant") if process.constants else ((), ())
    bounds |= {
        name: ((least,), (most,)) for name, least, most in zip(sorted(process.constants), low, high, strict=True)
    }
    ends = {name: (min(least), max(most)) for name, (least, most) in bounds.items()}
    middle = {name: 0.5 * (least + most) for name, (least, most) in ends.items()}
    varying = {name: pair for name, pair in ends.items() if pair[0] < pair[1]}
    rows = [middle, *({**middle, name: end} for name, pair in varying.items() for end in pair)]
    few = varying if len(varying) <= FEW else {}
    rows += [{**middle, **dict(zip(few, corner, strict=True))} for corner in product(*few.values())]
    return {name: np.array([row[name] for row in rows]) for name in ends}


def _follow(problem: PricingProblem, process: ItoDiffusion, asset: int) -> bool:
    """Follow an asset's levels; whether anything is random there. Raise InvalidSpec where a coefficient is none."""
    pair = dict(zip((f"drifts[{asset}]", f"diffusions[{asset}]"), process.coefficients[asset], strict=True))
    least, most = (bounds[asset] for bounds in problem.bounds("spot"))
    spots = np.array([least, 0.5 * (least + most), most])
    at = {name: np.repeat(column, len(spots))[:, None] for name, column in corners(problem, process).items()}
    count = min(process.facts.grid or 1, MOST_STEPS)
    h = at[".maturity"] / count
    push = at[".volatility_scale"] * np.linspace(-DEVIATIONS, DEVIATIONS, FLOWS) / np.sqrt(at[".maturity"].clip(TINY))
    S = np.tile(spots, len(h) // len(spots))[:, None] * np.ones_like(push)
    low, high, random = S.min(), S.max(), False
    for j in range(count):
        there = {**at, "S": S, "t": j * h, "r": at[".rate"]}
        a, b = (_finite(expression, there, name) for name, expression in pair.items())
        random = random or bool(np.any(b != 0.0))
        S = S + (a + b * push) * h
        if not np.isfinite(S).all():
            _refuse(f"drifts[{asset}]", "the level that it leads to", np.inf, there, ~np.isfinite(S))
        low, high = min(low, S.min()), max(high, S.max())
    middle = {name: column[0, 0] for name, column in at.items()}
    for share in (0.0, 0.5, 1.0):
        there = {**middle, "t": share * middle[".maturity"], "r": middle[".rate"]}
        for name, expression in pair.items():
            _require_continuous(expression, there, (low, high), name)
    return random


def _finite(expression: Expression, there: Mapping[str, Array], name: str) -> Array:
    """The coefficient; raise InvalidSpec where it, a part of it or a derivative is not finite."""
    found = steps(expression, there, np.float64, library=np)
    for part, (value, slope) in zip(expression.parts, found, strict=True):
        for word, numbers in (("", value), ("the derivative by S of ", slope)):
            if numbers is None or np.isfinite(numbers).all():
                continue
            bad = ~np.isfinite(np.broadcast_to(numbers, there["S"].shape))
            _refuse(name, f"{word}{part[:SHOWN]!r}", np.broadcast_to(numbers, bad.shape)[bad][0], there, bad)
    result: Array = np.broadcast_to(found[-1].value, there["S"].shape)
    return result


def _refuse(name: str, what: str, value: float, there: Mapping[str, Array], bad: BoolArray) -> NoReturn:
    """Raise InvalidSpec about the first place that is bad."""
    S, t = (np.broadcast_to(there[key], bad.shape)[bad][0] for key in ("S", "t"))
    raise InvalidSpec(
        f"problem.process.{name}: {what} is {value:g} at S = {S:.6g}, t = {t:.6g} years, where paths from the Box go; "
        "write what holds there, such as max(S, 0) for S, or make the Box smaller",
        path=f"problem.process.{name}",
    )


def _require_continuous(
    expression: Expression, there: Mapping[str, Array], ends: tuple[float, float], name: str
) -> None:
    """Raise InvalidSpec where the coefficient moves over a small step of S by what its slope does not say."""
    S = np.linspace(*ends, LEVELS)
    value, slope = evaluate(expression, {**there, "S": S}, np.float64, library=np)
    if slope is None or not (np.isfinite(value).all() and np.isfinite(slope).all()):
        return
    missed = np.abs(np.diff(value) - 0.5 * (slope[1:] + slope[:-1]) * np.diff(S))
    place = int(missed.argmax())
    if missed[place] > JUMP * np.ptp(value):
        raise InvalidSpec(
            f"problem.process.{name}: it jumps, or is too steep for any path to see, by {missed[place]:.4g} between "
            f"S = {S[place]:.6g} and {S[place + 1]:.6g} at t = {there['t']:.6g} years, which every delta would miss; "
            "write a ramp that is wider than a time step's move, such as tanh((S - 100) / 5)",
            path=f"problem.process.{name}",
        )
