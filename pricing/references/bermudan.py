"""Early exercise on several Black-Scholes assets: least-squares Monte Carlo with a rule and numbers of its own.

One rule for the Box, plain regression on monomials of log-levels (in order of size where assets are alike) over many
paths, then pathwise derivatives at the rule's exercise date on scrambled Sobol sets. Exercise is held fixed, so values
are low by what the rule misses: `RULE_ERROR` says that, the standard errors do not. The Hessian by spots is the
pathwise gradient times the score of the first step; by other features it is not estimated.

References: Longstaff & Schwartz (2001); Broadie & Glasserman (1996) for the score.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations_with_replacement
from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from pricing.exercise.inputs import exchangeable
from pricing.references.black_scholes import TINY_LEVEL, TINY_VARIANCE, carry
from pricing.references.methods import Replicated
from pricing.references.normal import quantile
from pricing.references.replicates import DATED, STREAM
from pricing.simulation.scenario import Scenario, clock, correlation, discount, scenario, times
from pricing.specs.european import BestOf, Call, Put, WorstOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.types import Array

# What exercise pays.
Option = Call | Put | WorstOf | BestOf
# What a rule misses of values and gradients, of the largest: two assets against quadrature, alike and not, and five
# against rules that were fitted near a point alone.
RULE_ERROR = 7e-3
# Paths that the rule is fitted on, and its degree; paths of one of the replicates that are priced.
FITTED, DEGREE, PATHS = 1 << 17, 4, 1 << 13


def method(problem: PricingProblem, payoff: Bermudan) -> Replicated:
    """How early exercise on several assets is referenced."""
    return Replicated(
        sampled=Policy(problem=problem, option=payoff.option),
        dimension=payoff.assets * len(payoff.dates),
        paths=PATHS,
        points=DATED,
        relative_error=RULE_ERROR,
        known="all" if len(problem.features) == 1 else "spots",
    )


@dataclass(frozen=True, kw_only=True)
class States:
    """Paths of the assets. Shape: levels batch path date asset; paid batch-or-1 date."""

    levels: Tensor
    paid: Tensor


@dataclass(frozen=True, kw_only=True)
class Policy:
    """The value of a problem by its own rule, which is fitted when first asked for.

    Args:
        option: what exercise of the problem's payoff pays.
    """

    problem: PricingProblem
    option: Option

    @cached_property
    def coefficients(self) -> tuple[Array, ...]:
        """Continuation values of every date but the last on `monomials`, discounted to today.

        Shape: each monomial.
        """
        generator = np.random.default_rng([STREAM, FITTED])
        box, problem = self.problem.box, self.problem
        at = scenario(problem, torch.from_numpy(box.from_uniforms(generator.random((FITTED, box.dimension)))))
        count = len(problem.payoff.facts.dates) * problem.process.assets
        states = simulate(problem, at, torch.from_numpy(generator.standard_normal((FITTED, 1, count))))
        gains = gain(self.option, states.levels, at)[:, 0].numpy()
        paid = states.paid.expand(FITTED, -1).numpy()
        cash, fits = paid[:, -1] * gains[:, -1].clip(0.0), []
        for date in reversed(range(gains.shape[1] - 1)):
            phi, inside = self.monomials(states.levels[:, :, date], at)[:, 0].numpy(), gains[:, date] > 0.0
            fits.append(np.linalg.lstsq(phi[inside], (cash / paid[:, date])[inside], rcond=None)[0])
            now = inside & (gains[:, date] >= phi @ fits[-1])
            cash = np.where(now, paid[:, date] * gains[:, date], cash)
        return tuple(reversed(fits))

    def __call__(self, at: Scenario, points: Tensor) -> Tensor:
        """Mean cash at the rule's exercise date. Shape: points path (date asset) -> batch."""
        normals = quantile(points)
        states = simulate(self.problem, at, normals[None])
        gains = gain(self.option, states.levels, at)
        stops = self.stops(states, gains, at)
        held = (states.paid[:, None] * gains.clamp(min=0.0)).gather(-1, stops)[..., 0]
        return held.mean(dim=1) + bend(self.problem, at, normals, held, states.levels)

    @torch.no_grad()
    def stops(self, states: States, gains: Tensor, at: Scenario) -> Tensor:
        """Index of the exercise date. Shape: gains batch path date -> batch path 1."""
        stop = torch.full(gains.shape[:2], gains.shape[-1] - 1)
        for date in reversed(range(gains.shape[-1] - 1)):
            later = self.monomials(states.levels[:, :, date], at) @ torch.from_numpy(self.coefficients[date])
            now = (gains[..., date] > 0.0) & (gains[..., date] >= later)
            stop = torch.where(now, date, stop)
        return stop[..., None]

    def monomials(self, levels: Tensor, at: Scenario) -> Tensor:
        """Products up to the degree of log-levels over the middle of the Box, in order of size where assets are alike.

        A ranked payoff of other assets adds its moneyness.

        Shape: levels batch path asset -> batch path term.
        """
        problem = self.problem
        columns = problem.box.columns("spot")
        middle = levels.new_tensor(0.5 * (problem.box.lower[columns] + problem.box.upper[columns]))
        logs = torch.log(levels / middle)
        if exchangeable(problem):  # in one unit, or the order of size is another
            logs = torch.log(levels / middle.mean()).sort(dim=-1, descending=True).values
        elif self.option.facts.ranked:
            logs = torch.cat([logs, gain(self.option, levels[:, :, None], at) / middle.mean()], dim=-1)
        others = [at[f.name].expand(*levels.shape[:2], -1) for f in problem.features if f.name != "spot"]
        x = torch.cat([logs, *others], dim=-1).unbind(dim=-1)
        terms = [torch.ones_like(x[0])]
        for total in range(1, DEGREE + 1):
            for chosen in combinations_with_replacement(range(len(x)), total):
                product = x[chosen[0]]
                for j in chosen[1:]:
                    product = product * x[j]
                terms.append(product)
        return torch.stack(terms, dim=-1)


def bend(problem: PricingProblem, at: Scenario, normals: Tensor, held: Tensor, levels: Tensor) -> Tensor:
    """Zero with zero gradient, and E[G s^T] - diag(E[G / S_0]) as its Hessian by spots.

    G is the pathwise gradient of the held cash and s the score of the first step; less its mean, G has less noise.

    Shape: normals path (date asset), held batch path, levels batch path date asset -> batch.
    """
    spot = at["spot"][:, 0]
    if not spot.requires_grad:
        return torch.zeros(len(spot), dtype=spot.dtype)
    (slope,) = torch.autograd.grad(held.sum(), levels, retain_graph=True)
    start = spot.detach().clamp(min=TINY_LEVEL)
    gradient = (slope * levels.detach()).sum(dim=2) / start[:, None]
    ticks = clock(problem.process, at, times(problem, at))[:, 0, :1].clamp(min=TINY_VARIANCE)
    deviation = (at["volatility"][:, 0] * ticks.sqrt()).clamp(min=TINY_VARIANCE**0.5)
    factor = torch.linalg.cholesky(correlation(problem.process, at))
    first = torch.linalg.solve_triangular(factor.mT, normals[None, :, : spot.shape[1]].mT, upper=True).mT
    score = (first / (deviation * start)[:, None]).detach()
    centred = gradient - gradient.mean(dim=1, keepdim=True)
    moments = torch.einsum("bpi,bpj->bij", centred, score) / score.shape[1]
    moments = moments - torch.diag_embed(gradient.mean(dim=1) / start)
    shift = spot - spot.detach()
    return 0.5 * torch.einsum("bi,bij,bj->b", shift, moments, shift)


def simulate(problem: PricingProblem, at: Scenario, normals: Tensor) -> States:
    """Exact steps between the dates. Shape: normals batch-or-1 path (date asset)."""
    until = times(problem, at)
    ticks = clock(problem.process, at, until)
    steps = torch.diff(ticks, dim=-1, prepend=torch.zeros_like(ticks[..., :1])).clamp(min=TINY_VARIANCE)[..., None]
    z = normals.reshape(*normals.shape[:2], until.shape[-1], problem.process.assets)
    turned = z @ torch.linalg.cholesky(correlation(problem.process, at))[:, None].mT
    sigma = at["volatility"][:, :, None]
    logs = carry(problem.process, at, until) + (sigma * steps.sqrt() * turned - 0.5 * sigma.square() * steps).cumsum(2)
    return States(
        levels=at["spot"][:, :, None].clamp(min=TINY_LEVEL) * torch.exp(logs),
        paid=discount(problem.process, at, until)[:, 0],
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
