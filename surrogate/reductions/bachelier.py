"""Bachelier baskets: everything but the direction of the spots merges into the forward, the deviation and the discount.

With F_i = S_i e^(b_i T), b_i = r - q_i, and c such that w.c = 1,

    V = D s h(u),   u_i = (F_i - K c_i) / s,   s^2 = T scale^2 int_0^1 (w sigma e^(b T t))' rho (w sigma e^(b T t)) dt

where h is the same payoff at strike 0 and maturity 1 of a driftless basket of standard deviation 1 (of a digital,
V = D h). w.u = d, so outside |d| = 6 the payoff of the forward is all that is left.
"""

from __future__ import annotations

import math
from typing import assert_never

import torch
from msgspec.structs import replace

from pricing.domain import Box
from pricing.specs.european import Call, Digital, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from surrogate.reductions.expressions import (
    Expression,
    clamp,
    constant,
    exp,
    feature,
    indicator,
    magnitude,
    product,
    square_root,
    total,
)
from surrogate.reductions.reduction import (
    LEAST_DEVIATION,
    LEAST_TRAINED,
    Leaves,
    Reduction,
    as_feature,
    bounds,
    parameters,
)
from surrogate.reductions.schedule import integral
from surrogate.reductions.variance import NODES, correlated_squares, mean_over_time, repeat

# Weights that add up to less than this share of their sizes are those of a spread.
BALANCED = 1e-3


def reduce(problem: PricingProblem) -> Reduction | str:
    """The reduction, or why there is none."""
    process, payoff = problem.process, problem.payoff
    if not isinstance(process, Bachelier) or not isinstance(payoff, Call | Put | Digital):
        return "a Bachelier process scales for calls, puts and digitals alone"
    if len(problem.features) == 1:
        return "only the spots vary"
    if process.rate_pieces or (process.volatility_pieces and process.convention == "carry"):
        return "rates change at fixed times, or volatilities of levels that grow with them"
    at, weights = parameters(problem), torch.tensor(payoff.weights, dtype=torch.float64)
    drift = growth(at)
    largest = math.sqrt(float(bounds(variance(process, at, drift, weights), problem.box)[1].max()))
    canonical = canonical_process(process, weights)
    if largest == 0.0 or canonical is None:
        return "the basket does not move"
    s = deviation(process, at, drift, weights, least=LEAST_DEVIATION * largest)
    wide = deviation(process, at, drift, weights, least=LEAST_TRAINED * largest)
    forward = at["spot"] if drift is None else at["spot"] * exp(drift)
    ahead = forward - at["strike"] * constant(centre(weights))
    discount = constant(1.0) if drift is None else exp(-(at["rate"] * at["maturity"]))
    d, u = product(ahead, weights[:, None]) / s, ahead / s
    simple, scales = replace(payoff, strike=0.0), payoff.facts.degree == 1
    unit = "terminal standard deviations"
    spots = as_feature("spot", ahead / wide, problem.box, unit=unit)
    reduced = PricingProblem(process=canonical, payoff=simple, maturity=1.0, features=(spots,))
    return Reduction(
        kind="V = D s h((F - K c) / s)" if scales else "V = D h((F - K c) / s)",
        problem=problem,
        canonical=reduced,
        box=Box(features=(spots,)),
        amplitude=discount * s if scales else discount,
        inputs=u,
        arguments=u,
        local_amplitude=constant(1.0),
        local_inputs=feature(0, process.assets),
        distance=magnitude(d),
        asymptote=asymptote(simple, d),
    )


def asymptote(payoff: Call | Put | Digital, d: Expression) -> Expression:
    """What the canonical payoff is of the forward alone."""
    match payoff:
        case Call():
            return clamp(d, 0.0)
        case Put():
            return clamp(-d, 0.0)
        case Digital():
            return indicator(d if payoff.side == "call" else -d) * payoff.cash
        case _:
            assert_never(payoff)


def growth(at: Leaves) -> Expression | None:
    """b_i T; None in the forward convention. A single column where all assets have the same."""
    if "rate" not in at:
        return None
    dividends = at["dividend_yield"]
    if dividends.is_constant and bool((dividends.numbers == dividends.numbers[0, 0]).all()):
        dividends = constant(dividends.numbers[0, 0])
    return (at["rate"] - dividends) * at["maturity"]


def variance(process: Bachelier, at: Leaves, drift: Expression | None, weights: torch.Tensor) -> Expression:
    """The variance s^2. Shape: weights asset -> one column."""
    exposures = at["volatility"] * constant(weights)
    scale, pieces = at["volatility_scale"], process.volatility_pieces
    years = integral(scale * scale, pieces, at["maturity"]) if pieces else at["maturity"] * scale * scale
    if drift is None:
        return years * correlated_squares(process, at, exposures)
    if drift.width == 1:
        exponents, shares = mean_over_time(drift * 2.0)
        return years * correlated_squares(process, at, exposures) * total(exp(exponents) * shares)
    exponents, shares = mean_over_time(drift)
    grown = product(exposures, repeat(NODES, process.assets)) * exp(exponents)
    return years * total(correlated_squares(process, at, grown) * shares)


def deviation(
    process: Bachelier, at: Leaves, drift: Expression | None, weights: torch.Tensor, *, least: float
) -> Expression:
    """The terminal standard deviation, no less than ``least``. Shape: weights asset -> one column."""
    return square_root(clamp(variance(process, at, drift, weights), least * least))


def centre(weights: torch.Tensor) -> torch.Tensor:
    """Where c moves a strike of 1: to all assets alike, or along the weights where those add up to nothing.

    Shape: asset -> asset.
    """
    if abs(float(weights.sum())) > BALANCED * float(weights.abs().sum()):
        return torch.full_like(weights, 1.0 / float(weights.sum()))
    return weights / weights.dot(weights)


def canonical_process(process: Bachelier, weights: torch.Tensor) -> Bachelier | None:
    """The same assets without drift, in units of the standard deviation of the basket. Shape: weights asset."""
    sigma, rho = (torch.tensor(part, dtype=torch.float64) for part in (process.volatilities, process.correlation))
    s = math.sqrt(max(float((weights * sigma) @ rho @ (weights * sigma)), 0.0))
    if s == 0.0:
        return None
    volatilities = tuple((sigma / s).tolist())
    return Bachelier(volatilities=volatilities, correlation=process.correlation)
