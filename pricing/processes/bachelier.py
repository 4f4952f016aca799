"""Correlated arithmetic Brownian motions with carry; the exact law between dates, so there is no time grid.

dS_i = b_i S_i dt + sigma_i nu dW_i,   b_i = r - q_i,   nu the volatility scale
S_i(t_k) = e^(G_i(t_k)) (S_i + sum_(j <= k) e^(-G_i(t_j)) (A_j z_j)_i),   G_i the integral of b_i
(A_j A_j^T)_il = sigma_i sigma_l rho_il integral over (t_(j-1), t_j) of nu^2 e^((G_i + G_l)(t_j) - (G_i + G_l)(u)) du

The convention "forward" is the same with r = q = 0.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.elementary import exprel, ratio, root
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, correlation, discount, growth, integral
from pricing.specs.process import Bachelier


def simulate(process: Bachelier, at: Scenario, normals: Tensor, until: Tensor) -> Paths:
    """The assets at the dates; no randomness of its own.

    Shape: normals ``1-or-batch path dimension``, date by date; until ``batch-or-1 1 date``, years.
    """
    grown = growth(process, at, until)
    factors = step_factors(process, at, until)
    z = normals.reshape(*normals.shape[:2], until.shape[-1], process.assets)
    shocks = torch.einsum("bpka,bkca->bpkc", z, factors)
    noise = torch.exp(grown) * (torch.exp(-grown) * shocks).cumsum(dim=2)
    return Paths(
        forward=at["spot"][:, :, None, :] * torch.exp(grown),
        noise=noise,
        law="additive",
        discount=discount(process, at, until),
    )


def step_factors(process: Bachelier, at: Scenario, until: Tensor) -> Tensor:
    """The factor A_j of every step, lower triangular, currency.

    The Cholesky factor is that of a correlation, positive definite at any maturity: zero volatilities and steps of
    length zero only scale its rows to 0.

    Shape: until batch-or-1 1 date -> batch-or-1 date asset asset.
    """
    variance = step_variances(process, at, until)
    own = variance.diagonal(dim1=-2, dim2=-1)
    shape = ratio(variance, root(own[..., :, None] * own[..., None, :]), limit=1.0)
    factor: Tensor = torch.linalg.cholesky(correlation(process, at)[:, None] * shape)
    scale = at["volatility"] * root(own)
    return scale[..., None] * factor


def step_variances(process: Bachelier, at: Scenario, until: Tensor) -> Tensor:
    """Integral of nu^2 e^((G_i + G_l)(t_j) - (G_i + G_l)(u)) over every step, summed over the pieces of nu and r.

    Shape: until batch-or-1 1 date -> batch-or-1 date asset asset.
    """
    starts = sorted({0.0, *(p.start for p in process.rate_pieces), *(p.start for p in process.volatility_pieces)})
    begin = torch.cat([torch.zeros_like(until[..., :1]), until[..., :-1]], dim=-1)
    total = torch.zeros(1, until.shape[-1], process.assets, process.assets, dtype=torch.float64)
    after = growth(process, at, until)
    for start, stop in zip(starts, [*starts[1:], float("inf")], strict=True):
        low, high = begin.clamp(start, stop), until.clamp(start, stop)
        length = high - low
        at_low, at_high = growth(process, at, low), growth(process, at, high)
        squared = integral(at["volatility_scale"].square(), process.volatility_pieces, high) - integral(
            at["volatility_scale"].square(), process.volatility_pieces, low
        )
        pair = (after - at_high)[..., :, None] + (after - at_high)[..., None, :]
        step = (at_high - at_low)[..., :, None] + (at_high - at_low)[..., None, :]
        piece = squared[..., None, None] * torch.exp(pair) * exprel(step)
        total = total + torch.where(length[..., None, None] > 0.0, piece, torch.zeros_like(piece))[:, 0]
    return total
