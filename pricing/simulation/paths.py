"""What a process hands to a payoff: the assets at its dates, kept in two parts until something needs them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Paths:
    """S = forward + noise ("additive") or S = forward noise ("multiplicative"), and the discount factor to each date.

    Parameters that are no features leave the noise the same for every sample. A payoff that needs w . S alone then
    costs one matrix product a date, ``batch path`` in size, instead of tensors of ``batch path asset``.

    Shape: forward ``batch 1 date asset``; noise ``1 path date asset``, shared by the batch, or ``batch path date
    asset``; discount ``batch-or-1 1 date``.
    """

    forward: Tensor
    noise: Tensor
    law: Literal["additive", "multiplicative"]
    discount: Tensor

    @property
    def dates(self) -> int:
        """Number of dates."""
        return self.forward.shape[2]

    def basket(self, weights: Sequence[float], date: int = -1) -> Tensor:
        """The basket w . S at a date. Shape: -> batch path."""
        w = self.forward.new_tensor(weights)
        forward, noise = self.forward[:, :, date], self.noise[:, :, date]
        if self.law == "additive":
            return forward @ w + noise @ w
        amounts = forward * w
        if len(noise) == 1:
            return amounts[:, 0] @ noise[0].T
        return (amounts * noise).sum(dim=-1)

    def levels(self, date: int = -1) -> Tensor:
        """The levels S at a date, asset by asset. Shape: -> batch path asset."""
        forward, noise = self.forward[:, :, date], self.noise[:, :, date]
        return forward + noise if self.law == "additive" else forward * noise
