"""Which reduction a problem has, or why it has none."""

from __future__ import annotations

from typing import assert_never

from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility
from surrogate.reductions import bachelier, geometric
from surrogate.reductions.reduction import Reduction


def reduce(problem: PricingProblem) -> Reduction | None:
    """The exact reduction of a problem, None where there is none: the network sees the features as they are."""
    found = _found(problem)
    return found if isinstance(found, Reduction) else None


def reason(problem: PricingProblem) -> str | None:
    """Why a problem has no exact reduction; None where it has one."""
    found = _found(problem)
    return found if isinstance(found, str) else None


def _found(problem: PricingProblem) -> Reduction | str:
    match problem.process:
        case Bachelier():
            return bachelier.reduce(problem)
        case BlackScholes() | Heston():
            return geometric.reduce(problem)
        case LocalVolatility():
            return "a surface of local volatility does not scale"
        case _:
            assert_never(problem.process)
