"""A piecewise linear payoff as the sum of its calls, put and digitals, each by its own reference.

V = D cash + sum of amount V_leg(knot),    D the discount factor
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import assert_never

import numpy as np
import torch
from msgspec.structs import replace as with_fields
from torch import Tensor

from pricing.references import resimulated
from pricing.references.differences import Grid, Refined
from pricing.references.methods import (
    Differentiated,
    Formula,
    Method,
    Replicated,
    Resimulated,
    Sampled,
    Solved,
    TwoSided,
)
from pricing.simulation.scenario import Scenario, discount, times
from pricing.specs.pieces import Leg, Pieces
from pricing.specs.problem import PricingProblem
from pricing.types import Array


def method(problem: PricingProblem, payoff: Pieces, of: Callable[[PricingProblem], Method]) -> Method:
    """How the sum is referenced: as all its legs are, which differ in their strikes alone.

    Args:
        of: how the problem of one leg is.
    """
    legs, methods = payoff.legs, [of(struck_problem(problem, leg)) for leg in payoff.legs]
    match methods[0]:
        case Differentiated() as one:
            formulas = [how.formula for how in methods if isinstance(how, Differentiated)]
            points = _shared(one.points, len(legs))
            return replace(one, formula=_formula(problem, payoff, formulas), points=points)
        case Solved() as one:
            grids = [how.grid for how in methods if isinstance(how, Solved)]
            return replace(one, grid=_grid(problem, payoff, grids), points=_shared(one.points, len(legs)))
        case Replicated() as one:
            sampled = [how.sampled for how in methods if isinstance(how, Replicated)]
            points = max(1, one.points // len(legs))
            return replace(one, sampled=_sampled(problem, payoff, sampled), points=points)
        case Resimulated() | TwoSided():
            return resimulated.method(problem)
        case _:
            assert_never(methods[0])


def struck_problem(problem: PricingProblem, leg: Leg) -> PricingProblem:
    """The problem of one leg: where knots vary its strike does, from the first to the last of them."""
    features = tuple(
        with_fields(feature, name="strike", lower=(min(feature.lower),), upper=(max(feature.upper),))
        if feature.name == "knot"
        else feature
        for feature in problem.features
    )
    return with_fields(problem, payoff=leg.option, features=features)


def struck(at: Scenario, leg: Leg) -> Scenario:
    """The scenario with the leg's knot as the strike."""
    return Scenario(parameters={**at.parameters, "strike": at["knot"][..., leg.knot : leg.knot + 1]})


def certain(problem: PricingProblem, payoff: Pieces, at: Scenario) -> Tensor:
    """D cash. Shape: -> batch-or-1."""
    return payoff.cash * discount(problem.process, at, times(problem, at))[:, 0, -1]


def _shared(points: int | None, legs: int) -> int | None:
    """The points that so many legs take the time of."""
    return None if points is None else max(1, points // legs)


def _formula(problem: PricingProblem, payoff: Pieces, formulas: Sequence[Formula]) -> Formula:
    def value(at: Scenario) -> Tensor:
        parts = [leg.amount * formula(struck(at, leg)) for leg, formula in zip(payoff.legs, formulas, strict=True)]
        return certain(problem, payoff, at) + torch.stack(parts).sum(dim=0)

    return value


def _sampled(problem: PricingProblem, payoff: Pieces, sampled: Sequence[Sampled]) -> Sampled:
    def value(at: Scenario, points: Tensor) -> Tensor:
        legs = zip(payoff.legs, sampled, strict=True)
        parts = [leg.amount * sample(struck(at, leg), points) for leg, sample in legs]
        return certain(problem, payoff, at) + torch.stack(parts).sum(dim=0)

    return value


def _grid(problem: PricingProblem, payoff: Pieces, grids: Sequence[Grid]) -> Grid:
    amounts = np.array([leg.amount for leg in payoff.legs])

    def summed(at: Scenario, parts: Sequence[Sequence[Array]]) -> tuple[Array, Array, Array]:
        value, delta, gamma = (np.tensordot(amounts, np.stack(part), axes=1) for part in zip(*parts, strict=True))
        return value + float(certain(problem, payoff, at)[0]), delta, gamma

    def solution(at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
        return summed(at, [grid(struck(at, leg), spots) for leg, grid in zip(payoff.legs, grids, strict=True)])

    refined = [grid for grid in grids if isinstance(grid, Refined)]

    def solutions(at: Scenario, spots: Array) -> tuple[Array, Array]:
        both = [grid.solutions(struck(at, leg), spots) for leg, grid in zip(payoff.legs, refined, strict=True)]
        coarse, fine = (np.stack(summed(at, [tuple(part) for part in parts])) for parts in zip(*both, strict=True))
        return coarse, fine

    return Refined(solutions) if len(refined) == len(grids) else solution
