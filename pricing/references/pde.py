"""One asset by finite differences: local volatility, and continuous barriers with a term structure.

u(y, t) = E[payoff | S_t = e^y] solves u_t + (b - v / 2) u_y + v / 2 u_yy = 0, v = sigma(y, t)^2, backwards from a
payoff that is averaged over each cell; Crank-Nicolson after implicit half-steps, steps equal in the root of time. A
barrier is the end of the grid, where u = 0; "in" is the vanilla less "out".

The local variance is Dupire's, v = w_t / (1 - k w' / w + w'^2 (k^2 / w^2 - 1 / w - 1 / 4) / 4 + w'' / 2), of the SSVI
surface.

References: Rannacher (1984); Giles & Carter (2006); Dupire (1994); Gatheral & Jacquier (2014).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import assert_never

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from scipy.linalg import solve_banded

from pricing.references import differences
from pricing.references.methods import Solved
from pricing.simulation.scenario import Scenario, clock, discount, growth
from pricing.specs.diffusion import Diffusion
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, LocalVolatility
from pricing.types import Array

# What a grid in one asset holds.
GridProcess = BlackScholes | LocalVolatility
GridPayoff = Call | Put | Digital | Barrier
# Cells in y and steps in time of the coarse grid; the fine one has twice as many of both, and (4 fine - coarse) / 3
# cancels the error of second order. The first steps are done as two implicit halves.
CELLS, STEPS, IMPLICIT = 1000, 120, 4
# Strike and barrier are out of reach beyond so many standard deviations at the money; the grid goes on by this share.
REACH, MARGIN = 8.0, 0.5
# Shortest time, years, and variance at which the surface is read; a grid is at least this wide.
LEAST_TIME, LEAST_VARIANCE, LEAST_WIDTH = 1e-6, 1e-12, 1e-4
# The surface's phi is read at sqrt(t^2 + WEEK^2), years: part of its definition (`LocalVolatility`).
WEEK = 1.0 / 52.0
# Far from strike and barrier payoffs are straight lines: a difference of any size is their slope.
SLOPE_STEP, TINY_SPOT = 1e-3, 1e-100
# Degree of the spline that reads value, delta and gamma off the grid.
DEGREE = 5


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One set of parameters, and the grid's times from maturity to today with carry, clock and each step's scale.

    Args:
        weight: of the asset, which pays max(weight S - strike, 0) or the like.
    """

    process: GridProcess
    payoff: GridPayoff
    at: Scenario
    weight: float
    strike: float
    cells: int
    times: Array
    carry: Array
    ticks: Array
    scales: Array

    def number(self, name: str) -> float:
        """The value of a parameter of one coordinate."""
        return float(self.at.scalar(name)[0, 0])

    def variance(self, y: Array, step: int) -> Array:
        """Local variance at the middle of a step, per year. Shape: y any -> the same."""
        scale = self.scales[step] ** 2
        match self.process:
            case BlackScholes():
                return np.full(len(y), self.number("volatility") ** 2 * scale)
            case LocalVolatility(reference_spots=spots, powers=powers):
                middle = max(0.5 * (self.ticks[step] + self.ticks[step + 1]), LEAST_TIME)
                carry = 0.5 * (self.carry[step] + self.carry[step + 1])
                sigma, rho, eta = (self.number(name) for name in ("volatility", "skew", "curvature"))
                k, shape = y - math.log(spots[0]) - carry, (rho, eta, powers[0])
                result: Array = scale * dupire(k, middle, sigma=max(sigma, LEAST_TIME), shape=shape)
                return result
            case _:
                assert_never(self.process)


@dataclass(frozen=True, kw_only=True)
class Wall:
    """A barrier as an end of the grid, its lower one if it is touched from above."""

    level: float
    down: bool


def dupire(k: Array, t: float, *, sigma: float, shape: tuple[float, float, float]) -> Array:
    """Local variance of the SSVI surface of skew rho, curvature eta and power gamma. Shape: k any -> the same."""
    rho, eta, power = shape
    theta = sigma * sigma * t
    slow = sigma * sigma * math.hypot(t, WEEK)
    phi = eta * slow**-power * (1.0 + slow) ** (power - 1.0)
    phi_slope = phi * (-power / slow + (power - 1.0) / (1.0 + slow)) * t / math.hypot(t, WEEK)
    z = phi * k + rho
    root = np.sqrt(z * z + 1.0 - rho * rho)
    tilt = rho + z / root
    w = 0.5 * theta * (1.0 + rho * phi * k + root)
    first, second = 0.5 * theta * phi * tilt, 0.5 * theta * phi * phi * (1.0 - rho * rho) / root**3
    in_time = sigma * sigma * (w / theta + 0.5 * theta * phi_slope * k * tilt)
    density = 1.0 - k * first / w + 0.25 * first * first * (k * k / (w * w) - 1.0 / w - 0.25) + 0.5 * second
    result: Array = in_time / density
    return result


def method(problem: PricingProblem, process: GridProcess, payoff: GridPayoff) -> Solved:
    """How a payoff on one asset is referenced, its barrier watched all the time."""
    grid = differences.Refined(partial(solutions, process, payoff))
    return Solved(kind="pde", grid=grid, points=differences.affordable(problem))


def greeks(process: GridProcess, payoff: GridPayoff, at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
    """Value, delta and gamma at the spots, all other parameters alike. Shape: batch -> batch, three times."""
    return differences.Refined(partial(solutions, process, payoff))(at, spots)


def solutions(process: GridProcess, payoff: GridPayoff, at: Scenario, spots: Array) -> tuple[Array, Array]:
    """Value, delta and gamma at the spots on the coarse and on the fine grid. Shape: batch -> 3 batch, twice."""
    paid = float(discount(process, at, at["maturity"])[0, 0, -1])
    coarse, fine = (paid * _undiscounted(_setting(process, payoff, at, refinement), spots) for refinement in (1, 2))
    return coarse, fine


def _setting(process: GridProcess, payoff: GridPayoff, at: Scenario, refinement: int) -> Setting:
    maturity = float(at["maturity"][0, 0, 0])
    grid = backward_times(process, max(maturity, LEAST_TIME), refinement)
    starts = [piece.start for piece in process.volatility_pieces]
    middles, until = 0.5 * (grid[1:] + grid[:-1]), torch.from_numpy(grid)[None, None]
    return Setting(
        process=process,
        payoff=payoff,
        at=at,
        weight=_weight(payoff),
        strike=float(at.scalar("strike")[0, 0]),
        cells=refinement * CELLS,
        times=grid,
        carry=growth(process, at, until)[0, 0, :, 0].numpy(),
        ticks=clock(process, at, until)[0, 0].numpy(),
        scales=at["volatility_scale"][0, 0].numpy()[np.searchsorted(starts, middles, side="right")],
    )


def _weight(payoff: GridPayoff) -> float:
    match payoff:
        case Call(weights=weights) | Put(weights=weights) | Digital(weights=weights):
            return weights[0]
        case Barrier():
            return 1.0
        case _:
            assert_never(payoff)


def backward_times(process: Diffusion, maturity: float, refinement: int) -> Array:
    """From maturity to 0, equal steps in the root of time but for the starts of pieces, which are on the grid.

    Shape: -> time.
    """
    starts = {piece.start for pieces in (process.rate_pieces, process.volatility_pieces) for piece in pieces}
    ends = [0.0, *sorted(math.sqrt(start / maturity) for start in starts if 0.0 < start < maturity), 1.0]
    roots = [np.linspace(a, b, refinement * max(2, round(STEPS * (b - a))), endpoint=False) for a, b in pairwise(ends)]
    result: Array = maturity * np.concatenate([*roots, [1.0]])[::-1] ** 2
    return result


def _undiscounted(setting: Setting, spots: Array) -> Array:
    """Undiscounted value, delta and gamma. Shape: batch -> 3 batch."""
    payoff = setting.payoff
    match payoff:
        case Call() | Put() | Digital():
            return _solve(setting, spots, wall=None)
        case Barrier(direction=direction, knock=knock):
            out = _solve(setting, spots, wall=Wall(level=setting.number("barrier"), down=direction == "down"))
            return out if knock == "out" else _solve(setting, spots, wall=None) - out
        case _:
            assert_never(payoff)


def _solve(setting: Setting, spots: Array, *, wall: Wall | None) -> Array:
    """Value, delta and gamma; 0 beyond the wall. Shape: batch -> 3 batch."""
    low, high, margin = _reach(setting, wall)
    levels = np.log(np.maximum(spots, math.exp(low - 1.0)))
    far = (levels <= low) | (levels >= high)
    alive = np.ones(len(spots), dtype=bool)
    ends = low - margin, high + margin
    if wall is not None:
        alive = spots > wall.level if wall.down else spots < wall.level
        if wall.level > 0.0:
            ends = (math.log(wall.level), ends[1]) if wall.down else (ends[0], math.log(wall.level))
    y = np.linspace(*ends, setting.cells + 1)
    u = _averaged(setting, y)
    walled = (wall is not None and wall.down, wall is not None and not wall.down)
    for step in range(len(setting.scales)):
        u = _step(setting, u, y, step=step, walled=walled)
    result: Array = alive * np.where(far, _certain(setting, spots), _read(u, y, np.clip(levels, *ends)))
    return result


def _reach(setting: Setting, wall: Wall | None) -> tuple[float, float, float]:
    """The logarithms between which strike or wall are in reach, and by how much the grid goes on."""
    anchors = [setting.strike / setting.weight, 0.0 if wall is None else wall.level]
    anchors = [level for level in anchors if level > 0.0] or [1.0]
    deviation = setting.number("volatility") * math.sqrt(setting.ticks[0])
    width = max(REACH * deviation, LEAST_WIDTH) + float(np.ptp(setting.carry))
    return math.log(min(anchors)) - width, math.log(max(anchors)) + width, MARGIN * width


def _read(u: Array, y: Array, levels: Array) -> Array:
    """Value, delta and gamma off the grid. Shape: u, y point; levels (logarithms) batch -> 3 batch."""
    spline, spots = make_interp_spline(y, u, k=DEGREE), np.exp(levels)
    slope, bend = spline(levels, 1), spline(levels, 2)
    return np.stack([spline(levels), slope / spots, (bend - slope) / spots**2])


def _certain(setting: Setting, spots: Array) -> Array:
    """Value, delta and gamma where the asset reaches neither strike nor barrier. Shape: batch -> 3 batch."""
    growth_factor = math.exp(setting.carry[0] - setting.carry[-1])
    ends = [_paid(setting, spots * (growth_factor + shift)) for shift in (0.0, SLOPE_STEP, -SLOPE_STEP)]
    slope = growth_factor * (ends[1] - ends[2]) / (2.0 * SLOPE_STEP * np.maximum(spots, TINY_SPOT))
    return np.stack([ends[0], slope, np.zeros_like(spots)])


def _step(setting: Setting, u: Array, y: Array, *, step: int, walled: tuple[bool, bool]) -> Array:
    """One step back: two implicit halves at first, where the payoff's kink still rings, Crank-Nicolson later."""
    length = setting.times[step] - setting.times[step + 1]
    drift = (setting.carry[step] - setting.carry[step + 1]) / length
    v, h = setting.variance(y, step)[1:-1], y[1] - y[0]
    diffusion, advection = 0.5 * v / h**2, 0.5 * (drift - 0.5 * v) / h
    left, right = diffusion - advection, diffusion + advection
    implicit, count = (1.0, 2) if step < IMPLICIT else (0.5, 1)
    ends = _ends(setting, y, step + 1)
    for _ in range(count):
        dt = length / count
        known = u.copy()
        known[1:-1] += (1.0 - implicit) * dt * (left * u[:-2] - (left + right) * u[1:-1] + right * u[2:])
        known[0], known[-1] = (0.0 if wall else end for wall, end in zip(walled, ends, strict=True))
        bands = np.zeros((3, len(y)))
        bands[1] = 1.0
        bands[0, 2:] = -implicit * dt * right
        bands[1, 1:-1] += implicit * dt * (left + right)
        bands[2, :-2] = -implicit * dt * left
        u = solve_banded((1, 1), bands, known)
    return u


def _ends(setting: Setting, y: Array, step: int) -> tuple[float, float]:
    """What the payoff is worth far out, where the asset will not cross the strike any more."""
    carry = setting.carry[0] - setting.carry[step]
    first, last = _paid(setting, np.exp(y[[0, -1]] + carry)).tolist()
    return first, last


def _paid(setting: Setting, spot: Array) -> Array:
    """Cash at maturity, no barrier touched. Shape: any -> the same."""
    payoff = setting.payoff
    gain = (setting.weight * spot - setting.strike) * (1.0 if payoff.side == "call" else -1.0)
    match payoff:
        case Digital(cash=cash):
            return np.where(gain > 0.0, cash, 0.0)
        case Call() | Put() | Barrier():
            result: Array = np.maximum(gain, 0.0)
            return result
        case _:
            assert_never(payoff)


def _averaged(setting: Setting, y: Array) -> Array:
    """The payoff's average over each point's cell, which is split at the kink. Shape: point -> the same."""
    h, level = y[1] - y[0], setting.strike / setting.weight
    kink = math.log(level) if level > 0.0 else -math.inf
    nodes, weights = np.polynomial.legendre.leggauss(DEGREE + 1)
    ends = (y - 0.5 * h, np.clip(kink, y - 0.5 * h, y + 0.5 * h), y + 0.5 * h)
    sides = [
        0.5 * (b - a) * (_paid(setting, np.exp(a[:, None] + 0.5 * (b - a)[:, None] * (1.0 + nodes))) @ weights)
        for a, b in pairwise(ends)
    ]
    result: Array = sum(sides) / h
    return result
