"""What an estimator gives the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from pricing.simulation.rotation import Rotation
from pricing.simulation.scenario import Scenario


@dataclass(frozen=True, kw_only=True)
class Contribution:
    """What every path contributes to a label.

    Args:
        value: discounted cash, or a conditional expectation or weighted form of it, on every path, in currency; the
            mean over paths is the label, and so are its derivatives by the scenario. It turns its normals itself,
            because an estimator that integrates one of them must know which.
            Shape: normals 1-or-batch path dimension -> batch path.
        pilot: a Lipschitz stand-in whose gradients by the (turned) normals tell the directions that matter.
            Shape: as value.
        blocks: sizes of the groups of consecutive normals that a rotation may mix.
        numbers: float64 numbers that one path of one sample keeps in memory at a time.
        fitting: paths that were simulated to fit the estimator before any label.
    """

    value: Callable[[Scenario, Tensor, Rotation], Tensor]
    pilot: Callable[[Scenario, Tensor], Tensor]
    blocks: tuple[int, ...]
    numbers: int
    fitting: int = 0

    @property
    def dimension(self) -> int:
        """Normals of one path."""
        return sum(self.blocks)
