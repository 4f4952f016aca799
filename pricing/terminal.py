"""What a process hands to a payoff: the assets at maturity, kept as a sum until something needs them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Terminal:
    """S_T = forward + increments, in currency, and the discount factor to it.

    A payoff of a basket needs w . S_T only. Reducing the two parts before they are added makes every tensor of a batch
    ``batch path`` instead of ``batch path asset``.

    Shape: forward ``batch 1 asset``; increments ``1 path asset`` (paths shared by the batch) or ``batch path asset``.
    """

    forward: Tensor
    increments: Tensor
    discount: float

    def basket(self, weights: Sequence[float]) -> Tensor:
        """W . S_T. Shape: -> batch path."""
        w = self.forward.new_tensor(weights)
        return self.forward @ w + self.increments @ w
