"""Whether labels differ at all: a payoff that is worth the same on the whole Box has nothing to learn."""

from __future__ import annotations

from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.specs.problem import PricingProblem

# Values that differ by no more than this share of the largest value or spot differ by rounding.
ROUNDING = 1e-12


def require_variation(problem: PricingProblem, values: Tensor) -> None:
    """Raise InvalidSpec where the labels are all the same. Shape: values batch."""
    least, most = float(values.min()), float(values.max())
    spots = problem.box.columns("spot")
    if most - least > ROUNDING * max(abs(least), abs(most), problem.box.upper[spots].max()):
        return
    levels = ", ".join(f"{name} {level[0]:g}" for name, level in problem.payoff.parameters.items())
    raise InvalidSpec(
        f"problem.payoff: its value is {most:.3g} at all {len(values)} samples of the Box, so there is nothing to "
        f"learn; look at {levels} and at the bounds of the features",
        path="problem.payoff",
    )
