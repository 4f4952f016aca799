"""Gradient and Hessian of what is solved on a grid of spots: by central differences in all features but the spots.

Steps are shares of a parameter's own size, or of the asset's deviation for strikes and barriers, halved twice.
Richardson's extrapolations D(h / 2) + (D(h / 2) - D(h)) / 3, and their second stage, cancel the errors of order h^2 and
h^4. Of these the one is taken that agrees best with those it was made from, entry by entry; how far it does not is its
error. What is solved on two grids adds what the finer one changes, as it is, in every derivative.

References: Ridders (1982), Accurate computation of F'(x) and F'(x)F''(x).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from pricing.references.derivatives import Derivatives, Order
from pricing.simulation.scenario import Scenario, scenario
from pricing.specs.evaluation import evaluate
from pricing.specs.ito import ItoDiffusion
from pricing.specs.parameters import PARAMETERS, bounds
from pricing.specs.problem import PricingProblem
from pricing.types import Array

# (scenario of one row but for the spots, spots) -> value, delta, gamma. Shape: batch, all of them, for one asset; batch
# asset -> batch, batch asset, batch asset asset for several.
Grid = Callable[[Scenario, Array], tuple[Array, Array, Array]]


@dataclass(frozen=True)
class Refined:
    """A solution on a grid and on one twice as fine, whose errors of second order the extrapolation cancels.

    Args:
        solutions: value, delta and gamma on the coarse and on the fine one, as of a grid of one asset.
            Shape: spots batch -> 3 batch, twice.
    """

    solutions: Callable[[Scenario, Array], tuple[Array, Array]]

    def __call__(self, at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
        """The extrapolation. Shape: as of a grid of one asset."""
        value, delta, gamma = self.readings(at, spots)[0]
        return value, delta, gamma

    def readings(self, at: Scenario, spots: Array) -> Sequence[Sequence[Array]]:
        """The extrapolation, and what the fine grid changes. Shape: -> 3 batch, twice."""
        coarse, fine = self.solutions(at, spots)
        return [*(4.0 * fine - coarse) / 3.0], [*(fine - coarse)]


# The first step as a share of the parameter's size, and how often it is halved: rounding comes back 1e3 to 1e5
# times as large in second differences.
STEP, HALVINGS = 0.1, 2
# What counts as the size of a parameter that has none of its own and vanishes: this share of the Box's largest.
LEAST_SHARE = 1e-3
# Solutions that take about a minute on one thread.
SOLUTIONS = 320
# Share of the way to a bound, or from a barrier to the spot, that a step may go: values end there, or have a kink.
REACH = 0.9


@dataclass(frozen=True, kw_only=True)
class Stencil:
    """Where a problem is differenced.

    Args:
        spots: the columns that the grid differentiates itself; ``others`` are all the rest.
        centre: the features, pushed off the bounds. Shape: batch feature.
        steps: the first steps. Shape: batch feature.
    """

    problem: PricingProblem
    grid: Grid
    spots: slice
    others: list[int]
    centre: Array
    steps: Array


def affordable(problem: PricingProblem) -> int | None:
    """Rows that take about a minute on one thread, by all features but spots; one solution serves all spots."""
    others = problem.box.dimension - problem.process.assets
    beside = (HALVINGS + 1) * others * (others + 1)
    return max(1, SOLUTIONS // (1 + beside)) if others else None


def differentiate(
    problem: PricingProblem, grid: Grid, features: Array, *, order: Order
) -> tuple[Derivatives, tuple[Array, Array]]:
    """Value, gradient and Hessian, and what grids and differences may miss of the last two. Shape: as `solve`."""
    means, (_, *missed) = solve(problem, grid, features, order=order)
    return means, (missed[0], missed[1])


def solve(
    problem: PricingProblem, grid: Grid, features: Array, *, order: Order
) -> tuple[Derivatives, tuple[Array | None, Array, Array]]:
    """Value, gradient and Hessian with their errors, None of a value on one grid. Shape: features batch feature."""
    rows, dimension = features.shape
    spots = problem.box.columns("spot")
    others = [j for j in range(dimension) if not spots.start <= j < spots.stop]
    value, delta, gamma = _solved(problem, grid, features)
    value_error = np.abs(value[1]) if len(value) > 1 else None
    if order == 0:
        empty = np.zeros((rows, dimension)), np.zeros((rows, dimension, dimension))
        return Derivatives(value[0], *empty), (value_error, *empty)
    centre, steps = _steps(problem, features, others)
    stencil = Stencil(problem=problem, grid=grid, spots=spots, others=others, centre=centre, steps=steps)
    middle = value if (centre == features).all() else _solved(problem, grid, centre)[0]
    levels = [_level(stencil, middle, steps / 2**halvings, order) for halvings in range(HALVINGS + 1 if others else 1)]
    (gradient, gradient_error), (hessian, hessian_error) = (
        extrapolated(np.stack(column)) for column in zip(*levels, strict=True)
    )
    gradient[..., spots], gradient_error[..., spots] = delta, 0.0
    if order == 2:
        hessian[..., spots, spots], hessian_error[..., spots, spots] = gamma, 0.0
    errors = (
        error[0] + np.abs(found[1:]).sum(axis=0)
        for found, error in zip((gradient, hessian), (gradient_error, hessian_error), strict=True)
    )
    return Derivatives(value[0], gradient[0], hessian[0]), (value_error, *errors)


def extrapolated(levels: Array) -> tuple[Array, Array]:
    """Ridders' choice among the extrapolations of ever smaller steps, and its error. Shape: level ... -> ...; ..."""
    best, error = levels[-1].copy(), np.full(levels.shape[1:], 0.0 if len(levels) == 1 else np.inf)
    before = [levels[0]]
    for level in levels[1:]:
        row = [level]
        for stage, older in enumerate(before, start=1):
            row.append(row[-1] + (row[-1] - older) / (4.0**stage - 1.0))
            spread = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - older))
            best, error = np.where(spread < error, row[-1], best), np.minimum(spread, error)
        before = row
    return best, error


def _steps(problem: PricingProblem, features: Array, others: list[int]) -> tuple[Array, Array]:
    """The features off their bounds, and the first steps. Shape: batch feature, twice."""
    box, centre, steps = problem.box, features.copy(), np.zeros_like(features)
    names = [feature.name for feature in problem.features for _ in range(feature.size)]
    deviation = _deviation(problem, features)
    for j in others:
        least, most = bounds(names[j], positive=problem.process.facts.positive, assets=problem.process.assets)
        own, level = PARAMETERS[names[j]].size, PARAMETERS[names[j]].scaling == "level"
        size = own or LEAST_SHARE * max(abs(box.lower[j]), abs(box.upper[j]))
        margin = size if own is None else LEAST_SHARE * size
        centre[:, j] = np.clip(features[:, j], least + margin, most - margin)
        room = np.minimum(centre[:, j] - least, most - centre[:, j])
        if names[j] == "barrier":
            gap = np.abs(features[:, box.columns("spot").start] - centre[:, j])
            room = np.minimum(room, np.where(gap > 0.0, gap, room))
        sizes = deviation if level else np.abs(centre[:, j])
        steps[:, j] = np.minimum(STEP * np.maximum(sizes, size), REACH * room)
    return centre, steps


def _deviation(problem: PricingProblem, features: Array) -> Array:
    """Standard deviation of an asset at maturity, currency. Shape: batch feature -> batch."""
    at = scenario(problem, torch.from_numpy(features))
    if isinstance(problem.process, ItoDiffusion):
        return _of_coefficients(problem.process, at).expand(len(features)).numpy()
    deviation = at["volatility"].amin(dim=(1, 2)) * at.scalar("maturity")[:, 0].sqrt()
    if problem.process.facts.positive:
        deviation = deviation * at["spot"].amin(dim=(1, 2))
    result: Array = deviation.expand(len(features)).numpy()
    return result


def _of_coefficients(process: ItoDiffusion, at: Scenario) -> Tensor:
    """What the diffusion today makes of the maturity, of the asset that moves least. Shape: -> batch-or-1."""
    names = {name: at["constant"][..., i : i + 1] for i, name in enumerate(sorted(process.constants))}
    there = {**names, "t": torch.zeros_like(at["maturity"]), "r": at["rate"][..., :1]}
    sizes = []
    for i, (_, b) in enumerate(process.coefficients):
        S = at["spot"][..., i : i + 1]
        sizes.append(evaluate(b, {**there, "S": S}, S.new_tensor, library=torch).value.abs() + torch.zeros_like(S))
    deviation = torch.cat(sizes, dim=2).amin(dim=(1, 2))
    return deviation * at["volatility_scale"][:, 0, 0] * at.scalar("maturity")[:, 0].sqrt()


def _level(stencil: Stencil, middle: Array, steps: Array, order: Order) -> tuple[Array, Array]:
    """Gradient and Hessian by one set of steps, zeros where the grid knows them itself.

    Shape: middle reading batch -> reading batch feature; reading batch feature feature.
    """
    shape = (len(middle), *steps.shape)
    gradient, hessian = np.zeros(shape), np.zeros((*shape, shape[-1]))
    solved = {(j, sign): _moved(stencil, steps, {j: sign}) for j in stencil.others for sign in (1, -1)}
    for j in stencil.others:
        (up, up_delta, _), (down, down_delta, _) = solved[j, 1], solved[j, -1]
        gradient[..., j] = (up - down) / (2.0 * steps[:, j])
        cross = (up_delta - down_delta) / (2.0 * steps[:, j, None])
        hessian[..., j, stencil.spots], hessian[..., stencil.spots, j] = cross, cross
        hessian[..., j, j] = (up - 2.0 * middle + down) / steps[:, j] ** 2
    if order < 2:
        return gradient, np.zeros_like(hessian)
    for i, j in combinations(stencil.others, 2):
        corners = _moved(stencil, steps, {i: 1, j: 1})[0] + _moved(stencil, steps, {i: -1, j: -1})[0]
        sides = sum(solved[k, sign][0] for k in (i, j) for sign in (1, -1))
        hessian[..., i, j] = hessian[..., j, i] = (corners - sides + 2.0 * middle) / (2.0 * steps[:, i] * steps[:, j])
    return gradient, hessian


def _moved(stencil: Stencil, steps: Array, signs: dict[int, int]) -> tuple[Array, Array, Array]:
    features = stencil.centre.copy()
    for column, sign in signs.items():
        features[:, column] += sign * steps[:, column]
    return _solved(stencil.problem, stencil.grid, features)


def _solved(problem: PricingProblem, grid: Grid, features: Array) -> tuple[Array, Array, Array]:
    """One solution for all rows that differ in their spots alone, and what a finer grid changes, where there are two.

    Shape: batch feature -> reading batch; reading batch asset; reading batch asset asset.
    """
    spots = problem.box.columns("spot")
    assets, count = spots.stop - spots.start, len(features)
    rest = np.delete(features, spots, axis=1)
    _, group = np.unique(rest, axis=0, return_inverse=True)
    group = group.reshape(-1)
    readings = 2 if isinstance(grid, Refined) else 1
    value, delta = np.zeros((readings, count)), np.zeros((readings, count, assets))
    gamma = np.zeros((readings, count, assets, assets))
    for index in range(int(group.max()) + 1):
        rows = np.flatnonzero(group == index)
        at, levels = scenario(problem, torch.from_numpy(features[rows[:1]])), features[rows, spots]
        asked = levels[:, 0] if assets == 1 else levels
        solutions = grid.readings(at, asked) if isinstance(grid, Refined) else (grid(at, asked),)
        for reading, solution in enumerate(solutions):
            own, slope, bend = solution
            value[reading, rows], delta[reading, rows] = own, slope.reshape(-1, assets)
            gamma[reading, rows] = bend.reshape(-1, assets, assets)
    return value, delta, gamma
