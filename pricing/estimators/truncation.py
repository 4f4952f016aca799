"""A standard normal kept below an end: draws of it and its chance, smooth in the end to all orders.

References: Glasserman & Staum (2001), Conditioning on one-step survival for barrier option simulations.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.elementary import cumulative

# P(|z| > 8) is 1e-15, at the rounding of float64; up to there the inverse and its derivatives are finite.
END = 8.0
# An end that is not there: N is 0 or 1 to the last bit, also after any shift that has a meaning.
FAR = 1e3


def below(uniform: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Z = N^-1(u N(end)), a standard normal given that it lies below the end, and the chance N(end) of that.

    Args:
        uniform: u in (0, 1).

    Shape: any, broadcast.
    """
    mass = cumulative(end.clamp(-END, END))
    return torch.special.ndtri(uniform * mass), mass
