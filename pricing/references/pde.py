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
from itertools import pairwise

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from scipy.linalg import solve_banded

from pricing.simulation.scenario import Scenario, clock, discount, growth
from pricing.specs.diffusion import Diffusion
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Barrier, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import LocalVolatility
from pricing.types import Array

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
    """One set of parameters, and the grid's times from maturity to today with carry, clock and each step's scale."""

    problem: PricingProblem
    at: Scenario
    cells: int
    times: Array
    carry: Array
    ticks: Array
    scales: Array

    def number(self, name: str) -> float:
        """A parameter of one coordinate."""
        return float(self.at.scalar(name)[0, 0])

    def variance(self, y: Array, step: int) -> Array:
        """Local variance at the middle of a step, per year."""
        process = self.problem.process
        scale = self.scales[step] ** 2
        if not isinstance(process, LocalVolatility):
            return np.full(len(y), self.number("volatility") ** 2 * scale)
        middle = max(0.5 * (self.ticks[step] + self.ticks[step + 1]), LEAST_TIME)
        carry = 0.5 * (self.carry[step] + self.carry[step + 1])
        k = y - math.log(process.reference_spots[0]) - carry
        sigma, rho, eta = (self.number(name) for name in ("volatility", "skew", "curvature"))
        local = dupire(k, middle, sigma=max(sigma, LEAST_TIME), shape=(rho, eta, process.powers[0]))
        result: Array = scale * local
        return result


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


def greeks(problem: PricingProblem, at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
    """Value, delta and gamma at the spots, all other parameters alike. Shape: batch -> batch, three times."""
    coarse, fine = (_undiscounted(_setting(problem, at, refinement), spots) for refinement in (1, 2))
    paid = float(discount(problem.process, at, at["maturity"])[0, 0, -1])
    value, delta, gamma = paid * (4.0 * fine - coarse) / 3.0
    return value, delta, gamma


def _setting(problem: PricingProblem, at: Scenario, refinement: int) -> Setting:
    process, maturity = problem.process, float(at["maturity"][0, 0, 0])
    grid = _times(process, max(maturity, LEAST_TIME), refinement)
    starts = [piece.start for piece in process.volatility_pieces]
    middles, until = 0.5 * (grid[1:] + grid[:-1]), torch.from_numpy(grid)[None, None]
    return Setting(
        problem=problem,
        at=at,
        cells=refinement * CELLS,
        times=grid,
        carry=growth(process, at, until)[0, 0, :, 0].numpy(),
        ticks=clock(process, at, until)[0, 0].numpy(),
        scales=at["volatility_scale"][0, 0].numpy()[np.searchsorted(starts, middles, side="right")],
    )


def _times(process: Diffusion, maturity: float, refinement: int) -> Array:
    """From maturity to 0, equal steps in the root of time but for the starts of pieces, which are on the grid."""
    starts = {piece.start for pieces in (process.rate_pieces, process.volatility_pieces) for piece in pieces}
    ends = [0.0, *sorted(math.sqrt(start / maturity) for start in starts if 0.0 < start < maturity), 1.0]
    parts = [np.linspace(a, b, refinement * max(2, round(STEPS * (b - a))), endpoint=False) for a, b in pairwise(ends)]
    result: Array = maturity * np.concatenate([*parts, [1.0]])[::-1] ** 2
    return result


def _undiscounted(setting: Setting, spots: Array) -> Array:
    """Undiscounted value, delta and gamma. Shape: batch -> 3 batch."""
    payoff = setting.problem.payoff
    if not isinstance(payoff, Barrier):
        return _solve(setting, spots, barrier=None)
    out = _solve(setting, spots, barrier=setting.number("barrier"))
    return out if payoff.knock == "out" else _solve(setting, spots, barrier=None) - out


def _solve(setting: Setting, spots: Array, *, barrier: float | None) -> Array:
    """Value, delta and gamma; 0 beyond the barrier. Shape: batch -> 3 batch."""
    payoff, strike = setting.problem.payoff, setting.number("strike")
    down = isinstance(payoff, Barrier) and payoff.direction == "down"
    anchors = [level for level in (strike / _weight(payoff), barrier or 0.0) if level > 0.0] or [1.0]
    deviation = setting.number("volatility") * math.sqrt(setting.ticks[0])
    width = max(REACH * deviation, LEAST_WIDTH) + float(np.ptp(setting.carry))
    low, high = math.log(min(anchors)) - width, math.log(max(anchors)) + width
    levels = np.log(np.maximum(spots, math.exp(low - 1.0)))
    far = (levels <= low) | (levels >= high)
    alive = np.ones(len(spots), dtype=bool)
    if barrier is not None:
        alive = spots > barrier if down else spots < barrier
    if barrier is not None and barrier > 0.0:
        low, high = (math.log(barrier), high + MARGIN * width) if down else (low - MARGIN * width, math.log(barrier))
    else:
        low, high = low - MARGIN * width, high + MARGIN * width
    y = np.linspace(low, high, setting.cells + 1)
    u = _averaged(setting, y, strike)
    walls = (barrier is not None and down, barrier is not None and not down)
    for step in range(len(setting.scales)):
        u = _step(setting, u, y, step=step, strike=strike, walls=walls)
    spline = make_interp_spline(y, u, k=DEGREE)
    inside = np.clip(levels, low, high)
    level = np.exp(inside)
    slope, bend = spline(inside, 1), spline(inside, 2)
    near = np.stack([spline(inside), slope / level, (bend - slope) / level**2])
    result: Array = alive * np.where(far, _certain(setting, spots, strike), near)
    return result


def _certain(setting: Setting, spots: Array, strike: float) -> Array:
    """Value, delta and gamma where the asset reaches neither strike nor barrier. Shape: batch -> 3 batch."""
    growth_factor = math.exp(setting.carry[0] - setting.carry[-1])
    ends = [_paid(setting, spots * (growth_factor + shift), strike) for shift in (0.0, SLOPE_STEP, -SLOPE_STEP)]
    slope = growth_factor * (ends[1] - ends[2]) / (2.0 * SLOPE_STEP * np.maximum(spots, TINY_SPOT))
    return np.stack([ends[0], slope, np.zeros_like(spots)])


def _step(setting: Setting, u: Array, y: Array, *, step: int, strike: float, walls: tuple[bool, bool]) -> Array:
    """One step back: two implicit halves at first, where the payoff's kink still rings, Crank-Nicolson later."""
    length = setting.times[step] - setting.times[step + 1]
    drift = (setting.carry[step] - setting.carry[step + 1]) / length
    v, h = setting.variance(y, step)[1:-1], y[1] - y[0]
    diffusion, advection = 0.5 * v / h**2, 0.5 * (drift - 0.5 * v) / h
    left, right = diffusion - advection, diffusion + advection
    implicit, count = (1.0, 2) if step < IMPLICIT else (0.5, 1)
    ends = _ends(setting, y, strike, step + 1)
    for _ in range(count):
        dt = length / count
        known = u.copy()
        known[1:-1] += (1.0 - implicit) * dt * (left * u[:-2] - (left + right) * u[1:-1] + right * u[2:])
        known[0], known[-1] = (0.0 if wall else end for wall, end in zip(walls, ends, strict=True))
        bands = np.zeros((3, len(y)))
        bands[1] = 1.0
        bands[0, 2:] = -implicit * dt * right
        bands[1, 1:-1] += implicit * dt * (left + right)
        bands[2, :-2] = -implicit * dt * left
        u = solve_banded((1, 1), bands, known)
    return u


def _ends(setting: Setting, y: Array, strike: float, step: int) -> tuple[float, float]:
    """What the payoff is worth far out, where the asset will not cross the strike any more."""
    carry = setting.carry[0] - setting.carry[step]
    first, last = _paid(setting, np.exp(y[[0, -1]] + carry), strike).tolist()
    return first, last


def _paid(setting: Setting, spot: Array, strike: float) -> Array:
    payoff = setting.problem.payoff
    assert isinstance(payoff, Call | Put | Digital | Barrier)
    weight = _weight(payoff)
    called = payoff.side == "call" if isinstance(payoff, Digital | Barrier) else isinstance(payoff, Call)
    gain = (weight * spot - strike) * (1.0 if called else -1.0)
    if isinstance(payoff, Digital):
        return np.where(gain > 0.0, payoff.cash, 0.0)
    result: Array = np.maximum(gain, 0.0)
    return result


def _weight(payoff: Payoff) -> float:
    return payoff.weights[0] if isinstance(payoff, Call | Put | Digital) else 1.0


def _averaged(setting: Setting, y: Array, strike: float) -> Array:
    """The payoff's average over each point's cell, which is split at the kink."""
    payoff, h = setting.problem.payoff, y[1] - y[0]
    weight = _weight(payoff)
    kink = math.log(strike / weight) if strike / weight > 0.0 else -math.inf
    nodes, weights = np.polynomial.legendre.leggauss(DEGREE + 1)
    ends = (y - 0.5 * h, np.clip(kink, y - 0.5 * h, y + 0.5 * h), y + 0.5 * h)
    parts = [
        0.5 * (b - a) * (_paid(setting, np.exp(a[:, None] + 0.5 * (b - a)[:, None] * (1.0 + nodes)), strike) @ weights)
        for a, b in pairwise(ends)
    ]
    result: Array = sum(parts) / h
    return result
