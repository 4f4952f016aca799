"""Autocalls on several assets by Monte Carlo that differentiates the density of the paths, not their payments.

With the logarithms x of all dates held where they were drawn and p their density, E[pay] = E[pay p(x; parameters) /
p(x)]: jumps of the payments do no harm, and the weight has derivatives of every order. Payments are taken less their
mean, which moves no expectation, for the weight's derivatives have mean zero.

References: Broadie & Glasserman (1996); Glasserman, Monte Carlo Methods in Financial Engineering (2003), 7.3.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from pricing.references.black_scholes import TINY_LEVEL, TINY_VARIANCE, carry
from pricing.references.methods import Replicated
from pricing.references.normal import quantile
from pricing.references.replicates import DATED, VARIED
from pricing.simulation.fixings import knock_in, missed_coupons
from pricing.simulation.scenario import Scenario, clock, correlation, dates, discount
from pricing.specs.payoff import Autocall
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes

# Paths of one replicate: noise of gamma is that of a payment over the first step's variance.
PATHS = 1 << 16


def method(problem: PricingProblem, process: BlackScholes, payoff: Autocall) -> Replicated:
    """How a note is referenced, where it is `supported`."""
    return Replicated(
        sampled=partial(value, process, payoff),
        dimension=payoff.assets * len(payoff.dates),
        paths=PATHS,
        points=DATED if len(problem.features) == 1 else VARIED,
        relative_error=0.0,
        known="all",
    )


def supported(problem: PricingProblem) -> bool:
    """Whether no level of the payments is a feature: no density moves with it."""
    return not {feature.name for feature in problem.features} & {"knock_in", "coupon_barrier"}


def value(process: BlackScholes, payoff: Autocall, at: Scenario, points: Tensor) -> Tensor:
    """Value of a note. Shape: points path (date asset) -> batch."""
    until = dates(payoff, at)
    ticks = clock(process, at, until)[:, 0]
    steps = torch.diff(ticks, dim=1, prepend=torch.zeros_like(ticks[:, :1])).clamp(min=TINY_VARIANCE)
    grown = carry(process, at, until)[:, 0]
    drift = torch.diff(grown, dim=1, prepend=torch.zeros_like(grown[:, :1]))
    sigma = at["volatility"][:, 0].clamp(min=TINY_VARIANCE**0.5)
    mean = drift - 0.5 * sigma[:, None].square() * steps[..., None]
    factor = torch.linalg.cholesky(correlation(process, at))
    z = quantile(points).reshape(len(points), until.shape[-1], payoff.assets)
    root = steps.sqrt()[..., None]
    moves = (mean[:, None] + (sigma[:, None] * root)[:, None] * (z @ factor[:, None].mT)).detach()
    start = at["spot"][:, 0].clamp(min=TINY_LEVEL).log() - at["spot"].new_tensor(payoff.initial).log()

    worst = (start.detach()[:, None, None] + moves.cumsum(dim=2)).amin(dim=-1).exp()
    cash = _payments(payoff, at, worst, discount(process, at, until)[:, 0])
    middle = cash.detach().mean(dim=1, keepdim=True)
    excess, delta = cash.detach() - middle, start - start.detach()
    if not any(tensor.requires_grad for name, tensor in at.parameters.items() if name != "spot"):
        score = torch.linalg.solve_triangular(factor.mT, z[:, 0].mT, upper=True)[0].T / (sigma * root[:, 0])
        return middle[:, 0] + _expansion(excess, score, delta)
    # Levels are held, so the start is a parameter of the first move's density.
    shift = torch.zeros(1, until.shape[-1], 1, dtype=torch.float64)
    shift[0, 0, 0] = 1.0
    weight = _ratio(moves, mean=mean + shift * delta[:, None], deviation=sigma[:, None] * root, factor=factor)
    return ((cash - middle) * weight).mean(dim=1) + middle[:, 0]


def _expansion(excess: Tensor, score: Tensor, delta: Tensor) -> Tensor:
    """Mean of the excess times the density's expansion in a move of the start, exact to second order.

    The weight is 1 + psi . delta + ((psi . delta)^2 - |A delta|^2) / 2; the last term meets a mean of zero.

    Shape: excess batch path; score path asset; delta batch asset -> batch.
    """
    first = excess @ score / len(score)
    second = excess @ (score[:, :, None] * score[:, None, :]).flatten(1) / len(score)
    quadratic = (second.reshape(-1, delta.shape[1], delta.shape[1]) * delta[:, :, None] * delta[:, None, :]).sum(
        dim=(1, 2)
    )
    return (first * delta).sum(dim=1) + 0.5 * quadratic


def _ratio(moves: Tensor, *, mean: Tensor, deviation: Tensor, factor: Tensor) -> Tensor:
    """Density of the moves over itself, which is 1 but has its derivatives.

    Shape: moves batch-or-1 path date asset; mean, deviation batch-or-1 date asset -> batch-or-1 path.
    """
    total = torch.zeros(1, 1, dtype=torch.float64)
    for k in range(moves.shape[2]):
        free = (moves[:, :, k] - mean[:, None, k]) / deviation[:, None, k]
        if not (free.requires_grad or factor.requires_grad):
            continue
        turned = torch.linalg.solve_triangular(factor, free.mT, upper=False)
        volume = deviation[:, k].log().sum(dim=-1) + torch.diagonal(factor, dim1=1, dim2=2).log().sum(dim=-1)
        total = total - 0.5 * turned.square().sum(dim=1) - volume[:, None]
    return torch.exp(total - total.detach())


def _payments(payoff: Autocall, at: Scenario, worst: Tensor, paid: Tensor) -> Tensor:
    """Discounted cash of every path. Shape: worst batch path date; paid batch-or-1 date -> batch path."""
    alive = torch.ones_like(worst[..., 0])
    owed = alive + missed_coupons(at)
    total = torch.zeros_like(alive)
    for k, trigger in enumerate(payoff.triggers):
        now, factor = worst[..., k], paid[:, None, k]
        fed = now >= at.scalar("coupon_barrier")
        total = total + factor * alive * payoff.coupon * torch.where(fed, owed, 0.0)
        if payoff.memory:
            owed = torch.where(fed, 1.0, owed + 1.0)
        called = (now >= trigger).to(now.dtype)
        total = total + factor * alive * called
        alive = alive * (1.0 - called)
    last = worst[..., -1]
    redeemed = torch.where(last < knock_in(payoff, at), last / payoff.strike, 1.0)
    return payoff.notional * (total + paid[:, None, -1] * alive * redeemed)
