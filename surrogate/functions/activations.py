"""Activations with their first three derivatives as plain operations.

phi and its derivatives are needed by the explicit sweeps of `surrogate.functions.network`, by the enclosures of
`pruning.intervals.interval` and, operation for operation, by the exported graph. With s = 1 / (1 + exp(-a)) and
k = s (1 - s):

    SiLU      a s           s + a k        2 k + a k (1 - 2 s)        k (1 - 2 s) 3 + a k (1 - 6 s + 6 s^2)
    softplus  log(1 + e^a)  s              k                          k (1 - 2 s)
    tanh      t             1 - t^2        -2 t (1 - t^2)             (1 - t^2) (6 t^2 - 2)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor

ActivationName = Literal["silu", "softplus", "tanh", "relu", "identity"]
Derivatives = tuple[Tensor, Tensor, Tensor, Tensor]


def silu(a: Tensor) -> Derivatives:
    """a s(a) and its derivatives. Shape: any -> four of the same."""
    s = torch.sigmoid(a)
    k = s * (1.0 - s)
    slant = 1.0 - 2.0 * s
    return a * s, s + a * k, 2.0 * k + a * k * slant, 3.0 * k * slant + a * k * (1.0 - 6.0 * k)


def softplus(a: Tensor) -> Derivatives:
    """log(1 + e^a) and its derivatives. Shape: any -> four of the same."""
    s = torch.sigmoid(a)
    k = s * (1.0 - s)
    return torch.relu(a) + torch.log1p(torch.exp(-a.abs())), s, k, k * (1.0 - 2.0 * s)


def tanh(a: Tensor) -> Derivatives:
    """tanh a and its derivatives. Shape: any -> four of the same."""
    t = torch.tanh(a)
    slope = 1.0 - t * t
    return t, slope, -2.0 * t * slope, slope * (6.0 * t * t - 2.0)


def relu(a: Tensor) -> Derivatives:
    """max(a, 0), for classifiers: its curvature is 0 almost everywhere. Shape: any -> four of the same."""
    zero = torch.zeros_like(a)
    return torch.relu(a), (a > 0).to(a.dtype), zero, zero


def identity(a: Tensor) -> Derivatives:
    """a itself: between the two factors of a low-rank layer. Shape: any -> four of the same."""
    zero = torch.zeros_like(a)
    return a, torch.ones_like(a), zero, zero


ACTIVATIONS: Mapping[ActivationName, Callable[[Tensor], Derivatives]] = {
    "silu": silu,
    "softplus": softplus,
    "tanh": tanh,
    "relu": relu,
    "identity": identity,
}
