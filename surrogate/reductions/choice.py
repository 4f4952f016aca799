"""Which reduction a problem has, or why it has none."""

from __future__ import annotations

from pricing.specs.problem import PricingProblem
from surrogate.reductions import alive, bachelier, control, geometric
from surrogate.reductions.reduction import Reduction


def reduce(problem: PricingProblem, *, controlled: bool = True) -> Reduction | None:
    """The exact reduction of a problem, None where there is none: the network sees the features as they are.

    Args:
        controlled: whether a closed form near the value is taken off where there is one.
    """
    found = _found(problem, controlled=controlled)
    return found if isinstance(found, Reduction) else None


def reason(problem: PricingProblem) -> str | None:
    """Why a problem has no exact reduction; None where it has one."""
    found = _found(problem, controlled=False)
    return found if isinstance(found, str) else None


def no_control(problem: PricingProblem) -> str | None:
    """Why no closed form is taken off a product of the kind that has one near it; None of any other."""
    return control.obstacle(problem) if control.concerns(problem) else None


def _found(problem: PricingProblem, *, controlled: bool) -> Reduction | str:
    scaled = _scaled(problem)
    scaled = control.with_the_control(problem, scaled) if controlled else scaled
    return alive.with_the_dead(problem, scaled)


def _scaled(problem: PricingProblem) -> Reduction | str:
    process = problem.process.facts
    if process.unscaled is not None:
        return process.unscaled
    return geometric.reduce(problem) if process.positive else bachelier.reduce(problem)
