"""Which reduction a problem has."""

from __future__ import annotations

from typing import assert_never

from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility
from surrogate.reductions import bachelier, geometric
from surrogate.reductions.reduction import Reduction


def reduce(problem: PricingProblem) -> Reduction | None:
    """The exact reduction of a problem, None where nothing is gained: the network sees the features as they are."""
    match problem.process:
        case Bachelier():
            return bachelier.reduce(problem)
        case BlackScholes() | Heston():
            return geometric.reduce(problem)
        case LocalVolatility():
            return None
        case _:
            assert_never(problem.process)
