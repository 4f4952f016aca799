"""One driving normal integrated exactly: conditional Monte Carlo, unbiased and smooth to all orders.

References: PRICING_MATH 5; Glasserman (2003), 7.2.3.
"""

from __future__ import annotations

from functools import partial
from typing import assert_never

import torch
from torch import Tensor

from pricing.elementary import gaussian_ramp, gaussian_step
from pricing.errors import InvalidSpec
from pricing.estimators import envelope, exponentials, forward_start
from pricing.estimators.contribution import Contribution
from pricing.estimators.direct import pilot
from pricing.estimators.exponentials import Exponentials
from pricing.estimators.open_normal import Line, paths_along
from pricing.estimators.opening import opening
from pricing.processes.simulate import blocks
from pricing.simulation.fixings import past_factor, strike_left, summands
from pricing.simulation.rotation import Rotation
from pricing.simulation.scenario import Scenario, times
from pricing.specs.choice import require_estimator
from pricing.specs.estimator import Conditional
from pricing.specs.european import BestOf, Call, Digital, Put, Side, WorstOf
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, ForwardStart, Payoff
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem

# What one strike decides.
StruckPayoff = Call | Put | Digital | WorstOf | BestOf | ForwardStart


def contribution(problem: PricingProblem, estimator: Conditional) -> Contribution:
    """The expectation over one normal, given the others.

    Raises:
        InvalidSpec: a payoff that no formula integrates.
    """
    require_estimator(problem, estimator)
    sizes = blocks(problem.process, len(problem.payoff.facts.dates))
    return Contribution(
        value=partial(integrated, problem, estimator),
        pilot=partial(pilot, problem),
        blocks=sizes,
        numbers=4 * sum(sizes) * formulas(problem.payoff),
    )


def formulas(payoff: Payoff) -> int:
    """How many formulas of the open normal a path takes."""
    match payoff:
        case Pieces(legs=legs):
            return len(legs)
        case _:
            return 1


def integrated(
    problem: PricingProblem, estimator: Conditional, at: Scenario, normals: Tensor, rotation: Rotation
) -> Tensor:
    """E[D cash | the other normals]. Shape: normals 1-or-batch path dimension -> batch path."""
    direction = opening(problem, estimator, at, rotation)
    paths = paths_along(problem.process, at, rotation(normals), times(problem, at), direction=direction)
    return paths.discount[..., -1] * expected(problem, paths, at)


def expected(problem: PricingProblem, line: Line, at: Scenario) -> Tensor:
    """E[cash] over the open normal, undiscounted. Shape: -> batch path."""
    payoff = problem.payoff
    match payoff:
        case Pieces():
            return pieces(payoff, line, at)
        case Barrier() | Autocall() | Bermudan():
            raise InvalidSpec("estimator: 'conditional' does not integrate this payoff", path="estimator")
        case Asian():
            return asian(payoff, line, at)
        case Call() | Put() | Digital() | WorstOf() | BestOf() | ForwardStart():
            return struck(payoff, line, at.scalar("strike"))
        case _:
            assert_never(payoff)


def struck(payoff: StruckPayoff, line: Line, strike: Tensor) -> Tensor:
    """E[cash] against one strike. Shape: strike batch-or-1 1 -> batch path."""
    match payoff:
        case Call() | Put():
            return ramp(*basket(payoff, line), strike, line, payoff.side)
        case Digital(cash=cash):
            return cash * step(*basket(payoff, line), strike, line, payoff.side)
        case WorstOf():
            return envelope.ramp(performances(payoff, line, strike), "lowest", payoff.side)
        case BestOf():
            return envelope.ramp(performances(payoff, line, strike), "highest", payoff.side)
        case ForwardStart():
            return forward_start.expected(payoff, line, strike)
        case _:
            assert_never(payoff)


def asian(payoff: Asian, line: Line, at: Scenario) -> Tensor:
    """E[cash] of an average against what its past fixings leave of the strike. Shape: -> batch path."""
    items = geometric(payoff, line, at) if payoff.average == "geometric" else basket(payoff, line)
    return ramp(*items, strike_left(payoff, at), line, payoff.side)


def pieces(payoff: Pieces, line: Line, at: Scenario) -> Tensor:
    """``cash`` and the sum of the legs. Shape: -> batch path."""
    parts = [leg.amount * struck(leg.option, line, at["knot"][..., leg.knot]) for leg in payoff.legs]
    return payoff.cash + torch.stack(parts).sum(dim=0)


def basket(payoff: Call | Put | Digital | Asian, line: Line) -> tuple[Tensor, Tensor]:
    """Weighted levels and slopes of what the payoff sums up, averaging dates times assets, those of weight 0 left out.

    Shape: -> batch path item; batch-or-1 path-or-1 item.
    """
    dates = payoff.facts.summed
    level, slope = line.level[:, :, dates], line.slope[:, :, dates]
    w = level.new_tensor(payoff.weights)
    share = w / summands(payoff)
    if line.law == "additive":
        return (share * level).flatten(2), (share * slope).flatten(2)
    kept = w != 0.0
    return (share * level)[..., kept].flatten(2), slope[..., kept].flatten(2)


def geometric(payoff: Asian, line: Line, at: Scenario) -> tuple[Tensor, Tensor]:
    """The geometric average of one asset as a single item. Shape: -> batch path 1; batch-or-1 path-or-1 1."""
    dates = payoff.facts.summed
    level, slope = line.level[:, :, dates], line.slope[:, :, dates]
    weights, share = level.new_tensor(payoff.weights), len(payoff.dates) / payoff.fixings
    mean = torch.exp(share * torch.log(level.clamp(min=exponentials.TINY)).mean(dim=2))
    return weights**share * past_factor(payoff, at)[..., None] * mean, share * slope.mean(dim=2)


def performances(payoff: WorstOf | BestOf, line: Line, strike: Tensor) -> envelope.Lines:
    """Levels over their initial ones at maturity, as lines in the open normal. Shape: strike batch-or-1 1."""
    scale = line.level.new_tensor(payoff.initial)
    slopes = line.slope[:, :, -1] / scale if line.law == "additive" else line.slope[:, :, -1]
    return envelope.Lines(amounts=line.level[:, :, -1] / scale, slopes=slopes, strike=strike, law=line.law)


def ramp(amounts: Tensor, slopes: Tensor, strike: Tensor, line: Line, side: Side) -> Tensor:
    """E[(sum of the items - K)^+] of a call, E[(K - sum)^+] of a put. Shape: -> batch path."""
    if line.law == "additive":
        rest, slope = amounts.sum(dim=-1) - strike, slopes.sum(dim=-1)
        return gaussian_ramp(rest if side == "call" else -rest, slope)
    amounts, strike, side = upright(amounts, strike, side)
    return exponentials.ramp(Exponentials(amounts=amounts, slopes=slopes, strike=strike), side)


def step(amounts: Tensor, slopes: Tensor, strike: Tensor, line: Line, side: Side) -> Tensor:
    """P(sum of the items > K) of a call, < K of a put. Shape: -> batch path."""
    if line.law == "additive":
        rest, slope = amounts.sum(dim=-1) - strike, slopes.sum(dim=-1)
        return gaussian_step(rest if side == "call" else -rest, slope)
    amounts, strike, side = upright(amounts, strike, side)
    return exponentials.step(Exponentials(amounts=amounts, slopes=slopes, strike=strike), side)


def upright(amounts: Tensor, strike: Tensor, side: Side) -> tuple[Tensor, Tensor, Side]:
    """A sum of negative items against K as one of positive items against -K.

    Shape: amounts batch path item; strike batch-or-1 1 -> the same.
    """
    if bool((amounts > 0.0).any()) or not bool((amounts < 0.0).any()):
        return amounts, strike, side
    return -amounts, -strike, "put" if side == "call" else "call"
