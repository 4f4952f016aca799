"""Between which values an early-exercise option lies, and how likely the holder exercises at each date.

Low: what the rule of `pricing.exercise.rule` earns on paths that it has not seen. High, for any martingale M with
M_0 = 0 (Rogers 2002; Haugh & Kogan 2004; Andersen & Broadie 2004),

    V <= E[max_k (D_k h_k - M_k)],   M_k - M_(k-1) = D_k L_k - E[D_k L_k | S_(k-1)],   L_k = max(h_k, C_k, 0),

with C_k the rule's continuation value; M of the true value makes it an equality. The expectation over one step is a
mean over inner points that all paths of a replicate share; its error only raises the mean of the bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pricing.draws import stream, to_normals, uniforms
from pricing.exercise.degree import settled
from pricing.exercise.inputs import gain, require_bermudan
from pricing.exercise.rule import ExerciseRule, fit_rule
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, growth, scenario, times
from pricing.specs.estimator import Estimator, Frozen
from pricing.specs.problem import PricingProblem
from pricing.specs.time_steps import gridded
from pricing.types import Array

# Replicates, whose spread is the standard error; paths of the low bound, outer paths and inner points of the high one
# in each. Measured on a 5-asset max-call with 9 dates: standard errors of 0.15 % of the value.
REPLICATES = 8
LOW_PATHS, OUTER, INNER = 1 << 12, 1 << 6, 1 << 8
# Where on the diagonal of the Box a report has them.
SHARES = (0.25, 0.5, 0.75)


@dataclass(frozen=True, kw_only=True)
class Bounds:
    """Bounds with standard errors, currency; no high one where a level alone does not tell the later law.

    Shape: batch; exercise_probability batch date: of exercise at that date, which add up to 1 or less.
    """

    low: Array
    low_error: Array
    high: Array | None
    high_error: Array | None
    exercise_probability: Array


def bounds(problem: PricingProblem, features: Tensor, estimator: Frozen, *, seed: int) -> Bounds:
    """Bounds of a Bermudan value at the features. Shape: features batch feature.

    Args:
        seed: of the rule and of all paths; labels of the same seed have the same rule.

    Raises:
        InvalidSpec: a payoff without exercise dates, or features of another width.
    """
    problem.box.require_shape(tuple(features.shape))
    problem = gridded(problem)
    rule = fit_rule(problem, settled(problem, estimator, seed=seed), seed=seed)
    lows, highs, chances = [], [], []
    with torch.no_grad():
        for replicate in range(REPLICATES):
            rows = [_low(rule, row, replicate, seed) for row in features]
            lows.append([float(cash.mean()) for cash, _ in rows])
            chances.append([chance.numpy() for _, chance in rows])
            if problem.process.facts.independent_increments:
                highs.append([float(_high(rule, row, replicate, seed).mean()) for row in features])
    low, low_error = _mean(lows)
    high, high_error = _mean(highs) if highs else (None, None)
    probability: Array = np.mean(chances, axis=0)
    return Bounds(low=low, low_error=low_error, high=high, high_error=high_error, exercise_probability=probability)


def report(problem: PricingProblem, estimator: Estimator, *, seed: int) -> list[dict[str, Any]]:
    """The bounds at a few points on the diagonal of the Box, as plain data for JSON."""
    own = estimator if isinstance(estimator, Frozen) else Frozen()
    features = problem.box.lower + np.array(SHARES)[:, None] * (problem.box.upper - problem.box.lower)
    columns = {"features": features, **vars(bounds(problem, torch.from_numpy(features), own, seed=seed))}
    known = {name: column for name, column in columns.items() if column is not None}
    return [{name: column[row].tolist() for name, column in known.items()} for row in range(len(features))]


def _mean(replicates: list[list[float]]) -> tuple[Array, Array]:
    table = np.array(replicates)
    error: Array = table.std(axis=0, ddof=1) / np.sqrt(len(table))
    mean: Array = table.mean(axis=0)
    return mean, error


def _paths(problem: PricingProblem, at: Scenario, count: int, *, generator: np.random.Generator) -> Paths:
    dimension = sum(blocks(problem.process, len(require_bermudan(problem).dates)))
    normals = to_normals(uniforms("sobol", count, dimension, generator=generator))
    return simulate(problem.process, at, torch.from_numpy(normals)[None], times(problem, at))


def _low(rule: ExerciseRule, row: Tensor, replicate: int, seed: int) -> tuple[Tensor, Tensor]:
    """Cash of every path, and the chance of exercise at every date. Shape: -> path; date."""
    at = scenario(rule.problem, row[None])
    paths = _paths(rule.problem, at, LOW_PATHS, generator=stream("low", replicate, seed=seed))
    cash, alive, chances = torch.zeros(LOW_PATHS, dtype=row.dtype), torch.ones(LOW_PATHS, dtype=row.dtype), []
    for date in range(paths.dates):
        levels = paths.levels(date)
        worth = gain(rule.problem, levels, at)[0]
        wanted = worth > 0.0
        if date < len(rule.inside):
            wanted = wanted & (worth >= rule.continuation(levels, at, date=date)[0])
        now = alive * wanted
        cash, alive = cash + now * paths.discount[0, :, date] * worth, alive - now
        chances.append(now.mean())
    return cash, torch.stack(chances)


def _high(rule: ExerciseRule, row: Tensor, replicate: int, seed: int) -> Tensor:
    """max_k (D_k h_k - M_k) of every outer path. Shape: -> path."""
    problem, at = rule.problem, scenario(rule.problem, row[None])
    outer = _paths(problem, at, OUTER, generator=stream("outer", replicate, seed=seed))
    additive = outer.law == "additive"
    origin = Scenario(parameters={**at.parameters, "spot": torch.full_like(at["spot"], 0.0 if additive else 1.0)})
    inner = _paths(problem, origin, INNER, generator=stream("inner", replicate, seed=seed))
    grown = torch.exp(growth(problem.process, at, times(problem, at)))[0, 0]
    martingale = torch.zeros(OUTER, dtype=row.dtype)
    best = torch.full_like(martingale, -torch.inf)
    state, before = at["spot"][0].expand(OUTER, -1), torch.ones_like(grown[0])
    for date in range(outer.dates):
        discount, levels = outer.discount[0, 0, date], outer.levels(date)
        there, ratio = inner.levels(date)[0], grown[date] / before
        if additive:
            moved = ratio * (state[:, None] - (inner.levels(date - 1)[0] if date else 0.0)) + there
        else:
            moved = state[:, None] * there / (inner.levels(date - 1)[0] if date else 1.0)
        expected = rule.worth(moved.reshape(1, -1, moved.shape[-1]), at, date=date).reshape(OUTER, INNER).mean(dim=1)
        martingale = martingale + discount * (rule.worth(levels, at, date=date)[0] - expected)
        best = torch.maximum(best, discount * gain(problem, levels, at)[0].clamp(min=0.0) - martingale)
        state, before = levels[0], grown[date]
    return best
