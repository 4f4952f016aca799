"""Smooth ramps in place of x^+, the width that keeps their bias in a budget, and that bias as a formula.

With u = x / w a ramp is w p(u); its second derivative p''(u) / w is the kernel in place of the kink's Dirac mass.
A kernel of order k has moments 0 up to k, so with c its k-th moment over k! and kappa = w / s in units of the terminal
standard deviation s (Bachelier, d = (F - K) / s, He the Hermite polynomials, leading order in kappa):

    bias of the value          c kappa^k He_(k-2)(d) n(d) s
    relative bias of gamma     c kappa^k He_k(d)
"""

from __future__ import annotations

import math
from typing import assert_never

import numpy as np
import torch
from numpy.polynomial.hermite_e import hermeval
from torch import Tensor
from torch.nn.functional import silu, softplus

from pricing.spec import Conditional, Estimator, Kernel, Pathwise, Smoothed

# Beyond this u, log(1 + e^u) is u in float64 (e^-40 < 2^-53).
SOFTPLUS_EXACT = 40.0
# Order k and coefficient c of each kernel: the logistic density has variance pi^2 / 3 and fourth moment 7 pi^4 / 15;
# SiLU's kernel is 2 k + u k', whose second moment is the negative of it, so that the average is of fourth order.
BIAS: dict[Kernel, tuple[int, float]] = {
    "silu": (2, -(math.pi**2) / 6.0),
    "softplus": (2, math.pi**2 / 6.0),
    "average": (4, -7.0 * math.pi**4 / 360.0),
    "gaussian": (2, 0.5),
}


def ramp(kernel: Kernel, x: Tensor, *, width: float) -> Tensor:
    """Smooth x^+ of a moneyness x; width in the same currency, 0 for x^+ itself. Shape: any -> the same.

    Autograd gives slope and curvature.
    """
    return width * unit_ramp(kernel, x / width) if width > 0.0 else torch.relu(x)


def unit_ramp(kernel: Kernel, u: Tensor) -> Tensor:
    """p(u), finite with its derivatives for any |u| <= 1e4. Shape: any -> the same."""
    match kernel:
        case "silu":
            p = silu(u)
        case "softplus":
            p = softplus(u, threshold=SOFTPLUS_EXACT)
        case "average":
            p = 0.5 * (silu(u) + softplus(u, threshold=SOFTPLUS_EXACT))
        case "gaussian":
            p = u * torch.special.ndtr(u) + torch.exp(-0.5 * u * u) / math.sqrt(2.0 * math.pi)
        case _:
            assert_never(kernel)
    return p


def width_ratio(kernel: Kernel, gamma_bias: float) -> float:
    """Kappa whose at-the-money gamma has the relative bias ``gamma_bias`` (absolute value)."""
    order, coefficient = BIAS[kernel]
    return float((gamma_bias / abs(coefficient * hermite(order, 0.0))) ** (1.0 / order))


def relative_gamma_bias(kernel: Kernel, ratio: float, d: float) -> float:
    """C kappa^k He_k(d): bias of gamma over gamma at standardised moneyness d."""
    order, coefficient = BIAS[kernel]
    return coefficient * ratio**order * hermite(order, d)


def value_bias(kernel: Kernel, ratio: float, d: float) -> float:
    """C kappa^k He_(k-2)(d) n(d): bias of the undiscounted value in units of s."""
    order, coefficient = BIAS[kernel]
    density = math.exp(-0.5 * d * d) / math.sqrt(2.0 * math.pi)
    return coefficient * ratio**order * hermite(order - 2, d) * density


def stated_bias(estimator: Estimator) -> dict[str, float]:
    """Width in terminal standard deviations, and what it costs at the money: relative bias of gamma, value bias over s.

    Leading order in the width; zero for estimators without bias.
    """
    match estimator:
        case Smoothed(kernel=kernel, width=width, gamma_bias=gamma_bias):
            ratio = width or width_ratio(kernel, gamma_bias)
            gamma, value = relative_gamma_bias(kernel, ratio, 0.0), value_bias(kernel, ratio, 0.0)
        case Pathwise() | Conditional():
            ratio = gamma = value = 0.0
        case _:
            assert_never(estimator)
    return {"width": ratio, "relative_gamma": gamma, "value_over_deviation": value}


def hermite(order: int, d: float) -> float:
    """He_order(d), probabilists' Hermite polynomial."""
    return float(hermeval(d, np.eye(order + 1)[order]))
