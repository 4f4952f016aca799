"""One asset of a user's own coefficients by finite differences: Kolmogorov's backward equation in S.

u(S, t) = E[payoff | S_t = S] solves u_t + a u_S + c^2 b^2 / 2 u_SS = 0, c the volatility scale, backwards from a payoff
that is averaged over each cell; Crank-Nicolson after implicit half-steps, steps equal in the root of time. At the ends,
where paths hardly go, u is a straight line. It shares the expressions with the simulation, and no time step.

References: Kloeden & Platen (1992), 4.8; Rannacher (1984); Giles & Carter (2006).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import assert_never

import numpy as np
import torch
from scipy.interpolate import make_interp_spline
from scipy.linalg import solve_banded

from pricing.references import differences
from pricing.references.methods import Solved
from pricing.references.pde import CELLS, DEGREE, IMPLICIT, LEAST_TIME, backward_times
from pricing.simulation.scenario import Scenario, discount, scenario
from pricing.specs.european import Call, Digital, Put
from pricing.specs.evaluation import evaluate
from pricing.specs.ito import ItoDiffusion
from pricing.specs.problem import PricingProblem
from pricing.specs.schedule import Piece
from pricing.types import Array

Terminal = Call | Put | Digital
# Levels are followed from the spots along W_t = z t / sqrt(T), z up to so many deviations, in so many steps: the grid's
# ends, beyond which a path gets once in 10^9.
REACH, FOLLOWED = 6.0, 256
# Where levels go within two deviations a cell is at most this share of the deviation to maturity, and drift carries
# over it less than noise does: else differences ring. Looked at in the middle and at both ends of the Box.
USUAL, LARGEST_CELL, SHARES = 2.0, 0.1, (0.5, 0.0, 1.0)


@dataclass(frozen=True, kw_only=True)
class Numbers:
    """One set of parameters: constants by name, rate and volatility scale piece by piece, and the maturity."""

    process: ItoDiffusion
    constants: dict[str, float]
    rates: Array
    scales: Array
    maturity: float

    def coefficients(self, S: Array, t: float) -> tuple[Array, Array]:
        """The drift and the scaled diffusion, NaN or infinite where they are none. Shape: any -> the same, twice."""
        rate = _piece(self.process.rate_pieces, self.rates, t)
        there = {**self.constants, "S": S, "t": np.float64(t), "r": np.float64(rate)}
        with np.errstate(all="ignore"):
            a, b = (
                np.broadcast_to(evaluate(expression, there, np.float64, library=np).value, S.shape)
                for expression in self.process.coefficients[0]
            )
        return a, b * _piece(self.process.volatility_pieces, self.scales, t)


def _piece(pieces: Sequence[Piece], values: Array, t: float) -> float:
    """What holds at a time."""
    return float(values[int(np.searchsorted([piece.start for piece in pieces], t, side="right"))])


def numbers_at(process: ItoDiffusion, at: Scenario) -> Numbers:
    """The parameters of a scenario's first row."""
    constants = at["constant"][0, 0].tolist() if process.constants else []
    return Numbers(
        process=process,
        constants=dict(zip(sorted(process.constants), constants, strict=True)),
        rates=at["rate"][0, 0].numpy(),
        scales=at["volatility_scale"][0, 0].numpy(),
        maturity=max(float(at["maturity"][0, 0, 0]), LEAST_TIME),
    )


def method(problem: PricingProblem, process: ItoDiffusion, payoff: Terminal) -> Solved | None:
    """How a payoff at maturity on one asset is referenced; None where no grid resolves its noise."""
    if not resolved(problem, process):
        return None
    return Solved(
        kind="pde",
        grid=differences.Refined(partial(solutions, process, payoff)),
        points=differences.affordable(problem),
    )


@lru_cache(maxsize=256)
def resolved(problem: PricingProblem, process: ItoDiffusion) -> bool:
    """Whether cells are fine beside the noise wherever levels usually go, at middle and ends of the Box."""
    box = problem.box
    for share in SHARES:
        features = torch.from_numpy(box.lower + share * (box.upper - box.lower))[None]
        numbers = numbers_at(process, scenario(problem, features))
        spots = np.array([box.lower, box.upper])[:, box.columns("spot")][:, 0]
        cell = float(np.ptp(ends(numbers, spots, REACH))) / CELLS
        S = np.linspace(*ends(numbers, spots, USUAL), FOLLOWED)
        for t in np.linspace(0.0, numbers.maturity, 3).tolist():
            a, b = numbers.coefficients(S, t)
            fine = (cell <= LARGEST_CELL * np.abs(b) * np.sqrt(numbers.maturity)) & (np.abs(a) * cell <= b * b)
            if not fine.all():
                return False
    return True


def ends(numbers: Numbers, spots: Array, deviations: float) -> tuple[float, float]:
    """The least and largest levels that are followed to, as far as coefficients are finite. Shape: spots batch."""
    h = numbers.maturity / FOLLOWED
    push = np.linspace(-deviations, deviations, 9) / np.sqrt(numbers.maturity)
    S = np.array([spots.min(), spots.max()])[:, None] + 0.0 * push
    low, high = float(S.min()), float(S.max())
    for j in range(FOLLOWED):
        a, b = numbers.coefficients(S, j * h)
        with np.errstate(all="ignore"):
            S = np.where(np.isfinite(a + b), S + (a + b * push) * h, S)
        low, high = min(low, float(np.nanmin(S))), max(high, float(np.nanmax(S)))
    return low, high


def solutions(process: ItoDiffusion, payoff: Terminal, at: Scenario, spots: Array) -> tuple[Array, Array]:
    """Value, delta and gamma at the spots on the coarse and on the fine grid. Shape: batch -> 3 batch, twice."""
    numbers, strike = numbers_at(process, at), float(at.scalar("strike")[0, 0])
    span = ends(numbers, spots, REACH)
    paid = float(discount(process, at, at["maturity"])[0, 0, -1])
    coarse, fine = (paid * _solve(numbers, payoff, strike, span, spots, refinement) for refinement in (1, 2))
    return coarse, fine


def _solve(
    numbers: Numbers, payoff: Terminal, strike: float, span: tuple[float, float], spots: Array, refinement: int
) -> Array:
    """Undiscounted value, delta and gamma. Shape: spots batch -> 3 batch."""
    S = _finite(numbers, np.linspace(*span, refinement * CELLS + 1))
    u = averaged(payoff, S, strike)
    times = backward_times(numbers.process, numbers.maturity, refinement)
    for step in range(len(times) - 1):
        u = _step(numbers, u, S, times[step], times[step + 1], implicit=step < IMPLICIT)
    spline = make_interp_spline(S, u, k=DEGREE)
    inside = spots.clip(S[0], S[-1])
    return np.stack([spline(inside), spline(inside, 1), spline(inside, 2)])


def _finite(numbers: Numbers, S: Array) -> Array:
    """The points between which coefficients are finite at all times looked at. Shape: point -> fewer."""
    finite = np.ones(len(S), dtype=bool)
    for t in np.linspace(0.0, numbers.maturity, 9).tolist():
        finite &= np.isfinite(np.add(*numbers.coefficients(S, t)))
    gaps = np.flatnonzero(~finite)
    middle = len(S) // 2
    below, above = gaps[gaps < middle], gaps[gaps >= middle]
    return S[below[-1] + 1 if len(below) else 0 : above[0] if len(above) else len(S)]


def _step(numbers: Numbers, u: Array, S: Array, late: float, early: float, *, implicit: bool) -> Array:
    """One step back: two implicit halves at first, where the payoff's kink still rings, Crank-Nicolson later."""
    share, count = (1.0, 2) if implicit else (0.5, 1)
    a, b = numbers.coefficients(S, 0.5 * (late + early))
    h, dt = S[1] - S[0], (late - early) / count
    diffusion, advection = 0.5 * (b / h) ** 2, 0.5 * a / h
    left, right = diffusion - advection, diffusion + advection
    left[0], right[0], left[-1], right[-1] = 0.0, a[0] / h, -a[-1] / h, 0.0
    bands = np.zeros((3, len(S)))
    bands[0, 1:] = -share * dt * right[:-1]
    bands[1] = 1.0 + share * dt * (left + right)
    bands[2, :-1] = -share * dt * left[1:]
    for _ in range(count):
        known = u - (1.0 - share) * dt * (left + right) * u
        known[1:] += (1.0 - share) * dt * left[1:] * u[:-1]
        known[:-1] += (1.0 - share) * dt * right[:-1] * u[1:]
        u = solve_banded((1, 1), bands, known)
    return u


def averaged(payoff: Terminal, S: Array, strike: float) -> Array:
    """The payoff's average over each point's cell. Shape: point -> the same."""
    h, sign = S[1] - S[0], 1.0 if payoff.side == "call" else -1.0
    slope = sign * payoff.weights[0]
    gain = slope * S - sign * strike
    up, down = np.maximum(gain + 0.5 * slope * h, 0.0), np.maximum(gain - 0.5 * slope * h, 0.0)
    match payoff:
        case Digital(cash=cash):
            result: Array = cash * (up - down) / (slope * h)
        case Call() | Put():
            result = (up * up - down * down) / (2.0 * slope * h)
        case _:
            assert_never(payoff)
    return result
