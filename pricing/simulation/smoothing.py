"""Smooth ramps in place of x^+, the width that keeps their bias in a budget, and that bias as a formula.

With u = x / w a ramp is w p(u); its second derivative p''(u) / w is the kernel in place of the kink's Dirac mass.
A kernel of order k has moments 0 up to k, so with c its k-th moment over k! and kappa = w / s in units of the terminal
standard deviation s (Bachelier, d = (F - K) / s, He the Hermite polynomials, leading order in kappa):

    bias of the value          c kappa^k He_(k-2)(d) n(d) s
    relative bias of gamma     c kappa^k He_k(d)

That of steps, and of the joins of a payoff one by one: `pricing.simulation.joins`.
"""

from __future__ import annotations

import math
from typing import assert_never

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermeval
from torch import Tensor
from torch.nn.functional import silu, softplus

from pricing.elementary import cumulative, density
from pricing.specs.estimator import (
    Automatic,
    Bridge,
    Conditional,
    Estimator,
    Frozen,
    Kernel,
    LikelihoodRatio,
    Pathwise,
    Smoothed,
    Survival,
)

# Beyond this u, log(1 + e^u) is u in float64 (e^-40 < 2^-53).
SOFTPLUS_EXACT = 40.0
# Order k and coefficient c of each kernel: the logistic density has variance pi^2 / 3 and fourth moment 7 pi^4 / 15;
# SiLU's kernel is 2 k + u k', whose second moment is the negative of it, so that the average is of fourth order.
BIAS: dict[Kernel, tuple[int, float]] = {
    "silu": (2, -(math.pi**2) / 6.0),
    "softplus": (2, math.pi**2 / 6.0),
    "average": (4, -7.0 * math.pi**4 / 360.0),
    "gaussian": (2, 0.5),
    "logistic": (2, -(math.pi**2) / 6.0),
}


def ramp(kernel: Kernel, x: Tensor, *, width: Tensor | float) -> Tensor:
    """Smooth x^+ of an event x; width in the same unit, 0 for x^+ itself. Shape: batch path, width batch-or-1 1.

    Autograd gives slope and curvature.
    """
    w = torch.as_tensor(width, dtype=x.dtype)
    safe = w.where(w > 0.0, 1.0)
    smooth: Tensor = torch.where(w > 0.0, safe * unit_ramp(kernel, x / safe), torch.relu(x))
    return smooth


def step(kernel: Kernel, x: Tensor, *, width: Tensor | float) -> Tensor:
    """Smooth 1{x > 0}: the slope of the ramp; width 0 for the step itself. Shape: batch path, width batch-or-1 1."""
    w = torch.as_tensor(width, dtype=x.dtype)
    safe = w.where(w > 0.0, 1.0)
    smooth: Tensor = torch.where(w > 0.0, unit_step(kernel, x / safe), (x > 0.0).to(x.dtype))
    return smooth


def unit_ramp(kernel: Kernel, u: Tensor) -> Tensor:
    """p(u), finite with its derivatives for any |u| <= 1e4. Shape: any -> the same."""
    match kernel:
        case "silu" | "logistic":
            p = silu(u)
        case "softplus":
            p = softplus(u, threshold=SOFTPLUS_EXACT)
        case "average":
            p = 0.5 * (silu(u) + softplus(u, threshold=SOFTPLUS_EXACT))
        case "gaussian":
            p = u * cumulative(u) + density(u)
        case _:
            assert_never(kernel)
    return p


def unit_step(kernel: Kernel, u: Tensor) -> Tensor:
    """p'(u). Shape: any -> the same."""
    s = torch.sigmoid(u)
    match kernel:
        case "silu":
            return s + u * s * (1.0 - s)
        case "softplus" | "logistic":
            return s
        case "average":
            return s + 0.5 * u * s * (1.0 - s)
        case "gaussian":
            return cumulative(u)
        case _:
            assert_never(kernel)


def width_ratio(kernel: Kernel, gamma_bias: float) -> float:
    """The kappa whose at-the-money gamma has the relative bias ``gamma_bias`` (absolute value)."""
    order, coefficient = BIAS[kernel]
    return float((gamma_bias / abs(coefficient * hermite(order, 0.0))) ** (1.0 / order))


def relative_gamma_bias(kernel: Kernel, ratio: float, d: float) -> float:
    """Bias of gamma over gamma at standardised moneyness d, c kappa^k He_k(d)."""
    order, coefficient = BIAS[kernel]
    return coefficient * ratio**order * hermite(order, d)


def value_bias(kernel: Kernel, ratio: float, d: float) -> float:
    """Bias of the undiscounted value in units of s, c kappa^k He_(k-2)(d) n(d)."""
    order, coefficient = BIAS[kernel]
    density = math.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)
    return coefficient * ratio**order * hermite(order - 2, d) * density


def stated_bias(estimator: Estimator) -> dict[str, float]:
    """Width in terminal standard deviations, and what it costs at the money: relative bias of gamma, value bias over s.

    Leading order in the width; zero for estimators that have no width; `pricing.estimators.contribute.bias` has theirs.
    """
    match estimator:
        case Smoothed(kernel=kernel, width=width, gamma_bias=gamma_bias):
            ratio = width or width_ratio(kernel, gamma_bias)
            gamma, value = relative_gamma_bias(kernel, ratio, 0.0), value_bias(kernel, ratio, 0.0)
        case Pathwise() | Conditional() | Survival() | Bridge() | LikelihoodRatio() | Frozen() | Automatic():
            ratio = gamma = value = 0.0
        case _:
            assert_never(estimator)
    return {"width": ratio, "relative_gamma": gamma, "value_over_deviation": value}


def hermite(order: int, d: float) -> float:
    """The probabilists' Hermite polynomial He_order(d)."""
    return float(hermeval(d, np.eye(order + 1)[order]))
