"""Replicated Monte Carlo: means over independent sets of points, whose spread is their standard error."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor

from pricing.references.derivatives import Derivatives, Order, differentiate
from pricing.references.methods import Replicated, Sampled
from pricing.simulation.scenario import scenario
from pricing.specs.problem import PricingProblem
from pricing.types import Array

# Replicates, and those of them on which time steps are halved.
REPLICATES, COMPARED = 16, 4
# Rows that take about a minute on one thread, those with dates and many paths, and those again with more features than
# spots.
PLAIN, DATED, VARIED = 1 << 8, 1 << 6, 1 << 4
# Samples times paths times normals of a replicate's block: 100 MB or so with what differentiation keeps; at least so
# many rows, which share their draws.
BLOCK, LEAST_ROWS = 1 << 18, 4
# Uniforms are kept this far from 0 and 1.
MARGIN = 1e-15
# Names the stream apart from every stream of the labels.
STREAM = 0x5EFE


def replicated(
    problem: PricingProblem, how: Replicated, features: Array, *, order: Order, seed: int
) -> tuple[Derivatives, Derivatives]:
    """Means over the replicates and their errors: the standard errors, and what half the time steps change, if any.

    Shape: features batch feature.
    """
    if how.bent is None or order < 2:
        return _averaged(problem, how.sampled, how, features, order=order, seed=seed)
    plain = _averaged(problem, how.sampled, how, features, order=1, seed=seed)
    curved = replace(how, paths=how.bent.paths)
    means, errors = _averaged(problem, how.bent.sampled, curved, features, order=2, seed=seed)
    missed = how.bent.bias * np.abs(means.hessian).max(axis=0)
    return plain[0]._replace(hessian=means.hessian), plain[1]._replace(hessian=np.hypot(errors.hessian, missed))


def _averaged(
    problem: PricingProblem, sampled: Sampled, how: Replicated, features: Array, *, order: Order, seed: int
) -> tuple[Derivatives, Derivatives]:
    """`replicated` of one value."""
    rows = max(LEAST_ROWS, BLOCK // (how.paths * (how.dimension + 1)))

    def run(sampled: Sampled, replicate: int) -> Derivatives:
        points = uniforms(how.paths, how.dimension, seed=seed, replicate=replicate)
        return differentiate(lambda x: sampled(scenario(problem, x), points), features, order=order, rows=rows)

    stacked = _stacked(run(sampled, replicate) for replicate in range(REPLICATES))
    means = Derivatives(*(column.mean(axis=0) for column in stacked))
    errors = Derivatives(*(column.std(axis=0, ddof=1) / np.sqrt(REPLICATES) for column in stacked))
    if how.coarse is not None:
        halves = _stacked(run(how.coarse, replicate) for replicate in range(COMPARED))
        changes = ((fine[:COMPARED] - half).mean(axis=0) for fine, half in zip(stacked, halves, strict=True))
        errors = Derivatives(*map(np.hypot, errors, changes))
    return means, errors


def _stacked(runs: Iterable[Derivatives]) -> list[Array]:
    """Values, gradients and Hessians of all replicates. Shape: -> replicate batch ..., three times."""
    return [np.stack(column) for column in zip(*runs, strict=True)]


def uniforms(paths: int, dimension: int, *, seed: int, replicate: int) -> Tensor:
    """One scrambled Sobol set. Shape: -> paths dimension."""
    generator = np.random.default_rng([STREAM, seed, replicate])
    points = qmc.Sobol(max(dimension, 1), scramble=True, rng=generator).random(paths)
    return torch.from_numpy(points[:, :dimension].clip(MARGIN, 1.0 - MARGIN))
