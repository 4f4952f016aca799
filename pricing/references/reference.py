"""The independent value of a problem, its gradient and its Hessian by every feature.

References share the meaning of the parameters with the simulation (`pricing.simulation.scenario`) and nothing else, but
for what nothing independent covers: that is simulated again, and its kind says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from pricing.errors import NonFiniteLabels
from pricing.references import (
    autocall,
    bachelier,
    bermudan,
    black_scholes,
    differences,
    fourier,
    pair,
    pde,
    quadrature,
    rainbow,
    replicates,
    resimulated,
)
from pricing.simulation.scenario import Scenario, scenario
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility
from pricing.types import Array

Kind = Literal["closed form", "fourier", "quadrature", "pde", "plane quadrature", "replicates"] | resimulated.Kind
# Of which pairs of features second derivatives are known.
Known = Literal["all", "spots", "nothing"]
Parts = tuple[Array, Array, Array]
# Value at a scenario; replicates also take their uniforms.
Formula = Callable[[PricingProblem, Scenario], Tensor]
Sampled = Callable[[PricingProblem, Scenario, Tensor], Tensor]

# Errors of value and gradient relative to the forward, that the tests hold the deterministic kinds to.
RELATIVE_ERRORS: dict[Kind, float] = {
    "closed form": 1e-12,
    "fourier": 1e-9,
    "quadrature": 1e-8,
    "pde": 1e-6,
    "plane quadrature": 1e-4,
}
# What takes about a minute on one thread: Fourier sums, solutions on a grid, inductions that are differentiated whole,
# rows of replicated Monte Carlo, of that with dates and many paths, and of that again with more features than spots.
SUMS, SOLUTIONS, INDUCTIONS, REPLICATED, DATED, VARIED = 1 << 12, 320, 1 << 7, 1 << 8, 1 << 6, 1 << 4
# Assets up to which ranked payoffs take no longer than others.
RANKED = 3
# Samples of one differentiated block: some tens of MB at a thousand nodes a sample.
ROWS = 64
# Samples times paths times normals of a replicate's block: 100 MB or so with what differentiation keeps; at least so
# many rows, which share their draws.
BLOCK, LEAST_ROWS = 1 << 18, 4


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What is right, and how surely.

    Args:
        value: V, currency. Shape: batch.
        gradient: dV by every feature, in the Box's order. Shape: batch feature.
        hessian: d2V by every pair of features, meaningless where it is not known. Shape: batch feature feature.
        standard_error, gradient_error, hessian_error: standard errors of replicated Monte Carlo, and what differences
            may miss of gradient and Hessian; None where nothing is simulated or differenced. Shapes: as above.
        kind: how it was computed.
        relative_error: of value and gradient beyond the other errors.
        known: which part of the Hessian means something.
    """

    value: Array
    gradient: Array
    hessian: Array
    standard_error: Array | None
    gradient_error: Array | None
    hessian_error: Array | None
    kind: Kind
    relative_error: float
    known: Known = "all"


@dataclass(frozen=True, kw_only=True)
class Method:
    """How a problem is referenced.

    Args:
        formula: value at a scenario of the deterministic kinds.
        grid: value, delta and gamma at many spots for one set of the other parameters.
        sampled, dimension, paths: value given uniforms of that many coordinates and paths.
        rows: samples that are differentiated at once.
        points: how many take about a minute on one thread; None where any number does that is ever asked for.
        resimulated: by `pricing.references.resimulated` instead.
        relative_error: of value and gradient beyond the standard errors, measured.
        known: which part of the Hessian it computes.
    """

    kind: Kind
    formula: Formula | None = None
    grid: differences.Grid | None = None
    sampled: Sampled | None = None
    dimension: int = 0
    paths: int = replicates.PATHS
    rows: int = ROWS
    points: int | None = None
    resimulated: bool = False
    relative_error: float = 0.0
    known: Known = "all"


def method(problem: PricingProblem) -> Method:
    """How the problem is referenced.

    Raises:
        InvalidSpec: there is no reference for the problem.
    """
    process, one = problem.process, problem.process.assets == 1
    found: Method | None = None
    match process, problem.payoff:
        case BlackScholes(dividends=(_, *_)), Barrier(dates=()):
            pass
        case BlackScholes(), Call() | Put() | Digital() | Barrier() | Autocall() | Bermudan() if (
            one and process.facts.pays_cash
        ):
            found = _quadrature(problem)
        case BlackScholes(), _ if not process.facts.pays_cash:
            found = _black_scholes(problem)
        case Bachelier(), Call() | Put() | Digital() | Asian():
            found = Method(kind="closed form", formula=bachelier.linear)
        case Bachelier(convention="forward"), Barrier(dates=()):
            found = Method(kind="closed form", formula=bachelier.barrier)
        case Bachelier(), Barrier(dates=(_, *_)) | Bermudan() if one:
            found = _quadrature(problem)
        case LocalVolatility(), Call() | Put() | Digital() | Barrier(dates=()) if one:
            found = _pde(problem)
        case Heston(), Call() | Put() | Digital() if one:
            found = Method(kind="fourier", formula=fourier.vanilla, points=SUMS)
    if found is not None:
        return found
    how = resimulated.plan(problem)
    return Method(
        kind=how.kind,
        resimulated=True,
        points=resimulated.points(problem),
        relative_error=bermudan.RULE_ERROR if isinstance(problem.payoff, Bermudan) else 0.0,
        known="nothing" if how.second is None else "all",
    )


def _black_scholes(problem: PricingProblem) -> Method | None:
    """Black-Scholes assets without dividends in cash; None where there is no reference."""
    process, assets = problem.process, problem.process.assets
    match problem.payoff:
        case Call() | Put() | Digital() if assets <= 2:
            return Method(kind="closed form", formula=black_scholes.single if assets == 1 else black_scholes.pair)
        case WorstOf() | BestOf() if assets <= 2:
            return Method(kind="closed form", formula=rainbow.ranked)
        case WorstOf() | BestOf():
            points = REPLICATED * RANKED**2 // assets**2
            return Method(kind="replicates", sampled=rainbow.ranked, dimension=assets - 1, points=max(points, VARIED))
        case Asian(average="geometric"):
            return Method(kind="closed form", formula=black_scholes.geometric) if assets == 1 else None
        case Call() | Put() | Digital() | Asian():
            dimension = replicates.dimension(problem)
            return Method(
                kind="replicates",
                sampled=replicates.exponential_sum,
                dimension=dimension,
                paths=replicates.paths(dimension),
                points=REPLICATED,
            )
        case Barrier(dates=()):
            if process.rate_pieces or process.volatility_pieces:
                return _pde(problem)
            return Method(kind="closed form", formula=black_scholes.barrier)
        case Barrier() | Autocall() | Bermudan() if assets == 1:
            return _quadrature(problem)
        case Autocall() as note if autocall.supported(problem):
            return Method(
                kind="replicates",
                sampled=autocall.value,
                dimension=assets * len(note.dates),
                paths=autocall.PATHS,
                points=DATED if len(problem.features) == 1 else VARIED,
            )
        case Bermudan() if assets == 2 and pair.supported(problem):
            return Method(kind="plane quadrature", grid=pair.greeks, points=_solved(problem))
        case Bermudan(dates=days):
            return Method(
                kind="replicates",
                sampled=bermudan.Policy(problem),
                dimension=assets * len(days),
                paths=bermudan.PATHS,
                points=DATED,
                relative_error=bermudan.RULE_ERROR,
                known="all" if len(problem.features) == 1 else "spots",
            )
        case _:
            return None


def _quadrature(problem: PricingProblem) -> Method:
    """Differentiated whole where that takes little memory, one row at a time if rows have grids of their own."""
    if len(problem.payoff.facts.dates) + len(problem.process.facts.dividends) > quadrature.DIFFERENTIATED_DATES:
        return Method(kind="quadrature", grid=quadrature.greeks, points=_solved(problem))
    alike = len(problem.features) == 1
    return Method(
        kind="quadrature", formula=quadrature.value, rows=ROWS if alike else 1, points=None if alike else INDUCTIONS
    )


def _pde(problem: PricingProblem) -> Method:
    return Method(kind="pde", grid=pde.greeks, points=_solved(problem))


def _solved(problem: PricingProblem) -> int | None:
    """Rows of which SOLUTIONS serve the differences by all features but spots; one serves all spots."""
    others = problem.box.dimension - problem.process.assets
    return max(1, SOLUTIONS // (1 + differences.solutions(others))) if others else None


def affordable(problem: PricingProblem) -> int | None:
    """How many points are referenced in about a minute on one thread; None where there is no need to ask.

    Raises:
        InvalidSpec: there is no reference for the problem.
    """
    return method(problem).points


def kind(problem: PricingProblem) -> Kind:
    """How the problem is referenced.

    Raises:
        InvalidSpec: there is no reference for the problem.
    """
    return method(problem).kind


def reference(problem: PricingProblem, features: Array, *, order: Literal[0, 1, 2] = 2, seed: int = 0) -> Reference:
    """Value, gradient and Hessian at the features, zeros beyond ``order`` and where nothing of the Hessian is known.

    Args:
        features: raw units, in the Box's order. Shape: batch feature.
        seed: of replicated Monte Carlo.

    Raises:
        InvalidSpec: there is no reference for the problem, or features of another width.
        NonFiniteLabels: the reference is NaN or infinite, naming the sample.
    """
    problem.box.require_shape(features.shape)
    how = method(problem)
    errors: tuple[Array | None, ...] = (None, None, None)
    if how.resimulated:
        means, errors = resimulated.reference(problem, features, order=order, seed=seed)
    elif how.sampled is not None:
        means, errors = _replicated(problem, how, features, order=order, seed=seed)
    elif how.grid is not None:
        means, missed = differences.differentiate(problem, how.grid, features, order=order)
        errors = (None, *missed)
    else:
        assert how.formula is not None
        value = how.formula
        means = differentiate(lambda x: value(problem, scenario(problem, x)), features, order=order, rows=how.rows)
    _require_finite(features, means)
    return Reference(
        value=means[0],
        gradient=means[1],
        hessian=means[2],
        standard_error=errors[0],
        gradient_error=errors[1],
        hessian_error=errors[2],
        kind=how.kind,
        relative_error=RELATIVE_ERRORS.get(how.kind, how.relative_error),
        known=how.known,
    )


def _require_finite(features: Array, means: Parts) -> None:
    """Raise NonFiniteLabels for the first sample with NaN or infinity."""
    for name, part in zip(("value", "gradient", "Hessian"), means, strict=True):
        finite = np.isfinite(part).reshape(len(part), -1).all(axis=1)
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            raise NonFiniteLabels(
                f"sample {row}: the reference's {name} is {part[row].tolist()} at features {features[row].tolist()}; "
                "the features or the process are so large that it overflows"
            )


def _replicated(problem: PricingProblem, how: Method, features: Array, *, order: int, seed: int) -> tuple[Parts, Parts]:
    """Means over the replicates and their standard errors."""
    assert how.sampled is not None
    sampled = how.sampled
    rows = max(LEAST_ROWS, BLOCK // (how.paths * (how.dimension + 1)))
    results = []
    for replicate in range(replicates.REPLICATES):
        points = replicates.uniforms(how.paths, how.dimension, seed=seed, replicate=replicate)
        value = partial(_at, problem, sampled, points)
        results.append(differentiate(value, features, order=order, rows=rows))
    means, errors = [], []
    for parts in zip(*results, strict=True):
        stacked = np.stack(parts)
        means.append(stacked.mean(axis=0))
        errors.append(stacked.std(axis=0, ddof=1) / np.sqrt(len(stacked)))
    return (means[0], means[1], means[2]), (errors[0], errors[1], errors[2])


def _at(problem: PricingProblem, sampled: Sampled, points: Tensor, features: Tensor) -> Tensor:
    return sampled(problem, scenario(problem, features), points)


def differentiate(
    value: Callable[[Tensor], Tensor], features: Array, *, order: int, rows: int = ROWS
) -> tuple[Array, Array, Array]:
    """A batched function with its gradient and Hessian by automatic differentiation, so many rows at once.

    Shape: features batch feature -> batch; batch feature; batch feature feature.
    """
    blocks = [_block(value, features[start : start + rows], order) for start in range(0, len(features), rows)]
    first, second, third = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return first, second, third


def _block(value: Callable[[Tensor], Tensor], features: Array, order: int) -> tuple[Array, Array, Array]:
    x = torch.tensor(features, dtype=torch.float64, requires_grad=order > 0)
    y = value(x).expand(len(x))
    gradient, hessian = torch.zeros_like(x), x.new_zeros(*x.shape, x.shape[1])
    if order > 0:
        (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=order > 1)
    if order > 1:
        columns = gradient.sum(dim=0).unbind()
        rows = [torch.autograd.grad(column, x, retain_graph=True)[0] for column in columns]
        hessian = torch.stack(rows, dim=1)
    return y.detach().numpy(), gradient.detach().numpy(), hessian.detach().numpy()
