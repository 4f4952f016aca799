"""The independent value of a problem, its gradient and its Hessian by every feature.

References share the meaning of the parameters with the simulation (`pricing.simulation.scenario`) and nothing else, but
for what nothing independent covers: that is simulated again, and its kind says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import assert_never

import numpy as np

from pricing.errors import NonFiniteLabels
from pricing.references import (
    autocall,
    bachelier,
    bermudan,
    black_scholes,
    differences,
    forward_start,
    fourier,
    heston_sums,
    kolmogorov,
    lognormal_sums,
    merton,
    pair,
    pde,
    pieces,
    quadrature,
    rainbow,
    replicates,
    resimulated,
)
from pricing.references.derivatives import ROWS, Derivatives, Order, differentiate
from pricing.references.methods import (
    Differentiated,
    Formula,
    Kind,
    Known,
    Method,
    Replicated,
    Resimulated,
    Solved,
    TwoSided,
)
from pricing.simulation.scenario import scenario
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.ito import ItoDiffusion
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, ForwardStart
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton
from pricing.types import Array


@dataclass(frozen=True, kw_only=True)
class Reference:
    """What is right, and how surely.

    Args:
        value: V, currency. Shape: batch.
        gradient: dV by every feature, in the Box's order. Shape: batch feature.
        hessian: d2V by every pair of features, meaningless where it is not known. Shape: batch feature feature.
        standard_error, gradient_error, hessian_error: of replicated Monte Carlo with what half the time steps or half
            the smoothing change; what the finer of two grids changes, and what differences may miss of gradient and
            Hessian; None where nothing of that is there. Shapes: as above.
        kind: how it was computed.
        relative_error: of value and gradient beyond the other errors.
        known: which part of the Hessian means something.
        gap: how far an upper bound lies above the value, where that is a lower bound; part of its error. Shape: batch.
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
    gap: Array | None = None


def reference(problem: PricingProblem, features: Array, *, order: Order = 2, seed: int = 0) -> Reference:
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
    errors: tuple[Array | None, Array | None, Array | None] = (None, None, None)
    gap = None
    match how:
        case Differentiated(formula=formula, rows=rows):
            means = differentiate(lambda x: formula(scenario(problem, x)), features, order=order, rows=rows)
        case Solved(grid=grid):
            means, errors = differences.solve(problem, grid, features, order=order)
        case Replicated():
            means, errors = replicates.replicated(problem, how, features, order=order, seed=seed)
        case TwoSided():
            means, errors, gap = bermudan.enclosed(problem, features, order=order, seed=seed)
        case Resimulated():
            means, errors = resimulated.reference(how, features, order=order, seed=seed)
        case _:
            assert_never(how)
    _require_finite(features, means)
    return Reference(
        value=means.value,
        gradient=means.gradient,
        hessian=means.hessian,
        standard_error=errors[0],
        gradient_error=errors[1],
        hessian_error=errors[2],
        kind=how.kind,
        relative_error=how.relative_error,
        known=how.known,
        gap=gap,
    )


def _require_finite(features: Array, means: Derivatives) -> None:
    """Raise NonFiniteLabels for the first sample with NaN or infinity."""
    for name, numbers in zip(("value", "gradient", "Hessian"), means, strict=True):
        finite = np.isfinite(numbers).reshape(len(numbers), -1).all(axis=1)
        if not finite.all():
            row = int(np.flatnonzero(~finite)[0])
            raise NonFiniteLabels(
                f"sample {row}: the reference's {name} is {numbers[row].tolist()} at features "
                f"{features[row].tolist()}; the features or the process are so large that it overflows"
            )


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


@lru_cache(maxsize=8)
def method(problem: PricingProblem) -> Method:
    """How the problem is referenced; by the package's own simulation again where nothing independent is.

    Of the last few problems it is kept, with what it has fitted.

    Raises:
        InvalidSpec: there is no reference for the problem.
    """
    process = problem.process
    match process:
        case Bachelier():
            return _bachelier(problem, process)
        case BlackScholes() if process.facts.pays_cash:
            return _cash_dividends(problem, process)
        case BlackScholes():
            return _black_scholes(problem, process)
        case Heston():
            return _heston(problem, process)
        case LocalVolatility():
            return _local_volatility(problem, process)
        case Merton():
            return _merton(problem, process)
        case ItoDiffusion():
            return _written(problem, process)
        case _:
            assert_never(process)


def _bachelier(problem: PricingProblem, process: Bachelier) -> Method:
    payoff, alone = problem.payoff, process.assets == 1
    match payoff:
        case Pieces():
            return pieces.method(problem, payoff, method)
        case Call() | Put() | Digital() | Asian():
            return _closed_form(partial(bachelier.linear, process, payoff))
        case ForwardStart():
            return _closed_form(partial(forward_start.basket, process, payoff))
        case Barrier(dates=()) if process.convention == "forward":
            return _closed_form(partial(bachelier.barrier, process, payoff))
        case Barrier(dates=(_, *_)) | Bermudan() if alone:
            return quadrature.method(problem, process, payoff)
        case WorstOf() | BestOf() | Barrier() | Autocall() | Bermudan():
            return resimulated.method(problem)
        case _:
            assert_never(payoff)


def _black_scholes(problem: PricingProblem, process: BlackScholes) -> Method:
    """Without dividends in cash."""
    payoff, assets = problem.payoff, process.assets
    match payoff:
        case Pieces():
            return pieces.method(problem, payoff, method)
        case Call() | Put() | Digital() if assets <= 2:
            formula = black_scholes.single if assets == 1 else black_scholes.pair
            return _closed_form(partial(formula, process, payoff), assets)
        case WorstOf() | BestOf() if assets <= 2:
            return _closed_form(partial(rainbow.ranked, process, payoff), assets)
        case WorstOf() | BestOf():
            return rainbow.method(process, payoff)
        case Asian(average="geometric") if assets == 1:
            return _closed_form(partial(black_scholes.geometric, process, payoff))
        case Asian(average="geometric"):
            return resimulated.method(problem)
        case Call() | Put() | Digital() | Asian():
            return lognormal_sums.method(problem, payoff)
        case ForwardStart() if assets == 1:
            return _closed_form(partial(forward_start.single, process, payoff))
        case ForwardStart():
            return resimulated.method(problem)
        case Barrier(dates=()):
            return _continuous_barrier(problem, process, payoff)
        case Autocall() | Bermudan() if assets > 1:
            return _several_dates(problem, process, payoff)
        case Barrier() | Autocall() | Bermudan():
            return quadrature.method(problem, process, payoff)
        case _:
            assert_never(payoff)


def _continuous_barrier(problem: PricingProblem, process: BlackScholes, payoff: Barrier) -> Method:
    if process.dividends:
        return resimulated.method(problem)
    if process.rate_pieces or process.volatility_pieces:
        return pde.method(problem, process, payoff)
    return _closed_form(partial(black_scholes.barrier, process, payoff))


def _several_dates(problem: PricingProblem, process: BlackScholes, payoff: Autocall | Bermudan) -> Method:
    """Of several assets."""
    match payoff:
        case Autocall():
            return autocall.method(process, payoff)
        case Bermudan():
            if payoff.assets == 2 and pair.supported(problem, process, payoff):
                return pair.method(problem, process, payoff)
            return bermudan.method(problem, payoff)
        case _:
            assert_never(payoff)


def _cash_dividends(problem: PricingProblem, process: BlackScholes) -> Method:
    payoff, alone = problem.payoff, process.assets == 1
    match payoff:
        case Pieces():
            return pieces.method(problem, payoff, method)
        case Call() | Put() | Digital() | Barrier(dates=(_, *_)) | Autocall() | Bermudan() if alone:
            return quadrature.method(problem, process, payoff)
        case Call() | Put() | Digital() | WorstOf() | BestOf() | Asian() | ForwardStart():
            return resimulated.method(problem)
        case Barrier() | Autocall() | Bermudan():
            return resimulated.method(problem)
        case _:
            assert_never(payoff)


def _heston(problem: PricingProblem, process: Heston) -> Method:
    payoff, alone = problem.payoff, process.assets == 1
    match payoff:
        case Pieces():
            return pieces.method(problem, payoff, method)
        case Call() | Put() | Digital() if alone:
            return fourier.method(process, payoff)
        case Call() | Put() | Digital() if heston_sums.supported(problem, process, payoff):
            return heston_sums.method(problem, payoff)
        case Call() | Put() | Digital() | WorstOf() | BestOf() | Asian() | ForwardStart():
            return resimulated.method(problem)
        case Barrier() | Autocall() | Bermudan():
            return resimulated.method(problem)
        case _:
            assert_never(payoff)


def _local_volatility(problem: PricingProblem, process: LocalVolatility) -> Method:
    payoff, alone = problem.payoff, process.assets == 1
    match payoff:
        case Pieces():
            return pieces.method(problem, payoff, method)
        case Call() | Put() | Digital() | Barrier(dates=()) if alone:
            return pde.method(problem, process, payoff)
        case Call() | Put() | Digital() | WorstOf() | BestOf() | Asian() | ForwardStart():
            return resimulated.method(problem)
        case Barrier() | Autocall() | Bermudan():
            return resimulated.method(problem)
        case _:
            assert_never(payoff)


def _merton(problem: PricingProblem, process: Merton) -> Method:
    payoff, alone = problem.payoff, process.assets == 1
    match payoff:
        case Pieces():
            return pieces.method(problem, payoff, method)
        case Call() | Put() | Digital() if alone:
            return _closed_form(partial(merton.series, process, payoff))
        case Call() | Put() | Digital() | WorstOf() | BestOf() | Asian() | ForwardStart():
            return resimulated.method(problem)
        case Barrier() | Autocall() | Bermudan():
            return resimulated.method(problem)
        case _:
            assert_never(payoff)


def _written(problem: PricingProblem, process: ItoDiffusion) -> Method:
    payoff, alone = problem.payoff, process.assets == 1
    match payoff:
        case Pieces():
            return pieces.method(problem, payoff, method)
        case Call() | Put() | Digital() if alone:
            return kolmogorov.method(problem, process, payoff) or resimulated.method(problem)
        case Call() | Put() | Digital() | WorstOf() | BestOf() | Asian() | ForwardStart():
            return resimulated.method(problem)
        case Barrier() | Autocall() | Bermudan():
            return resimulated.method(problem)
        case _:
            assert_never(payoff)


def _closed_form(formula: Formula, assets: int = 1) -> Differentiated:
    return Differentiated(kind="closed form", formula=formula, rows=ROWS, points=None, assets=assets)
