"""Discounted expectations by simulation, with their error from independent replicates.

V(S) = D E[p(m(S, Q z))]: a process turns spots S and normals into assets at maturity, a payoff turns those into the
moneyness m, and p is x^+ or its smooth stand-in. Q is the rotation of the draws. Everything is differentiable in S.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import torch
from torch import Tensor

from pricing import bachelier, conditional
from pricing.draws import path_sets, principal_axes, stream, to_normals, uniforms
from pricing.errors import OutOfDomain
from pricing.payoffs import cash, moneyness
from pricing.smoothing import ramp, stated_bias
from pricing.spec import Bachelier, Conditional, Draws, LabelSpec, Pathwise, PricingProblem, Process, Smoothed
from pricing.terminal import Terminal

# Numbers in one tensor of a batch: 2 MB, so that the dozen tensors of a double backward pass stay near the cache.
BATCH_NUMBERS = 1 << 18

Expectation = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over replicates and its standard error sd / sqrt(R), None with a single replicate. Shape: batch ..."""

    value: Tensor
    standard_error: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A problem with all that is settled before its paths are drawn.

    rotation: Q, applied to the normals. Shape: asset asset.
    smooth: p, from moneyness to cash.
    integrated: index of the normal that p has integrated already.
    """

    problem: PricingProblem
    spec: LabelSpec
    rotation: Tensor
    smooth: Callable[[Tensor], Tensor]
    integrated: int | None = None


def simulate(process: Process, spots: Tensor, normals: Tensor, maturity: float) -> Terminal:
    """The assets at maturity. Shape: spots ``batch 1 asset``, normals ``1 path asset`` or ``batch path asset``."""
    match process:
        case Bachelier():
            return bachelier.simulate(process, spots, normals, maturity)
        case _:
            assert_never(process)


def value(problem: PricingProblem, features: Tensor, spec: LabelSpec, *, seed: int) -> Estimate:
    """Values at the features. Shape: batch feature -> batch.

    Raises:
        InvalidSpec: features of another width than the problem's, or an estimator that does not fit it.
        OutOfDomain: features that are not finite.
    """
    simulation = prepare(problem, features, spec, seed=seed)

    def measure(expectation: Expectation, rows: slice) -> tuple[Tensor]:
        return (expectation(features[rows]),)

    runs = [replicate(simulation, len(features), measure, index=r, seed=seed)[0] for r in range(spec.replicates)]
    return average(torch.stack(runs))


def prepare(problem: PricingProblem, features: Tensor, spec: LabelSpec, *, seed: int) -> Simulation:
    """Find the rotation on the pilot's paths and settle the estimator. Shape: features batch feature."""
    problem.box.require_shape(tuple(features.shape))
    finite = torch.isfinite(features).all(dim=1)
    if not finite.all():
        row = int((~finite).nonzero()[0])
        raise OutOfDomain(f"sample {row}: features must be finite, got {features[row].tolist()}")
    rotation = find_rotation(problem, features, spec.draws, seed=seed)
    sensitivity = driving_gradient(problem, features[:1])[0] @ rotation
    settled = partial(Simulation, problem=problem, spec=spec, rotation=rotation)
    match spec.estimator:
        case Pathwise():
            return settled(smooth=torch.relu)
        case Smoothed(kernel=kernel):
            ratio = stated_bias(spec.estimator)["width"]
            return settled(smooth=partial(ramp, kernel, width=ratio * float(sensitivity.norm())))
        case Conditional():
            column = conditional.integrated(spec.estimator, problem.process.assets)
            width = conditional.width(sensitivity, column)
            return settled(smooth=partial(ramp, "gaussian", width=width), integrated=column)
        case _:
            assert_never(spec.estimator)


def find_rotation(problem: PricingProblem, features: Tensor, draws: Draws, *, seed: int) -> Tensor:
    """Gradient PCA: principal axes of the payoff's pathwise gradients by the normals, one pilot path a sample.

    A scrambled Sobol set serves the pilot whatever the source of the paths. Shape: batch feature -> asset asset.
    """
    assets = problem.process.assets
    if draws.rotation == "none":
        return torch.eye(assets, dtype=torch.float64)
    points = uniforms("sobol", draws.pilot, assets, generator=stream("pilot", seed=seed))
    normals = torch.from_numpy(to_normals(points))[:, None, :].requires_grad_()
    rows = features[torch.arange(draws.pilot) % len(features), None, :]
    paths = cash(problem.payoff, simulate(problem.process, rows, normals, problem.maturity))
    (gradients,) = torch.autograd.grad(paths.sum(), normals)
    return torch.from_numpy(principal_axes(gradients[:, 0].numpy()))


def driving_gradient(problem: PricingProblem, features: Tensor) -> Tensor:
    """Derivative of the moneyness by the normals at their mean: its norm is the terminal standard deviation, currency.

    Shape: batch feature -> batch asset.
    """
    normals = torch.zeros_like(features)[:, None, :].requires_grad_()
    terminal = simulate(problem.process, features[:, None, :], normals, problem.maturity)
    (gradient,) = torch.autograd.grad(moneyness(problem.payoff, terminal).sum(), normals)
    return gradient[:, 0]


def expectation(simulation: Simulation, features: Tensor, normals: Tensor) -> Tensor:
    """D mean(p(m)) over the paths. Shape: features batch feature, normals 1-or-batch path asset -> batch."""
    problem = simulation.problem
    if simulation.integrated is not None:
        normals = conditional.without(normals, simulation.integrated)
    turned = normals @ simulation.rotation.T
    terminal = simulate(problem.process, features[:, None, :], turned, problem.maturity)
    return terminal.discount * simulation.smooth(moneyness(problem.payoff, terminal)).mean(dim=1)


def replicate(
    simulation: Simulation,
    samples: int,
    measure: Callable[[Expectation, slice], tuple[Tensor, ...]],
    *,
    index: int,
    seed: int,
) -> tuple[Tensor, ...]:
    """What ``measure`` makes of the expectation on one replicate's own paths, joined over the batches."""
    spec, assets = simulation.spec, simulation.problem.process.assets
    paths = path_sets(spec.draws, spec.paths, assets, generator=stream("paths", index, seed=seed))
    parts = []
    for rows in batches(samples, spec, assets):
        normals = torch.from_numpy(paths(rows.stop - rows.start))
        parts.append(measure(partial(expectation, simulation, normals=normals), rows))
    return tuple(torch.cat(column) for column in zip(*parts, strict=True))


def batches(samples: int, spec: LabelSpec, assets: int) -> Iterator[slice]:
    """Slices of samples whose tensors hold at most BATCH_NUMBERS numbers, or one sample."""
    numbers = spec.paths if spec.draws.sharing == "common" else spec.paths * assets
    size = max(1, BATCH_NUMBERS // numbers)
    return (slice(start, min(start + size, samples)) for start in range(0, samples, size))


def average(replicates: Tensor) -> Estimate:
    """Mean over the replicates and its standard error. Shape: replicate batch ... -> batch ..."""
    count = len(replicates)
    error = replicates.std(dim=0) / math.sqrt(count) if count > 1 else None
    return Estimate(value=replicates.mean(dim=0), standard_error=error)
