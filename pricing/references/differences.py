"""Gradient and Hessian of what is solved on a grid of spots: by central differences in all features but the spot."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import torch

from pricing.scenario import Scenario, scenario
from pricing.specs.problem import NOT_NEGATIVE, PricingProblem
from pricing.types import Array

# (problem, scenario of one row but for the spots, spots) -> value, delta, gamma.
Grid = Callable[[PricingProblem, Scenario, Array], tuple[Array, Array, Array]]

# Steps in shares of a feature's width: errors of 1e-6 from the fourth derivative, as much from 1e-11 of rounding.
STEP = 2e-3


def differentiate(problem: PricingProblem, grid: Grid, features: Array, *, order: int) -> tuple[Array, Array, Array]:
    """Value, gradient and Hessian of a problem on one asset. Shape: features batch feature."""
    box = problem.box
    spot = box.columns("spot").start
    others = [j for j in range(box.dimension) if j != spot]
    steps = STEP * (box.upper - box.lower)
    names = {box.columns(feature.name).start: feature.name for feature in problem.features}
    value, delta, gamma = _grouped(problem, grid, features, spot)
    gradient, hessian = np.zeros_like(features), np.zeros((*features.shape, features.shape[1]))
    gradient[:, spot], hessian[:, spot, spot] = delta, gamma
    if order == 0:
        return value, np.zeros_like(gradient), np.zeros_like(hessian)
    centre = features.copy()
    for j in others:
        if names.get(j) in NOT_NEGATIVE:
            centre[:, j] = np.maximum(centre[:, j], steps[j])
    middle = value if (centre == features).all() else _grouped(problem, grid, centre, spot)[0]
    moved = {(j, sign): _moved(centre, {j: sign * steps[j]}) for j in others for sign in (1, -1)}
    solved = {key: _grouped(problem, grid, x, spot) for key, x in moved.items()}
    for j in others:
        (up, up_delta, _), (down, down_delta, _) = solved[j, 1], solved[j, -1]
        gradient[:, j] = (up - down) / (2.0 * steps[j])
        hessian[:, j, spot] = hessian[:, spot, j] = (up_delta - down_delta) / (2.0 * steps[j])
        hessian[:, j, j] = (up - 2.0 * middle + down) / steps[j] ** 2
    if order < 2:
        return value, gradient, np.zeros_like(hessian)
    for i, j in combinations(others, 2):
        corners = [
            sign * other * _grouped(problem, grid, _moved(centre, {i: sign * steps[i], j: other * steps[j]}), spot)[0]
            for sign in (1, -1)
            for other in (1, -1)
        ]
        hessian[:, i, j] = hessian[:, j, i] = sum(corners) / (4.0 * steps[i] * steps[j])
    return value, gradient, hessian


def _moved(features: Array, changes: dict[int, float]) -> Array:
    result = features.copy()
    for column, change in changes.items():
        result[:, column] += change
    return result


def _grouped(problem: PricingProblem, grid: Grid, features: Array, spot: int) -> tuple[Array, Array, Array]:
    """One solution for all rows that differ in their spots alone. Shape: batch feature -> batch, three times."""
    rest = np.delete(features, spot, axis=1)
    _, group = np.unique(rest, axis=0, return_inverse=True)
    group = group.reshape(-1)
    parts = np.zeros((3, len(features)))
    for index in range(int(group.max()) + 1):
        rows = np.flatnonzero(group == index)
        at = scenario(problem, torch.from_numpy(features[rows[:1]]))
        parts[:, rows] = grid(problem, at, features[rows, spot])
    return parts[0], parts[1], parts[2]
