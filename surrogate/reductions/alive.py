"""A barrier that is watched all the time and lies inside the Box: what it has ended is known, and only the rest learnt.

    V(x) = 1{S beyond H} h(x)

where h is whatever exact scaling leaves, or the value as it is. The kink at the barrier, which no smooth network shows,
is then in the formula, and labels are made on the living side alone. At the barrier itself the option is dead.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from surrogate.reductions.expressions import Expression, constant, evaluate, feature, indicator
from surrogate.reductions.reduction import Reduction, beside, bounds, parameters


def with_the_dead(problem: PricingProblem, found: Reduction | str) -> Reduction | str:
    """The reduction, or none, with what is dead answered by the formula; itself where nothing in the Box is."""
    gap = distance(problem)
    if gap is None:
        return found
    scaled = unscaled(problem) if isinstance(found, str) else found
    alive = "S > H" if problem.payoff.direction == "down" else "S < H"  # type: ignore[union-attr]
    return replace(
        scaled, kind=scaled.kind.replace("V = ", f"V = 1{{{alive}}} "), amplitude=scaled.amplitude * indicator(gap)
    )


def distance(problem: PricingProblem) -> Expression | None:
    """From the barrier, positive where the option lives; None where no barrier parts the Box into dead and alive."""
    payoff = problem.payoff
    if not isinstance(payoff, Barrier) or payoff.dates or payoff.knock == "in":
        return None
    at = parameters(problem)
    gap = at["spot"] - at["barrier"]
    gap = gap if payoff.direction == "down" else -gap
    least, most = (float(end) for end in bounds(gap, problem.box))
    return gap if least < 0.0 < most else None


def living(problem: PricingProblem, features: Tensor) -> Tensor:
    """Which features a barrier leaves alive; all where none parts the Box. Shape: batch feature -> batch."""
    gap = distance(problem)
    if gap is None:
        return torch.ones(len(features), dtype=torch.bool)
    return evaluate([gap], features)[0][:, 0] > 0.0


def unscaled(problem: PricingProblem) -> Reduction:
    """The value as it is, as a reduction."""
    every, one = feature(0, problem.box.dimension), constant(1.0)
    columns = [problem.box.columns(block.name) for block in problem.box.features]
    return Reduction(
        kind="V = h(x)",
        problem=problem,
        canonical=problem,
        box=problem.box,
        amplitude=one,
        inputs=beside([feature(block.start, block.stop) for block in columns]),
        arguments=every,
        local_amplitude=one,
        local_inputs=every,
    )
