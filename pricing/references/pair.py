"""Early exercise on two Black-Scholes assets by backward induction on square grids.

With sigma sigma^T o rho = A A^T, u(t) the clock and G the carry,

    ln S(t) = A x(t) + c + G(t) - sigma^2 u(t) / 2,     x a plane Brownian motion in u, x(0) = A^-1 (ln S(0) - c),

so that holding is worth C_k(x) = E[max(h, C)_(k+1)(x + sqrt(du) z)], two sums over one coordinate each. A is turned so
that neither the payoff's kinks nor, as a rule, the exercise boundaries run along the grid: what the trapezoidal rule
misses at a kink then cancels along it. Only the first step sees the spots: its density is differentiated.

References: Glasserman, Monte Carlo Methods in Financial Engineering (2003), 8.1 for the recursion.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import numpy as np
import torch

from pricing.references import differences
from pricing.references.black_scholes import TINY_LEVEL, carry
from pricing.references.market import gain
from pricing.references.methods import Solved
from pricing.simulation.scenario import Scenario, clock, correlation, dates, discount, scenario
from pricing.specs.european import BestOf, Call, Put, WorstOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.types import Array

# Grid points in a standard deviation of a step, and how many deviations from today a grid reaches: relative errors of
# 1e-4 or less at one date, the hardest, and a tenth of that at several; a density of 24 divides them by four and takes
# four times as long.
DENSITY, REACH = 16.0, 8.0
# The grid's turn against the assets' own axes: the golden direction is far from every simple ratio.
TURN = math.atan(0.5 * (math.sqrt(5.0) - 1.0))
# A volatility, and a step of the clock or 1 - rho^2, are taken to be at least this, so that all of them leave a grid.
LEAST_VOLATILITY, LEAST = 1e-6, 1e-10
# Below this share of the level at the strike values are straight lines: derivatives by logarithms drown there.
FLOOR = 1e-3
# Most points along a side, of which a grid around a single spot may have half.
SIDE = 3000


@dataclass(frozen=True, kw_only=True)
class Plane:
    """One set of parameters.

    Args:
        origin: ln S where x is 0. Shape: 2.
        factor, inverse: A and A^-1. Shape: 2 2.
        carry, half: G by date, sigma^2 / 2. Shape: date 2; 2.
        ticks, spacings, paid: the clock, the grid's spacing and the discount factor by date.
    """

    payoff: Bermudan
    at: Scenario
    origin: Array
    factor: Array
    inverse: Array
    carry: Array
    half: Array
    ticks: Array
    spacings: Array
    paid: Array

    def exercised(self, k: int, axes: tuple[Array, Array]) -> Array:
        """Discounted cash of exercise at date k, 0 out of the money. Shape: axes n, m -> n m."""
        first, second = axes[0][:, None], axes[1]
        logs = [row[0] * first + row[1] * second for row in self.factor]
        moved = self.origin + self.carry[k] - self.half * self.ticks[k]
        levels = torch.from_numpy(np.exp(np.stack([logs[i] + moved[i] for i in range(2)], axis=-1)))
        cash: Array = self.paid[k] * gain(self.payoff.option, levels[None, :, :, :], self.at)[0].clamp(min=0.0).numpy()
        return cash


def method(problem: PricingProblem, process: BlackScholes, payoff: Bermudan) -> Solved:
    """How early exercise on two assets is referenced, where it is `supported`."""
    grid = partial(greeks, process, payoff)
    return Solved(kind="plane quadrature", grid=grid, points=differences.affordable(problem))


def greeks(process: BlackScholes, payoff: Bermudan, at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
    """Value, delta and gamma at the spots, all other parameters alike.

    Shape: batch asset -> batch; batch asset; batch asset asset.
    """
    levels = np.maximum(spots, floor(payoff, at, spots))
    plane = _plane(process, payoff, at, np.log(levels[0]))
    start = (np.log(levels) - plane.origin) @ plane.inverse.T
    value, slope, bend = _priced(plane, start)
    moved = plane.inverse / levels[:, None, :]
    delta = np.einsum("bi,bij->bj", slope, moved)
    gamma = np.einsum("bij,bik,bjl->bkl", bend, moved, moved)
    gamma[:, range(2), range(2)] -= delta / levels
    return value + (delta * (spots - levels)).sum(axis=1), delta, gamma


def floor(payoff: Bermudan, at: Scenario, spots: Array) -> Array:
    """Where values turn into straight lines. Shape: batch asset -> the same."""
    option, strike = payoff.option, abs(float(at.scalar("strike")[0, 0]))
    match option:
        case Call(weights=weights) | Put(weights=weights):
            shares = np.abs(weights)
        case WorstOf(initial=initial) | BestOf(initial=initial):
            shares = 1.0 / np.array(initial)
        case _:
            assert_never(option)
    level = strike if strike > 0.0 else (spots * shares).max(axis=1, keepdims=True)
    floor = np.divide(FLOOR * level, shares, out=np.zeros_like(spots), where=shares > 0.0)
    return np.maximum(floor, TINY_LEVEL)


def _plane(process: BlackScholes, payoff: Bermudan, at: Scenario, origin: Array) -> Plane:
    until = dates(payoff, at)
    sigma = np.maximum(at["volatility"][0, 0].numpy(), LEAST_VOLATILITY)
    rho = float(correlation(process, at)[0, 0, 1])
    root = np.array([[1.0, 0.0], [rho, math.sqrt(max(1.0 - rho * rho, LEAST))]])
    turn = np.array([[math.cos(TURN), -math.sin(TURN)], [math.sin(TURN), math.cos(TURN)]])
    factor = sigma[:, None] * root @ turn
    ticks = clock(process, at, until)[0, 0].numpy()
    steps = np.maximum(np.diff(ticks, prepend=0.0), LEAST)
    return Plane(
        payoff=payoff,
        at=at,
        origin=origin,
        factor=factor,
        inverse=np.linalg.inv(factor),
        carry=carry(process, at, until)[0, 0].numpy(),
        half=0.5 * sigma**2,
        ticks=steps.cumsum(),
        spacings=np.sqrt(steps) / DENSITY,
        paid=discount(process, at, until)[0, 0].numpy(),
    )


def supported(problem: PricingProblem, process: BlackScholes, payoff: Bermudan) -> bool:
    """Whether no step is so short that grids of its density would be too large, in the middle of the problem's Box."""
    middle = torch.from_numpy(0.5 * (problem.box.lower + problem.box.upper))[None]
    return bool(_room(_plane(process, payoff, scenario(problem, middle), np.zeros(2))) > 0.5 * SIDE)


def _room(plane: Plane) -> float:
    """Points along the side of the largest grid that are left for the distance between spots."""
    return float((SIDE - 2.0 * REACH * np.sqrt(plane.ticks) / plane.spacings).min())


def _priced(plane: Plane, start: Array) -> tuple[Array, Array, Array]:
    """Value, gradient and Hessian by x(0), on one grid or, where the starts lie far apart, on several."""
    widths = np.ptp(start, axis=0)
    if widths.max() <= _room(plane) * plane.spacings.min():
        return _read(plane, start, *_induction(plane, start))
    along = start[:, int(widths.argmax())]
    low = along <= 0.5 * (along.min() + along.max())
    result = np.zeros(len(start)), np.zeros_like(start), np.zeros((*start.shape, 2))
    for rows in (low, ~low):
        for whole, half in zip(result, _priced(plane, start[rows]), strict=True):
            whole[rows] = half
    return result


def _induction(plane: Plane, start: Array) -> tuple[tuple[Array, Array], Array]:
    """The first date's grid and the value there. Shape: start batch 2 -> n, m; n m."""
    last = len(plane.ticks) - 1
    axes = _axes(plane, start, last)
    value = plane.exercised(last, axes)
    for k in reversed(range(last)):
        inner = _axes(plane, start, k)
        deviation = DENSITY * plane.spacings[k + 1]
        first, second = (_density((x - y[:, None]) / deviation) / DENSITY for x, y in zip(axes, inner, strict=True))
        axes, value = inner, np.maximum(plane.exercised(k, inner), first @ value @ second.T)
    return axes, value


def _axes(plane: Plane, start: Array, k: int) -> tuple[Array, Array]:
    """Equally spaced coordinates at date k. Shape: start batch 2 -> n; m."""
    reach, spacing = REACH * math.sqrt(plane.ticks[k]), plane.spacings[k]
    low, high = start.min(axis=0) - reach, start.max(axis=0) + reach + spacing
    return np.arange(low[0], high[0], spacing), np.arange(low[1], high[1], spacing)


def _read(plane: Plane, start: Array, axes: tuple[Array, Array], value: Array) -> tuple[Array, Array, Array]:
    """Moments of the first step. Shape: start batch 2; value n m -> batch; batch 2; batch 2 2."""
    deviation, moments = DENSITY * plane.spacings[0], []
    for j, x in enumerate(axes):
        z = (x - start[:, j, None]) / deviation
        mass = _density(z) / DENSITY
        moments.append([mass, mass * z / deviation, mass * (z * z - 1.0) / deviation**2])

    def moment(i: int, j: int) -> Array:
        result: Array = ((moments[0][i] @ value) * moments[1][j]).sum(axis=1)
        return result

    bend = np.stack([moment(2, 0), moment(1, 1), moment(1, 1), moment(0, 2)], axis=1).reshape(-1, 2, 2)
    return moment(0, 0), np.stack([moment(1, 0), moment(0, 1)], axis=1), bend


def _density(z: Array) -> Array:
    result: Array = np.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return result
