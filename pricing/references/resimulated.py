"""What nothing independent covers: the package's own simulation, told apart from the labels in all but the processes.

Kinks are taken as they are for value and gradient and smoothed for the Hessian; streams are others than those of
labels, points keep the Cholesky order, and grids have twice the steps. What half the steps change on the same paths,
and half the smoothing width, is part of the errors, as it is: an error of first order in them is no larger than that.
Where there is one estimator only, a bridge or early exercise, it stays, and the errors do not say what its bridges
miss. Of an exercise rule they count in how far one of the next lower degree is off on the same paths; what both miss,
because they see levels alone, stays a share that is claimed.

References: Glasserman, Monte Carlo Methods in Financial Engineering (2003), 7.2 for pathwise derivatives.
"""

from __future__ import annotations

import math
from dataclasses import replace as replaced

import numpy as np
import torch
from msgspec.structs import replace

from pricing.draws import stream
from pricing.estimators.coarser import coarser, doubled
from pricing.estimators.contribute import contribution
from pricing.labels import derivatives
from pricing.monte_carlo import Expectation, Simulation, prepare
from pricing.monte_carlo import replicate as simulated
from pricing.references.derivatives import Derivatives, Order
from pricing.references.methods import Resimulated, ResimulatedKind
from pricing.simulation.rotation import identity
from pricing.simulation.smoothing import stated_bias, width_ratio
from pricing.specs.dividends import kinked
from pricing.specs.draws import Draws
from pricing.specs.estimator import Bridge, Estimator, Frozen, Pathwise, Smoothed
from pricing.specs.labels import LabelSpec
from pricing.specs.parameters import PARAMETERS
from pricing.specs.problem import PricingProblem
from pricing.types import Array

# Relative bias of a gamma at the money that smoothing may have: less than the noise of the paths below.
SMOOTHED = Smoothed(gamma_bias=1e-3)
# Steps of a bridge for processes without a grid of their own, doubled; an exercise rule that sees more than that of the
# labels: what it misses is part of the error.
BRIDGE, FROZEN = Bridge(steps=16), Frozen(paths=1 << 16, degree=6)
# What rules of levels alone miss of value and gradient, of the largest, beyond that: a claim, from two Black-Scholes
# assets against quadrature. Nothing measures it where variances are random.
RULE_ERROR = 7e-3
# On several assets a higher degree has more noise at its boundary than it has bias less; and no more terms than this.
MOST_DEGREE, TERMS = 4, 256
SEVERAL = Frozen(paths=1 << 17, degree=MOST_DEGREE)
# Replicates, and those of them on which steps and widths are halved.
REPLICATES, COMPARED = 16, 4
# Points that take about a minute on one thread, twice as long under local volatility and where a barrier is bridged
# under Heston, and numbers of a path by passes that each of them may take for that.
POINTS, BUDGET = 64, 1 << 25
# Paths of one replicate, whatever they cost; a path is taken to cost at least so many numbers.
LEAST_PATHS, MOST_PATHS, LEAST_NUMBERS = 1 << 7, 1 << 13, 4
# Times the work where every sample has noise of its own: 10 with parameters of Heston as features, 25 in local
# volatility, measured.
OWN = 24


def method(problem: PricingProblem) -> Resimulated:
    """How the problem is resimulated.

    Raises:
        InvalidSpec: a barrier no bridge crosses.
    """
    payoff = problem.payoff.facts
    first: Estimator = SMOOTHED if payoff.jumps else Pathwise()
    if payoff.decided == "always":
        first = BRIDGE
        contribution(problem, first, seed=0)
    elif payoff.decided == "holder":
        first = FROZEN if problem.payoff.assets == 1 else replace(SEVERAL, degree=_degree(problem))
    own: ResimulatedKind = "resimulated (same simulator and estimator, other seed and steps)"
    other: ResimulatedKind = "resimulated (same simulator, other estimator, seed and steps)"
    alone = isinstance(first, Bridge | Frozen)
    second: Estimator | None = first if alone else SMOOTHED
    if bridged(problem) or kinked(problem):
        second = None  # `pricing.specs.refusals.require_differentiable` says why
    finer, first = doubled(problem, first)
    return Resimulated(
        kind=own if alone else other,
        problem=finer,
        first=first,
        second=first if alone and second is not None else second,
        points=POINTS // 2 if problem.process.facts.level_noise or bridged(problem) else POINTS,
        relative_error=RULE_ERROR if payoff.decided == "holder" else 0.0,
    )


def _degree(problem: PricingProblem) -> int:
    """The highest degree of a rule, up to that of `SEVERAL`, that has at most `TERMS` terms; 1 at least."""
    inputs = problem.box.dimension + 1  # the payoff's event is one
    fits = [degree for degree in range(2, MOST_DEGREE + 1) if math.comb(inputs + degree, degree) <= TERMS]
    return max(fits, default=1)


def bridged(problem: PricingProblem) -> bool:
    """Whether a barrier is watched between the steps of a stochastic variance."""
    return problem.process.facts.bridge == "own steps" and problem.payoff.facts.decided == "always"


def reference(how: Resimulated, features: Array, *, order: Order, seed: int) -> tuple[Derivatives, Derivatives]:
    """Value, gradient and Hessian with their errors, zeros beyond the order and of a Hessian that nothing estimates.

    Errors are roots of the sum of squares: the standard error, what half the steps and half the width change, and of
    what is smoothed the stated bias, as that share of the largest entry over the samples.

    Shape: features batch feature.
    """
    second = how.second or how.first
    order = order if how.second is not None else min(order, 1)
    own = int(stream("reference", seed=seed).integers(1 << 62))
    if how.first == second or order < 2:
        parts = _estimated(how.problem, how.first, features, order=order, seed=own)
    else:
        low = _estimated(how.problem, how.first, features, order=1, seed=own)
        parts = [*low[:2], _estimated(how.problem, second, features, order=2, seed=own)[2]]
    samples, dimension = features.shape
    shapes = (samples,), (samples, dimension), (samples, dimension, dimension)
    parts += [(np.zeros(shape), np.zeros(shape)) for shape in shapes[len(parts) :]]
    means, errors = zip(*parts, strict=True)
    return Derivatives(*means), Derivatives(*errors)


def _estimated(
    problem: PricingProblem, estimator: Estimator, features: Array, *, order: Order, seed: int
) -> list[tuple[Array, Array]]:
    """Value, gradient and Hessian up to the order with their errors. Shape: -> batch ..., twice each."""
    x = torch.from_numpy(np.ascontiguousarray(features))
    simulation = prepare(problem, x, _spec(problem, estimator, order=order), seed=seed)
    runs = _runs(simulation, x, REPLICATES, order=order, seed=seed)
    bias = abs(stated_bias(estimator)["relative_gamma"])
    means = [run.mean(axis=0) for run in runs]
    squares = [
        run.var(axis=0, ddof=1) / REPLICATES + (bias * np.abs(mean).max(axis=0)) ** 2
        for run, mean in zip(runs, means, strict=True)
    ]
    for other in _halves(simulation, seed=seed):
        changed = _runs(other, x, COMPARED, order=order, seed=seed)
        for square, run, half in zip(squares, runs, changed, strict=True):
            square += (run[:COMPARED] - half).mean(axis=0) ** 2
    errors = [np.sqrt(square) for square in squares]
    if isinstance(estimator, Frozen):
        lower = replace(estimator, degree=max((estimator.given_degree or 1) - 1, 1))
        simulation = prepare(problem, x, _spec(problem, lower, order=order), seed=seed)
        others = _runs(simulation, x, REPLICATES, order=order, seed=seed)
        off = [np.abs(other.mean(axis=0) - mean).max(axis=0) for other, mean in zip(others, means, strict=True)]
        errors = [error + o for error, o in zip(errors, off, strict=True)]
    return list(zip(means, errors, strict=True))


def _halves(simulation: Simulation, *, seed: int) -> list[Simulation]:
    """The same paths on half the time steps, and with half the smoothing width, where there are such."""
    problem, estimator, others = simulation.problem, simulation.spec.estimator, list[Simulation]()
    if (coarse := coarser(problem, estimator, seed=seed)) is not None:
        others.append(replaced(simulation, contribution=coarse, rotation=identity(coarse.blocks)))
    if isinstance(estimator, Smoothed):
        width = estimator.width or width_ratio(estimator.kernel, estimator.gamma_bias)
        narrow = contribution(problem, replace(estimator, width=0.5 * width), seed=seed)
        others.append(replaced(simulation, contribution=narrow))
    return others


def paths(problem: PricingProblem, estimator: Estimator, *, order: int) -> int:
    """Paths of one replicate, a power of two, so that POINTS of them take about a minute."""
    settled = contribution(problem, estimator, seed=0) if not isinstance(estimator, Frozen) else None
    numbers = LEAST_NUMBERS if settled is None else max(settled.numbers, settled.dimension, LEAST_NUMBERS)
    passes = 2 + (problem.box.dimension if order == 2 else 0)
    varying = any(PARAMETERS[feature.name].noise != "none" for feature in problem.features)
    own = varying or problem.process.facts.level_noise
    most = BUDGET // (REPLICATES * numbers * passes * (OWN if own else 1))
    return int(2 ** np.clip(np.floor(np.log2(max(most, 1))), *np.log2([LEAST_PATHS, MOST_PATHS])))


def _spec(problem: PricingProblem, estimator: Estimator, *, order: Order) -> LabelSpec:
    return LabelSpec(
        paths=paths(problem, estimator, order=order),
        replicates=REPLICATES,
        draws=Draws(rotation="none"),
        estimator=estimator,
        order=order,
    )


def _runs(simulation: Simulation, x: torch.Tensor, replicates: int, *, order: Order, seed: int) -> list[Array]:
    """Value, gradient and Hessian up to the order on every replicate. Shape: -> each replicate batch ..."""
    units = torch.eye(x.shape[1], dtype=torch.float64).expand(len(x), -1, -1) if order == 2 else None

    def measure(expectation: Expectation, rows: slice) -> tuple[torch.Tensor, ...]:
        return derivatives(expectation, x[rows], order=order, directions=None if units is None else units[rows])

    runs = [simulated(simulation, len(x), measure, index=index, seed=seed) for index in range(replicates)]
    return [torch.stack(column).numpy() for column in zip(*runs, strict=True)]
