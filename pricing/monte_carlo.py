"""Expectations by simulation, with their error from independent replicates.

V(x) = E[c(x, Q z)]: an estimator's contribution c turns the scenario of the features x and turned normals Q z into
discounted cash. Everything is differentiable in x.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from threading import Event

import torch
from torch import Tensor

from pricing.draws import path_sets, principal_axes, stream, to_normals, uniforms
from pricing.errors import OutOfDomain
from pricing.estimators.contribute import contribution
from pricing.estimators.contribution import Contribution
from pricing.simulation.rotation import Rotation, identity
from pricing.simulation.scenario import correlation, scenario
from pricing.specs.choice import require_estimator
from pricing.specs.labels import LabelSpec
from pricing.specs.memory import PART_NUMBERS, batch_numbers
from pricing.specs.problem import PricingProblem
from pricing.specs.refusals import require_differentiable
from pricing.specs.time_steps import gridded

# Numbers of what is not simulated that are worked on together: 2 MB.
BATCH_NUMBERS = 1 << 18
# Paths are not cut below a pair: antithetic draws come in pairs.
LEAST_PART = 2

Expectation = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """A mean over replicates and its standard error sd / sqrt(R), None with a single replicate. Shape: batch ..."""

    value: Tensor
    standard_error: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """A problem with all that is settled before its paths are drawn."""

    problem: PricingProblem
    spec: LabelSpec
    contribution: Contribution
    rotation: Rotation

    @property
    def parts(self) -> list[range]:
        """The paths in parts of a power of two, each of which fits the memory."""
        size, numbers = self.spec.paths, self.problem.process.facts.tensors * self.contribution.numbers
        while size > LEAST_PART and size * numbers > PART_NUMBERS:
            size //= 2
        return [range(start, start + size) for start in range(0, self.spec.paths, size)]


def value(problem: PricingProblem, features: Tensor, spec: LabelSpec, *, seed: int) -> Estimate:
    """Values at the features. Shape: batch feature -> batch.

    Raises:
        InvalidSpec: features of another width than the problem's, or an estimator that does not fit it.
        OutOfDomain: features that are not finite, or correlations that no matrix has.
    """
    simulation = prepare(problem, features, spec, seed=seed)

    def measure(expectation: Expectation, rows: slice) -> tuple[Tensor]:
        return (expectation(features[rows]),)

    with torch.no_grad():
        runs = (replicate(simulation, len(features), measure, index=r, seed=seed) for r in range(spec.replicates))
        return average(runs)[0]


def prepare(problem: PricingProblem, features: Tensor, spec: LabelSpec, *, seed: int) -> Simulation:
    """Settle time steps and estimator and find the rotation on the pilot's paths. Shape: features batch feature."""
    problem.box.require_shape(tuple(features.shape))
    finite = torch.isfinite(features).all(dim=1)
    if not finite.all():
        row = int((~finite).nonzero()[0])
        raise OutOfDomain(f"sample {row}: features must be finite, got {features[row].tolist()}")
    require_correlation(problem, features)
    require_estimator(problem, spec.estimator)
    require_differentiable(problem, spec.estimator, order=spec.order)
    problem = gridded(problem)
    settled = contribution(problem, spec.estimator, seed=seed)
    rotation = find_rotation(problem, features, settled, spec, seed=seed)
    return Simulation(problem=problem, spec=spec, contribution=settled, rotation=rotation)


def require_correlation(problem: PricingProblem, features: Tensor) -> None:
    """Raise OutOfDomain where the features make a correlation matrix that is not positive definite.

    Shape: features batch feature.
    """
    for rows in batches(len(features), problem.process.assets**2):
        failed = torch.linalg.cholesky_ex(correlation(problem.process, scenario(problem, features[rows]))).info != 0
        if failed.any():
            row = rows.start + int(failed.nonzero()[0])
            raise OutOfDomain(
                f"sample {row}: the correlation matrix must be positive definite, got features "
                f"{features[row].tolist()}; keep 'correlation' or 'loading' off the ends of their range"
            )


def find_rotation(
    problem: PricingProblem, features: Tensor, settled: Contribution, spec: LabelSpec, *, seed: int
) -> Rotation:
    """Gradient PCA, block by block: principal axes of the pilot's gradients by the normals, one path a sample.

    A scrambled Sobol set serves the pilot whatever the source of the paths.

    Shape: features batch feature.

    References: Imai & Tan (2006), whose linear transformation it finds for a Bachelier basket; Xiao & Wang (2018).
    """
    if spec.draws.rotation == "none":
        return identity(settled.blocks)
    points = uniforms("sobol", spec.draws.pilot, settled.dimension, generator=stream("pilot", seed=seed))
    normals = torch.from_numpy(to_normals(points))[:, None, :].requires_grad_()
    rows = features[torch.arange(spec.draws.pilot) % len(features)]
    paths = settled.pilot(scenario(problem, rows), normals)
    (gradients,) = torch.autograd.grad(paths.sum(), normals)
    by_block = torch.split(gradients[:, 0], list(settled.blocks), dim=-1)
    return Rotation(matrices=tuple(torch.from_numpy(principal_axes(block.numpy())) for block in by_block))


def expectation(simulation: Simulation, features: Tensor, normals: Tensor) -> Tensor:
    """Mean contribution over the paths. Shape: features batch feature, normals 1-or-batch path dimension -> batch."""
    at = scenario(simulation.problem, features)
    return simulation.contribution.value(at, normals, simulation.rotation).mean(dim=1)


def replicate(
    simulation: Simulation,
    samples: int,
    measure: Callable[[Expectation, slice], tuple[Tensor, ...]],
    *,
    index: int,
    seed: int,
) -> tuple[Tensor, ...]:
    """What ``measure`` makes of the expectation on one replicate's own paths, joined over the batches.

    ``measure`` is linear in the expectation, so that it is averaged over the parts that the paths are cut into.

    Shape: -> each batch ...
    """
    spec, parts, means = simulation.spec, simulation.parts, list[Tensor]()
    most = batch_numbers(simulation.problem.process.facts, spec.order)
    for part in parts:
        generator = stream("paths", index, seed=seed)
        paths = path_sets(spec.draws, spec.paths, simulation.contribution.dimension, generator=generator, part=part)
        for rows in batches(samples, len(part) * simulation.contribution.numbers, most=most):
            normals = torch.from_numpy(paths(rows.stop - rows.start))
            measured = measure(partial(expectation, simulation, normals=normals), rows)
            means = means or [label.new_zeros(samples, *label.shape[1:]) for label in measured]
            for mean, label in zip(means, measured, strict=True):
                mean[rows] += label / len(parts)
    return tuple(means)


def each_replicate(
    run: Callable[[int], tuple[Tensor, ...]], count: int, *, threads: int, ended: Event
) -> Iterator[tuple[Tensor, ...]]:
    """What ``run`` makes of every replicate, in their order, so many at a time; torch uses one thread in each.

    Args:
        ended: is set where nobody waits for the others any more.

    Shape: -> each batch ...
    """
    before = torch.get_num_threads()
    try:
        if min(threads, count) == 1:
            torch.set_num_threads(1)
            yield from map(run, range(count))
            return
        with ThreadPoolExecutor(min(threads, count), initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                yield from pool.map(run, range(count))
            finally:
                ended.set()
    finally:
        torch.set_num_threads(before)


def batches(samples: int, numbers: int, *, most: int | None = None) -> Iterator[slice]:
    """Slices of samples whose tensors hold at most so many numbers, `BATCH_NUMBERS` by default, or one sample."""
    size = max(1, (most or BATCH_NUMBERS) // numbers)
    return (slice(start, min(start + size, samples)) for start in range(0, samples, size))


def average(replicates: Iterable[tuple[Tensor, ...]]) -> list[Estimate]:
    """Mean over the replicates and its standard error, label by label; one replicate at a time is in memory.

    m_k = m_(k-1) + (x_k - m_(k-1)) / k,   q_k = q_(k-1) + (x_k - m_(k-1)) (x_k - m_k),   error^2 = q_R / (R (R - 1))

    Shape: labels ``batch ...``, the same in every replicate.

    References: Welford (1962).
    """
    count, means, squares = 0, list[Tensor](), list[Tensor]()
    for count, labels in enumerate(replicates, start=1):
        means = means or [torch.zeros_like(label) for label in labels]
        squares = squares or [torch.zeros_like(label) for label in labels]
        for mean, square, label in zip(means, squares, labels, strict=True):
            before = label - mean
            mean += before / count
            square += before * (label - mean)
    if count == 1:
        return [Estimate(value=mean, standard_error=None) for mean in means]
    errors = [(square / (count * (count - 1))).sqrt() for square in squares]
    return [Estimate(value=mean, standard_error=error) for mean, error in zip(means, errors, strict=True)]
