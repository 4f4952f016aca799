"""Correlated arithmetic Brownian motions with carry; the exact law of one step to maturity, so there is no time grid.

dS_i = b_i S_i dt + sigma_i dW_i,   b_i = r - q_i
S_T,i = S_i e^(b_i T) + (A z)_i,    (A A^T)_ij = sigma_i sigma_j rho_ij (e^((b_i + b_j) T) - 1) / (b_i + b_j)

The convention "forward" is the same with r = q = 0.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy.special import exprel
from torch import Tensor

from pricing.spec import Bachelier
from pricing.terminal import Terminal
from pricing.types import Array


def carry(process: Bachelier) -> Array:
    """b_i = r - q_i per year. Shape: -> asset."""
    return process.rate - np.array(process.dividend_yields or (0.0,) * process.assets)


def factor(process: Bachelier, maturity: float) -> Array:
    """A with A A^T = covariance of S_T, currency. Shape: -> asset asset, lower triangular.

    The Schur product of rho with exprel((b_i + b_j) T) is positive definite at any maturity, so Cholesky meets neither
    the zero volatilities (rows of 0) nor a zero maturity (all of 0), which only scale its result.
    """
    b = carry(process)
    shape = np.array(process.correlation) * exprel(np.add.outer(b, b) * maturity)
    scale = math.sqrt(maturity) * np.array(process.volatilities)
    result: Array = scale[:, None] * np.linalg.cholesky(shape)
    return result


def simulate(process: Bachelier, spots: Tensor, normals: Tensor, maturity: float) -> Terminal:
    """The assets at maturity as a function of spots and standard normals; no randomness of its own.

    Shape: spots ``batch 1 asset``, normals ``1 path asset`` or ``batch path asset``.
    """
    growth = torch.from_numpy(np.exp(carry(process) * maturity))
    return Terminal(
        forward=spots * growth,
        increments=normals @ torch.from_numpy(factor(process, maturity)).T,
        discount=math.exp(-process.rate * maturity),
    )
