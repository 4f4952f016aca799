"""Sums of correlated lognormals by Monte Carlo that integrates one normal exactly.

A basket, or an average of one over dates, is B = sum_m a_m e^(c_m t + l_m), t one normal and l_m the rest. Where every
amount and every c_m is positive it meets the strike at one t*, and

    E[max(B - K, 0) | l] = sum_m a_m e^(l_m + c_m^2 / 2) N(c_m - t*) - K N(-t*);

otherwise t moves the asset of the largest exposure alone, at the last date, and Black's formula holds given the
others. Both are smooth in every parameter, so automatic differentiation gives every Greek; t* is refined by Newton
steps that carry its derivatives. Where amounts alone move, the second derivatives are a formula,

    d2V / da_i da_j = E[e^(c_i t* + l_i) e^(c_j t* + l_j) n(t*) / B'(t*)].

References: Glasserman, Monte Carlo Methods in Financial Engineering (2003), 7.2.3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import torch
from torch import Tensor

from pricing.references.black_scholes import TINY_VARIANCE, terminal
from pricing.references.methods import Replicated
from pricing.references.normal import distribution, lognormal, lognormal_digital, quantile
from pricing.references.replicates import PLAIN
from pricing.simulation.fixings import strike_left, summands
from pricing.simulation.scenario import Scenario, correlation, scenario, times
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Asian
from pricing.specs.problem import PricingProblem

# What is a sum of levels, against a strike.
SumPayoff = Call | Put | Digital | Asian
# Paths of one replicate, fewer in many dimensions, which take longer and have less left to simulate.
MOST_PATHS, LEAST_PATHS, POINTS = 1 << 11, 1 << 9, 1 << 14
# Newton steps for t*: ln B is convex and rises in t, so that they come from one side after the first and never leave;
# and the last step's length, whose square is what is left.
NEWTON_STEPS, LAST_STEP = 10, 1e-8
# A rise of ln B by less than this per unit of t is none: without volatility t* is far out on its side.
LEAST_RISE = 1e-12
# Amounts below this are none: their exponentials stay finite where t* is far out.
TINY_AMOUNT = 1e-200
# No mass lies beyond: n(37) = 2e-298.
FAR = 37.0


@dataclass(frozen=True, kw_only=True)
class Sum:
    """B = sum_m amounts_m e^(slopes_m t + noise_m).

    Shape: amounts batch term, slopes batch-or-1 term, noise batch-or-1 path term.
    """

    amounts: Tensor
    slopes: Tensor
    noise: Tensor

    def terms(self, t: Tensor) -> Tensor:
        """Every term at t. Shape: batch path -> batch path term."""
        return self.amounts[:, None, :] * torch.exp(self.noise + self.slopes[:, None, :] * t[..., None])


def method(problem: PricingProblem, payoff: SumPayoff) -> Replicated:
    """How a sum is referenced: all of its normals but one are simulated."""
    dimension = payoff.assets * _dates(payoff) - 1
    return Replicated(
        sampled=partial(exponential_sum, problem, payoff),
        dimension=dimension,
        paths=_paths(dimension),
        points=PLAIN,
        relative_error=0.0,
        known="all",
    )


def _paths(dimension: int) -> int:
    """Paths of one replicate, a power of two."""
    count = MOST_PATHS
    while count > LEAST_PATHS and count * dimension > POINTS:
        count //= 2
    return count


def exponential_sum(problem: PricingProblem, payoff: SumPayoff, at: Scenario, points: Tensor) -> Tensor:
    """Value of a payoff of a sum. Shape: points path normal -> batch."""
    order, direction = _axes(problem, payoff)
    levels, factor, paid = _terms(problem, payoff, at, order)
    amounts = levels * torch.exp(-0.5 * factor.square().sum(dim=2))
    normals, strike = quantile(points), strike_left(payoff, at)
    if min(payoff.weights) >= 0.0 and bool(((factor @ direction) >= 0.0).all()):
        axes = torch.linalg.qr(torch.cat([direction[:, None], torch.eye(len(direction), dtype=torch.float64)], 1))[0]
        total = Sum(amounts=amounts, slopes=factor @ direction, noise=normals @ (factor @ axes[:, 1:]).mT)
        moving = any(tensor.requires_grad for tensor in (total.slopes, total.noise, strike))
        if not (moving or payoff.facts.jumps):
            return paid * _expanded(payoff, total, strike)
        inner = risen(payoff, total, strike)
    else:
        total = Sum(amounts=amounts, slopes=factor[:, :, -1], noise=normals @ factor[:, :, :-1].mT)
        inner = _last(payoff, total, strike, payoff.weights[int(order[-1])])
    return paid * inner.mean(dim=1)


def _axes(problem: PricingProblem, payoff: SumPayoff) -> tuple[Tensor, Tensor]:
    """Assets by exposure and the direction of the sum's gradient in the normals, both in the middle of the Box."""
    middle = scenario(problem, torch.from_numpy(0.5 * (problem.box.lower + problem.box.upper))[None])
    every = torch.arange(problem.process.assets)
    levels, factor, _ = _terms(problem, payoff, middle, every)
    exposure = levels[0].reshape(-1, len(every))[-1] * middle["volatility"][0, 0]
    order = exposure.abs().argsort()
    levels, factor, _ = _terms(problem, payoff, middle, order)
    return order, torch.nn.functional.normalize(levels[0] @ factor[0], dim=0)


def _terms(problem: PricingProblem, payoff: SumPayoff, at: Scenario, order: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Forward values of the terms, a factor A of their logarithms' covariance, and the discount factor.

    Shape: order asset -> batch term, batch-or-1 term normal, batch-or-1.
    """
    forward, paid, ticks = terminal(problem.process, at, times(problem, at))
    count = _dates(payoff)
    levels = (forward.new_tensor(payoff.weights)[order] / summands(payoff) * forward[:, :count, order]).flatten(1)
    ticks = ticks[:, :count]
    steps = torch.diff(ticks, dim=1, prepend=torch.zeros_like(ticks[:, :1])).clamp(min=TINY_VARIANCE).sqrt()
    rho = correlation(problem.process, at)[:, order][:, :, order]
    turned = at["volatility"][:, 0, order, None] * torch.linalg.cholesky(rho)
    past = torch.ones(count, count, dtype=torch.float64).tril()
    factor = torch.einsum("kj,bj,bic->bkijc", past, *_broadcast(steps, turned)).flatten(3).flatten(1, 2)
    return levels, factor, paid[:, -1]


def _broadcast(steps: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
    """Both with the larger number of rows."""
    rows = max(len(steps), len(turned))
    return steps.expand(rows, -1), turned.expand(rows, -1, -1)


def _dates(payoff: SumPayoff) -> int:
    """How many dates the sum is over."""
    return sum(date <= payoff.facts.last_look for date in payoff.facts.dates)


def _sign(payoff: SumPayoff) -> float:
    return 1.0 if payoff.side == "call" else -1.0


def risen(payoff: SumPayoff, total: Sum, strike: Tensor) -> Tensor:
    """Conditional expectation where B rises in t. Shape: strike batch-or-1 1 -> batch path."""
    sign, t = _sign(payoff), _meets(total, strike)
    for _ in range(2 if payoff.facts.jumps else 1):
        terms = total.terms(t)
        level = terms.sum(dim=-1)
        rise = (terms * total.slopes[:, None, :]).sum(dim=-1)
        rises = rise > LEAST_RISE * torch.maximum(level, strike.abs())
        t = t - torch.where(rises, (level - strike) / rise.where(rises, 1.0), 0.0)
    match payoff:
        case Digital(cash=cash):
            return cash * distribution(-sign * t)
        case Call() | Put() | Asian():
            slopes = total.slopes[:, None, :]
            means = total.amounts[:, None, :] * torch.exp(total.noise + 0.5 * slopes.square())
            held = (means * distribution(sign * (slopes - t[..., None]))).sum(dim=-1)
            return sign * (held - strike * distribution(-sign * t))
        case _:
            assert_never(payoff)


def _expanded(payoff: SumPayoff, total: Sum, strike: Tensor) -> Tensor:
    """The mean of `risen` as a quadratic form of the amounts, exact to second order. Shape: -> batch."""
    sign, t = _sign(payoff), _meets(total, strike).clamp(-FAR, FAR)[..., None]
    fixed, slopes = total.amounts.detach()[:, None, :], total.slopes[:, None, :]
    units = torch.exp(total.noise + slopes * t)
    held = torch.exp(total.noise + 0.5 * slopes.square()) * distribution(sign * (slopes - t))
    value = (fixed * held).sum(dim=-1) - strike * distribution(-sign * t[..., 0])
    rise = (fixed * units * slopes).sum(dim=-1, keepdim=True)
    least = (LEAST_RISE * (fixed * units).sum(dim=-1, keepdim=True)).clamp(min=TINY_AMOUNT)
    mass = torch.exp(-0.5 * t.square()) / math.sqrt(2.0 * math.pi) / torch.maximum(rise, least)
    bend = (units * mass).mT @ units / units.shape[1]
    moved = total.amounts - total.amounts.detach()
    slope = (moved * held.mean(dim=1)).sum(dim=-1)
    return sign * (value.mean(dim=1) + slope) + 0.5 * (moved[:, None] @ bend @ moved[..., None])[:, 0, 0]


@torch.no_grad()
def _meets(total: Sum, strike: Tensor) -> Tensor:
    """t* with B(t*) = K by Newton steps on ln B, far out where there is none. Shape: -> batch path."""
    goal, slopes = strike.clamp(min=TINY_AMOUNT).log(), total.slopes[:, None, :]
    logs = total.amounts.clamp(min=TINY_AMOUNT).log()[:, None, :] + total.noise
    t = torch.zeros(logs.shape[:2], dtype=torch.float64)
    for _ in range(NEWTON_STEPS):
        terms = logs + slopes * t[..., None]
        level = torch.logsumexp(terms, dim=-1)
        rise = (torch.exp(terms - level[..., None]) * slopes).sum(dim=-1)
        step = (level - goal) / rise.clamp(min=LEAST_RISE)
        t = t - step
        if float(step.abs().max()) < LAST_STEP:
            break
    return t


def _last(payoff: SumPayoff, total: Sum, strike: Tensor, weight: float) -> Tensor:
    """Conditional expectation where t moves the last term alone. Shape: strike batch-or-1 1 -> batch path."""
    terms = total.amounts[:, None, :] * torch.exp(total.noise)
    gap = strike - terms[..., :-1].sum(dim=-1)
    variance = total.slopes[:, None, -1].square()
    last = terms[..., -1] * torch.exp(0.5 * variance)
    weight = math.copysign(1.0, weight)
    sign = weight * _sign(payoff)
    match payoff:
        case Digital(cash=cash):
            return cash * lognormal_digital(weight * last, weight * gap, variance, sign=sign)
        case Call() | Put() | Asian():
            return lognormal(weight * last, weight * gap, variance, sign=sign)
        case _:
            assert_never(payoff)
