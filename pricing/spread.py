"""Spots moved inside the Box until the deciding event of the payoff lies around its kinks and triggers.

Where those are, in which unit and in which direction every payoff says itself, in `pricing.simulation.payoffs`; what a
standard deviation is there the simulation says, by its derivative by the normals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.payoffs import kinks, moneyness, triggers
from pricing.simulation.scenario import scenario, times
from pricing.specs.problem import PricingProblem
from pricing.specs.sampler import UNIFORM

# Halvings of the segment on which a target is met: 6e-8 of its length, far below what a law of points can show; and of
# that on which a kink is looked for, whose standard deviation is but a scale.
BISECTIONS, SCALE_BISECTIONS = 24, 12
# How far outside the Box that kink is looked for, in logarithms of the spots: a factor of 8e13.
OUTSIDE = 32.0


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Points of the Box, and how near their kinks are.

    Args:
        features: spots moved, all other features as they were. Shape: batch feature.
        distance: standard deviations from the nearest kink or trigger, or the interval between them, to the nearest
            point on the way of the spots; nan where nothing is random. Shape: batch.
    """

    features: Tensor
    distance: Tensor


@dataclass(frozen=True, kw_only=True)
class Ways:
    """Where the spots of every point may go: straight to the corner with the highest event, or the lowest.

    Shape: features, top, bottom batch feature; signs (of the event's slopes) batch asset; start and deviation (of the
    event at the points) batch.
    """

    features: Tensor
    top: Tensor
    bottom: Tensor
    signs: Tensor
    start: Tensor
    deviation: Tensor


def spread_moneyness(problem: PricingProblem, features: Tensor, levels: Tensor, *, bound: float) -> Spread:
    """Move spots inside the Box so that the standardised moneyness of the forward is uniform around the kinks.

    Each point's spots move straight towards the corner of the Box where the moneyness is largest, or smallest, until
    they meet their target: the Box is convex, so the point stays inside, and none is clipped or thrown away. Targets
    are uniform in the part that the Box reaches of the interval from ``bound`` standard deviations before the first
    kink or trigger to as many after the last, as `deviation` has them. Other features stay where they are, and so does
    a point whose other features leave it nothing of the interval.

    Shape: features batch feature, levels (uniforms) batch -> batch feature.
    """
    ways, at = ways_of(problem, features), scenario(problem, features)
    edges = torch.cat([place(problem.payoff, at).expand(len(features), -1) for place in (kinks, triggers)], dim=1)
    first, last = edges.amin(dim=1), edges.amax(dim=1)
    before = deviation(problem, ways, first)
    after = before if edges.shape[1] == 1 else deviation(problem, ways, last)
    least, most = (forward_event(problem, corner) for corner in (ways.bottom, ways.top))
    low = torch.maximum(first - bound * before, least)
    high = torch.minimum(last + bound * after, most)
    target = low + (high - low) * levels
    rising = target > ways.start
    end = ways.top.where(rising[:, None], ways.bottom)

    def way(share: Tensor) -> Tensor:
        return features + share * (end - features)

    met = way(meet(problem, way, target, rising, BISECTIONS))
    moved = torch.clamp(met, torch.minimum(features, end), torch.maximum(features, end))
    missed = torch.maximum((first - most) / before, (least - last) / after).clamp(min=0.0)
    return Spread(features=moved.where((low < high)[:, None], features), distance=missed)


def require_reached(problem: PricingProblem, spread: Sequence[Spread], *, bound: float) -> None:
    """Raise InvalidSpec where no point has a kink within ``bound`` standard deviations, or nothing is random."""
    distance = torch.cat([part.distance for part in spread]).nan_to_num(nan=torch.inf, posinf=torch.inf)
    nearest = int(distance.argmin())
    if distance[nearest] <= bound:
        return
    if distance[nearest] == torch.inf and problem.process.facts.pays_cash:
        amount = sum(dividend.amount for dividend in problem.process.facts.dividends)
        raise InvalidSpec(
            "samples around the kinks need a payoff that is random about its forward, but dividends in cash, "
            f"{amount:g} in all, leave the forward of every spot of the Box at 0; raise the bounds of 'spot', or "
            f"{UNIFORM}",
            path="labels.sampler",
        )
    if distance[nearest] == torch.inf:
        raise InvalidSpec(
            "samples around the kinks need a random payoff, but volatilities or maturity leave it a standard deviation "
            f"of 0; give positive ones, or {UNIFORM}",
            path="labels.sampler",
        )
    unit = "; its levels are performances, spots over `initial`" if performance(problem) else ""
    numbers = torch.cat([part.features for part in spread])[nearest].tolist()
    place = ", ".join(f"{label} = {number:g}" for label, number in zip(problem.box.labels, numbers, strict=True))
    raise InvalidSpec(
        f"no point of the Box lies within {bound:g} terminal standard deviations of where the payoff bends or jumps: "
        f"even on the way of the spots from {place} to the corner of the Box that is nearest to it, "
        f"{distance[nearest]:.4g} of them remain{unit}; look at the strike or the triggers, at volatilities (0.25 is "
        f"25 %) and at the bounds of the features, or {UNIFORM}",
        path="labels.sampler",
        bound=bound,
    )


def performance(problem: PricingProblem) -> bool:
    """Whether levels of the payoff are multiples of initial ones."""
    return problem.payoff.facts.ranked and problem.payoff.facts.strike_unit == "1"


def ways_of(problem: PricingProblem, features: Tensor) -> Ways:
    """The corners where the event is highest and lowest, by the signs of its slopes in the spots alone.

    Where a spot does not move the event at the point, below its dividends say, its slope at the upper corner counts.

    Shape: features batch feature -> batch feature each.
    """
    spots = problem.box.columns("spot")
    upper, lower = features.clone(), features.clone()
    upper[:, spots] = torch.from_numpy(problem.box.upper[spots])
    lower[:, spots] = torch.from_numpy(problem.box.lower[spots])
    start, slope = slopes(problem, features)
    slope = slope.where(slope != 0.0, slopes(problem, upper)[1])
    # All but the worst of several do not move the moneyness where the point is, but may do so later; others never do.
    if problem.payoff.facts.ranked:
        slope = slope.where(slope != 0.0, slope.sum(dim=1, keepdim=True))
    top, bottom, (_, here) = features.clone(), features.clone(), forward_moneyness(problem, features)
    top[:, spots] = upper[:, spots].where(slope > 0.0, lower[:, spots].where(slope < 0.0, features[:, spots]))
    bottom[:, spots] = lower[:, spots].where(slope > 0.0, upper[:, spots].where(slope < 0.0, features[:, spots]))
    return Ways(features=features, top=top, bottom=bottom, signs=slope.sign(), start=start, deviation=here)


def slopes(problem: PricingProblem, features: Tensor) -> tuple[Tensor, Tensor]:
    """The deciding event and its derivatives by the spots. Shape: batch feature -> batch; batch asset."""
    x = features.clone().requires_grad_()
    event = forward_event(problem, x)
    (slope,) = torch.autograd.grad(event.sum(), x)
    return event.detach(), slope[:, problem.box.columns("spot")]


def deviation(problem: PricingProblem, ways: Ways, kink: Tensor) -> Tensor:
    """The event's standard deviation: of performances where the spots make it the kink, of prices where the point is.

    A kink of performances may be far outside the Box, if `initial` is in another unit, and what an event is off by is
    measured by the market there, not by the one where it was asked. Inside the Box the spots are on the way to the
    corner; from there on each goes by the same factor, up or down as its slope says. A kink that no spots reach is
    measured at the corner. Prices are measured so too if some point is not random, as below dividends still to come.

    Shape: kink batch -> batch.
    """
    facts = problem.payoff.facts
    shares_of_a_basket = facts.weights is not None and facts.strike_unit == "1"  # such a strike moves with the spots
    if shares_of_a_basket or (not facts.ranked and bool((ways.deviation > 0.0).all())):
        return ways.deviation
    spots = problem.box.columns("spot")
    rising = kink > ways.start
    corner = ways.top.where(rising[:, None], ways.bottom)
    outwards = ways.signs * corner[:, spots].sign() * (2.0 * rising[:, None] - 1.0)

    def way(share: Tensor) -> Tensor:
        point = ways.features + (2.0 * share).clamp(max=1.0) * (corner - ways.features)
        beyond = (2.0 * share - 1.0).clamp(min=0.0)
        point[:, spots] = point[:, spots] * torch.exp(OUTSIDE * beyond * outwards)
        return point

    share = meet(problem, way, kink, rising, SCALE_BISECTIONS)
    return forward_moneyness(problem, way(share.where(share < 1.0 - 0.5**SCALE_BISECTIONS, 0.5)))[1]


def meet(
    problem: PricingProblem, way: Callable[[Tensor], Tensor], target: Tensor, rising: Tensor, halvings: int
) -> Tensor:
    """The share of a way where the event, monotone along it, meets its target, by bisection; else nearly 1.

    An event that is not finite lies beyond any target.

    Args:
        way: from its shares to features. Shape: batch 1 -> batch feature.
        rising: whether the event rises along it. Shape: batch.

    Shape: target batch -> batch 1.
    """
    low, high = torch.zeros_like(target), torch.ones_like(target)
    for _ in range(halvings):
        middle = 0.5 * (low + high)
        here = forward_event(problem, way(middle[:, None]))
        before = (here < target).where(rising, here > target)
        low, high = middle.where(before, low), high.where(before, middle)
    return low[:, None]


def forward_event(problem: PricingProblem, features: Tensor) -> Tensor:
    """The deciding event of the payoff on the path of zero normals. Shape: batch feature -> batch."""
    at = scenario(problem, features)
    normals = features.new_zeros(1, 1, sum(blocks(problem.process, len(problem.payoff.facts.dates))))
    return moneyness(problem.payoff, simulate(problem.process, at, normals, times(problem, at)), at)[:, 0]


def forward_moneyness(problem: PricingProblem, features: Tensor) -> tuple[Tensor, Tensor]:
    """The deciding event of the payoff on the path of zero normals, and its first-order standard deviation.

    Shape: batch feature -> batch; batch.
    """
    at, dimension = scenario(problem, features), sum(blocks(problem.process, len(problem.payoff.facts.dates)))
    normals = torch.zeros(len(features), 1, dimension, dtype=torch.float64, requires_grad=True)
    paths = simulate(problem.process, at, normals, times(problem, at))
    event = moneyness(problem.payoff, paths, at)
    (gradient,) = torch.autograd.grad(event.sum(), normals)
    return event.detach()[:, 0], gradient.norm(dim=-1)[:, 0]
