"""A forward-start option on one asset, one normal integrated: an exchange of S_T for K S_t.

With S_T = a e^(c x) and K S_t = b e^(d x), x ~ N(0, 1), the two meet at x* = ln(b / a) / (c - d), and

    E[(a e^(c x) - b e^(d x))^+] = a e^(c^2 / 2) N(s (c - x*)) - b e^(d^2 / 2) N(s (d - x*)),   s = sign(c - d),

so that the value and its derivatives to all orders come from one formula; "additive" levels leave a Gaussian.

References: Rubinstein (1991), Pay now, choose later; Margrabe (1978).
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.elementary import cumulative, gaussian_ramp
from pricing.estimators.exponentials import TINY
from pricing.estimators.open_normal import Line
from pricing.specs.payoff import ForwardStart

# Below this difference of the slopes nothing of the normal is left between the two dates.
CERTAIN = 1e-12


def expected(payoff: ForwardStart, line: Line, strike: Tensor) -> Tensor:
    """E[cash] over the open normal, undiscounted. Shape: strike batch-or-1 1 -> batch path."""
    (weight,) = payoff.weights
    gains = (payoff.side == "call") == (weight > 0.0)
    early, late = line.level[:, :, 0, 0], line.level[:, :, 1, 0]
    slow, fast = line.slope[:, :, 0, 0], line.slope[:, :, 1, 0]
    if line.law == "additive":
        rest, slope = late - strike * early, fast - strike * slow
        return abs(weight) * gaussian_ramp(rest if gains else -rest, slope)
    return abs(weight) * exchange(late, fast, strike * early, slow, call=gains)


def exchange(a: Tensor, c: Tensor, b: Tensor, d: Tensor, *, call: bool) -> Tensor:
    """Expectation of (a e^(c x) - b e^(d x))^+, or of its negative. Shape: batch path, broadcast -> batch path."""
    apart = c - d
    moves = apart.abs() > CERTAIN
    safe = torch.where(moves, apart, torch.ones_like(apart))
    meeting = (torch.log(b.clamp(min=TINY)) - torch.log(a.clamp(min=TINY))) / safe
    sign = safe.sign() if call else -safe.sign()
    first = a * torch.exp(0.5 * c.square()) * cumulative(sign * (c - meeting))
    second = b * torch.exp(0.5 * d.square()) * cumulative(sign * (d - meeting))
    gained = first - second if call else second - first
    certain = torch.relu(a - b if call else b - a) * torch.exp(0.5 * c.square())
    return torch.where(moves, gained, certain)
