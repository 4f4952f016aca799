"""One sample's Black-Scholes assets from date to date, in logarithms: what early exercise on several is referenced on.

    x_(k+1) = x_k + m_k + s_k o (F z),   m_k = dG_k - s_k^2 / 2,   s_k = sigma sqrt(du_k),   F F^T = rho

G the integral of the carry and u the clock. F z puts the largest principal component of the correlation first, so that
quasi-random points spend their best coordinate on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from pricing.references.black_scholes import TINY_VARIANCE, carry
from pricing.simulation.scenario import Scenario, clock, correlation, discount, scenario, times
from pricing.specs.european import BestOf, Call, Put, WorstOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem

# What exercise pays.
Option = Call | Put | WorstOf | BestOf


@dataclass(frozen=True, kw_only=True)
class Market:
    """Steps of the logarithms between the dates, differentiable by the features.

    Shape: start, sigma asset; mean, deviation, carry date asset; ticks, paid date; rho, factor asset asset. States are
    ``asset row``, so that an asset's logarithms lie side by side.
    """

    option: Option
    at: Scenario
    start: Tensor
    sigma: Tensor
    mean: Tensor
    deviation: Tensor
    carry: Tensor
    ticks: Tensor
    rho: Tensor
    factor: Tensor
    paid: Tensor

    @property
    def dates(self) -> int:
        """Number of dates."""
        return len(self.paid)

    def step(self, x: Tensor, z: Tensor, k: int) -> Tensor:
        """Logarithms at date k from those at the date before. Shape: asset row, asset row -> asset row."""
        return x + self.mean[k, :, None] + self.deviation[k, :, None] * (self.factor @ z)

    def log_density(self, x: Tensor, after: Tensor, k: int) -> Tensor:
        """Of a step that ends at ``after``, up to a constant. Shape: asset row, asset row -> row."""
        moved = (after - x - self.mean[k, :, None]) / self.deviation[k, :, None]
        z: Tensor = torch.linalg.solve(self.factor, moved)
        width: Tensor = self.deviation[k].log().sum() + torch.linalg.slogdet(self.factor).logabsdet
        return -0.5 * z.square().sum(dim=0) - width

    def exercised(self, x: Tensor, k: int) -> Tensor:
        """Exercise value at date k in today's money, negative out of the money. Shape: asset row -> row."""
        return self.paid[k] * gain(self.option, x.exp().T[None, :, None], self.at)[0, :, 0]


def market(problem: PricingProblem, features: Tensor) -> Market:
    """The market at one sample. Shape: features 1 feature."""
    payoff, process = problem.payoff, problem.process
    assert isinstance(payoff, Bermudan)
    at = scenario(problem, features)
    until = times(problem, at)
    ticks, grown = clock(process, at, until)[0, 0], carry(process, at, until)[0, 0]
    steps = torch.diff(ticks, prepend=ticks.new_zeros(1)).clamp(min=TINY_VARIANCE)
    sigma = at["volatility"][0, 0].clamp(min=TINY_VARIANCE**0.5)
    deviation = sigma * steps.sqrt()[:, None]
    rho = correlation(process, at)[0]
    root = torch.linalg.cholesky(rho)
    size, axes = torch.linalg.eigh(rho.detach())
    turn = torch.linalg.solve_triangular(root.detach(), axes.flip(-1) * size.flip(-1).sqrt(), upper=False)
    return Market(
        option=payoff.option,
        at=at,
        start=at["spot"][0, 0].log(),
        sigma=sigma,
        mean=torch.diff(grown, dim=0, prepend=grown.new_zeros(1, grown.shape[1])) - 0.5 * deviation.square(),
        deviation=deviation,
        carry=grown,
        ticks=steps.cumsum(dim=0),
        rho=rho,
        factor=root @ turn,
        paid=discount(process, at, until)[0, 0],
    )


def gain(option: Option, levels: Tensor, at: Scenario) -> Tensor:
    """How far each path is in the money. Shape: levels batch path date asset -> batch path date."""
    match option:
        case Call(weights=weights) | Put(weights=weights):
            decisive = levels @ levels.new_tensor(weights)
        case WorstOf(initial=initial):
            decisive = (levels / levels.new_tensor(initial)).amin(dim=-1)
        case BestOf(initial=initial):
            decisive = (levels / levels.new_tensor(initial)).amax(dim=-1)
        case _:
            assert_never(option)
    above = decisive - at["strike"]
    return above if option.side == "call" else -above
