"""Correlated geometric Brownian motions; the exact law between dates and dividends, so there is no time grid.

S_i(t_k) = S_i e^(G_i(t_k)) exp(sum_(j <= k) sigma_i sqrt(d_j) (L z_j)_i - sigma_i^2 d_j / 2),   L L^T = rho,

G_i the integral of the carry and d_j the integral of the squared volatility scale over step j. At a dividend S_i falls
to max((1 - p) S_i - a, 0). Without amounts a that is a factor of the forward; with them the path goes through every
dividend.

References: Black & Scholes (1973); Glasserman, Monte Carlo Methods in Financial Engineering (2003), 3.2.3.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.elementary import root
from pricing.processes.grid import lengths
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, clock, correlation, discount, growth
from pricing.specs.diffusion import Diffusion
from pricing.specs.process import BlackScholes


def blocks(process: BlackScholes, dates: int) -> tuple[int, ...]:
    """Sizes of the groups of normals that a rotation may mix; ln S is affine in the first, given the others.

    Past an amount in currency only the normals of the last step enter ln S in an affine way.
    """
    if not process.facts.pays_cash:
        return (process.assets * dates,)
    earlier = process.assets * (dates + len(process.dividends) - 1)
    return (process.assets, earlier)


def simulate(process: BlackScholes, at: Scenario, normals: Tensor, until: Tensor) -> Paths:
    """The assets at the dates; no randomness of its own.

    Shape: normals ``1-or-batch path dimension``, date by date; with amounts the last step first, then step by step;
    until ``batch-or-1 1 date``, years.
    """
    if process.facts.pays_cash:
        levels = through_dividends(process, at, normals, until)
        forward, noise = levels.new_ones(len(levels), 1, *levels.shape[2:]), levels
    else:
        drift = growth(process, at, until) - drag(at) * clock(process, at, until)[..., None]
        forward = at["spot"][:, :, None, :] * torch.exp(drift) * remaining(process, until)
        steps = shocks(process, at, normals, until)
        noise = torch.exp(steps if steps.shape[2] == 1 else steps.cumsum(dim=2))
    return Paths(forward=forward, noise=noise, law="multiplicative", discount=discount(process, at, until))


def remaining(process: BlackScholes, until: Tensor) -> Tensor:
    """Product of 1 - p over the dividends up to each date. Shape: batch-or-1 1 date -> batch-or-1 1 date asset."""
    share = torch.ones(1, 1, 1, process.assets, dtype=until.dtype)
    for dividend in process.dividends:
        kept = torch.ones(process.assets, dtype=until.dtype)
        kept[dividend.asset] -= dividend.proportion
        share = share * torch.where(until[..., None] >= dividend.time, kept, torch.ones_like(kept))
    return share


def drag(at: Scenario) -> Tensor:
    """sigma_i^2 / 2, what the logarithm loses a unit of the clock. Shape: -> batch-or-1 1 1 asset."""
    return 0.5 * at["volatility"].square()[:, :, None, :]


def shocks(process: Diffusion, at: Scenario, normals: Tensor, until: Tensor) -> Tensor:
    """sigma_i sqrt(d_j) (L z_j)_i of every step. Shape: normals 1-or-batch path step*asset -> batch path step asset."""
    ticks = lengths(clock(process, at, until))[:, 0, :, None]
    scale = at["volatility"] * root(ticks)
    factor = scale[..., None] * torch.linalg.cholesky(correlation(process, at))[:, None]
    z = normals.reshape(*normals.shape[:2], until.shape[-1], len(process.correlation))
    # A small matrix times a wide one is several times faster than a tall one times a small one.
    moves: Tensor = factor @ z.permute(0, 2, 3, 1)
    return moves.permute(0, 3, 1, 2)


def through_dividends(process: BlackScholes, at: Scenario, normals: Tensor, until: Tensor) -> Tensor:
    """S at the dates, every dividend paid on the way: dates and dividends are one sequence of steps.

    A dividend after the maturity is moved to time 0 and pays nothing, so that the last step always ends at maturity.

    Shape: -> batch path date asset.
    """
    events, count = until.shape[-1] + len(process.dividends), process.assets
    paid = until.new_tensor([dividend.time for dividend in process.dividends]).expand(*until.shape[:2], -1)
    active = paid <= until[..., -1:]
    # Dividends first, so that a dividend on a date is paid before the asset is observed.
    moments = torch.cat([torch.where(active, paid, torch.zeros_like(paid)), until], dim=-1)
    ordered, order = torch.sort(moments, dim=-1, stable=True)
    proportion, amount = (at_events(process, name, active, order) for name in ("proportion", "amount"))

    z = torch.cat([normals[..., count:], normals[..., :count]], dim=-1)
    drift = growth(process, at, ordered) - drag(at) * clock(process, at, ordered)[..., None]
    logs = lengths_by_asset(drift) + shocks(process, at, z, ordered)
    level, levels = at["spot"], []
    for j in range(events):
        level = torch.relu(level * torch.exp(logs[:, :, j]) * (1.0 - proportion[:, :, j]) - amount[:, :, j])
        levels.append(level)
    places = torch.argsort(order, dim=-1)[..., len(process.dividends) :]
    return torch.take_along_dim(torch.stack(levels, dim=2), places[..., None], dim=2)


def at_events(process: BlackScholes, name: str, active: Tensor, order: Tensor) -> Tensor:
    """A dividends' field by event, 0 for dates. Shape: active batch-or-1 1 dividend -> batch-or-1 1 event asset."""
    table = torch.zeros(*order.shape, process.assets, dtype=torch.float64)
    for j, dividend in enumerate(process.dividends):
        table[:, :, j, dividend.asset] = getattr(dividend, name) * active[:, :, j].to(table.dtype)
    return torch.take_along_dim(table, order[..., None], dim=2)


def lengths_by_asset(values: Tensor) -> Tensor:
    """Differences from 0 on along the steps. Shape: batch-or-1 1 step asset -> the same."""
    return torch.diff(values, dim=2, prepend=torch.zeros_like(values[:, :, :1]))
