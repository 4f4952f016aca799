"""Of which degree the exercise rule is: by what it loses on paths that it has not seen.

The regret of a degree is what its rule earns less there than the best of all degrees does, path by path on the same
paths, so that only those count that the two exercise at different dates. It is of second order in the error of C at the
boundary, and Greeks are of first: degrees whose regrets are within their noise may differ by several percent of a
gamma. Of those it is the smallest whose C_k is as close to the later cash of the same paths as the closest is, within
the noise of that difference, both weighed around h_k = C_k.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.draws import stream, uniforms
from pricing.exercise.inputs import gain, require_bermudan
from pricing.exercise.rule import NEAR, ExerciseRule, fit_rule
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.estimator import Frozen
from pricing.specs.problem import PricingProblem
from pricing.types import Array

# Unseen paths for every path of the fit: regrets are of second order in the rule, and Greeks of first.
UNSEEN = 4
# Standard errors that a regret may have.
NOISE = 1.0
# Problems whose degree is remembered: one build asks a few times.
REMEMBERED = 16


@dataclass(frozen=True, kw_only=True)
class DegreeChoice:
    """The degree, and the regret of every one that was tried, as a share of the best rule's mean cash."""

    degree: int
    regrets: dict[int, float]


def settled(problem: PricingProblem, estimator: Frozen, *, seed: int) -> Frozen:
    """The estimator with a degree: its own or the one chosen.

    Raises:
        InvalidSpec: a payoff without exercise dates.
    """
    chosen = chosen_degree(problem, estimator, seed=seed)
    return estimator if chosen is None else replace(estimator, degree=chosen.degree)


def chosen_degree(problem: PricingProblem, estimator: Frozen, *, seed: int) -> DegreeChoice | None:
    """The choice where the specification leaves it open."""
    require_bermudan(problem)
    return None if estimator.given_degree is not None else _choose(problem, estimator, seed)


@lru_cache(maxsize=REMEMBERED)
def _choose(problem: PricingProblem, estimator: Frozen, seed: int) -> DegreeChoice:
    degrees = estimator.degrees(problem.box.dimension)
    rules = [fit_rule(problem, replace(estimator, degree=degree), seed=seed) for degree in degrees]
    generator = stream("regret", seed=seed)
    trials = [_trial(rules, estimator.paths, generator) for _ in range(UNSEEN)]
    earned, missed = (np.concatenate(parts, axis=1) for parts in zip(*trials, strict=True))
    regrets, within = _excess(-earned)
    close = _excess(np.where(within[:, None], missed, np.inf))[1]
    size = max(float(earned.mean(axis=1).max()), np.finfo(float).tiny)
    return DegreeChoice(
        degree=degrees[int(np.flatnonzero(within & close)[0])],
        regrets=dict(zip(degrees, (regrets / size).tolist(), strict=True)),
    )


def _excess(losses: Array) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Of every row over the least, and whether that is within its noise. Shape: row path -> row; row."""
    over = losses - losses[int(losses.mean(axis=1).argmin())]
    mean: Array = over.mean(axis=1)
    finite = np.isfinite(mean)
    noise = np.zeros(len(over))
    noise[finite] = NOISE * over[finite].std(axis=1) / np.sqrt(over.shape[1])
    return mean, mean <= noise


def _trial(rules: list[ExerciseRule], count: int, generator: np.random.Generator) -> tuple[Array, Array]:
    """Cash of every rule on the same paths from all over the Box, and by how much its C misses it.

    Shape: -> rule path, twice.
    """
    problem = rules[0].problem
    dates = len(require_bermudan(problem).dates)
    points = uniforms("sobol", count, problem.box.dimension, generator=generator)
    draws = generator.standard_normal((count, 1, sum(blocks(problem.process, dates))))
    at = scenario(problem, torch.from_numpy(problem.box.from_uniforms(points)))
    paths = simulate(problem.process, at, torch.from_numpy(draws), times(problem, at))
    last = paths.discount[..., -1] * gain(problem, paths.levels(dates - 1), at).clamp(min=0.0)
    cash = last.T.repeat(len(rules), 1)
    missed = torch.zeros_like(cash)
    for date in reversed(range(dates - 1)):
        levels, paid = paths.levels(date), paths.discount[..., date]
        now = gain(problem, levels, at)
        later = torch.cat([rule.continuation(levels, at, date=date) for rule in rules], dim=1).T
        missed += _missed(now[:, 0], later, cash.mean(dim=0) / paid[:, 0])
        stop = (now[:, 0] > 0.0) & (now[:, 0] >= later)
        cash = torch.where(stop, (paid * now)[:, 0], cash)
    return cash.numpy(), missed.numpy()


def _missed(now: Tensor, later: Tensor, cash: Tensor) -> Tensor:
    """Squares of what each C misses of the cash where exercise is close. Shape: path; rule path; path -> rule path."""
    excess, inside = now - later.mean(dim=0), now > 0.0
    width = NEAR * excess[inside].std(correction=0) if inside.any() else excess.new_zeros(())
    if not width > 0.0:
        return torch.zeros_like(later)
    return inside * torch.exp(-0.5 * (excess / width).square()) * ((cash - later) / width).square()
