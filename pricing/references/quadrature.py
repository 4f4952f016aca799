"""One asset at discrete dates by backward induction: Gauss-Legendre between every edge of the contract.

In y = ln S - G(t) (Black-Scholes) or y = S e^(-G(t)) (Bachelier), G the integral of the carry, a step is normal with
the variance dv and the mean -dv / 2 or 0, so that the value after date k, in today's money and by state of the
contract, is

    C_k(y) = integral of n((x - y - mean) / sqrt(dv)) / sqrt(dv) V_(k+1)(x) dx.

V is smooth between its edges (barriers, triggers, strikes, the exercise boundary, which is solved for), so panels
that end there converge spectrally. Only the first step sees the spot: its density is differentiated, nothing else.
Other parameters are differentiated through the whole induction, edges included. A discrete dividend is an event of its
own, V(S) = V(max((1 - p) S - a, 0)).

References: Broadie & Yamamoto (2005); Andersen, Lake & Offengenden (2016) for integrals up to the exercise boundary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pricing.references import bachelier
from pricing.references.black_scholes import TINY_LEVEL
from pricing.references.contracts import Contract, contract
from pricing.simulation.scenario import Scenario, clock, discount, growth, times
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.specs.schedule import Dividend
from pricing.types import Array

# Gauss-Legendre nodes of a panel, and its largest width in standard deviations of a step: rounding for a normal
# density.
NODES, WIDTH = 12, 2.0
# How far the grid reaches in standard deviations from today: less than 1e-17 of the mass lies outside.
REACH = 9.0
# A step of less than this standard deviation is taken to have it, so that certain steps stay integrable.
LEAST_DEVIATION = 1e-5
# Samples whose spots lie further apart than this many steps are priced one at a time, on grids of their own.
SPAN = 400.0
# Share of the lowest edge that spots below are taken as: the value is flat there.
LEAST_SHARE = 1e-6
# A dividend within so many years of a date is paid at it, before the spot is looked at: no step is shorter.
SAME_TIME = 1e-6
# What a dividend in proportion leaves is taken to be at least this share.
LEAST_KEPT = 1e-12
# Exercise counts as better than holding by more than this share; bisections of its boundary; a step for its slope.
BETTER, BISECTIONS, SLOPE_STEP = 1e-11, 60, 1e-6

# More dates than this are differenced by every parameter but the spot: the graph of an induction holds all its
# densities.
DIFFERENTIATED_DATES = 12

Expectation = Callable[[Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Clockwork:
    """What a single sample's events look like: the contract's dates, and dividends.

    Args:
        marks: the number of the contract's date by event, None where there are dividends alone.
        dividends: paid at an event, before the contract looks at the spot.
        floor: the spot that dividends leave at least.
        additive: y is the discounted spot itself.

    Shape: carry, variances (from today), paid (discount factors): event.
    """

    carry: Tensor
    variances: Tensor
    paid: Tensor
    marks: tuple[int | None, ...]
    dividends: tuple[tuple[Dividend, ...], ...]
    floor: float
    additive: bool

    def spot(self, y: Tensor, k: int) -> Tensor:
        """S at event k, before dividends."""
        return y * torch.exp(self.carry[k]) if self.additive else torch.exp(y + self.carry[k])

    def coordinate(self, level: Tensor, k: int) -> Tensor:
        """Y of a level at event k."""
        if self.additive:
            return level * torch.exp(-self.carry[k])
        return level.clamp(min=TINY_LEVEL).log() - self.carry[k]

    def left(self, spot: Tensor, k: int) -> Tensor:
        """What the dividends of event k leave of S."""
        for dividend in self.dividends[k]:
            spot = (spot * (1.0 - dividend.proportion) - dividend.amount).clamp(min=self.floor)
        return spot

    def whole(self, level: Tensor, k: int) -> Tensor:
        """The S of which the dividends of event k leave a level."""
        for dividend in reversed(self.dividends[k]):
            level = (level + dividend.amount) / max(1.0 - dividend.proportion, LEAST_KEPT)
        return level

    def lowest(self, k: int, low: Tensor, reach: Tensor) -> Tensor:
        """The least y at event k: from today, or from the floor after an earlier dividend in cash."""
        paid = [j for j in range(k) if any(dividend.amount for dividend in self.dividends[j])]
        starts = [self.coordinate(torch.tensor(self.floor, dtype=torch.float64), j).detach() for j in paid]
        return torch.stack([low, *(start - reach for start in starts)]).min()

    def step(self, k: int) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of the step that ends at event k."""
        variance = self.variances[k] - self.variances[k - 1] if k else self.variances[k]
        variance = variance.clamp(min=LEAST_DEVIATION**2)
        return variance.sqrt(), variance * (0.0 if self.additive else -0.5)


def value(problem: PricingProblem, at: Scenario) -> Tensor:
    """Value of a contract on one asset that looks at dates alone. Shape: -> batch."""
    spots = at["spot"][:, 0, 0]
    shared = all(len(part) == 1 for name, part in at.parameters.items() if name != "spot")
    if shared:
        works = _clockwork(problem, at)
        start = _start(at, works)
        if float(start.detach().max() - start.detach().min()) < SPAN * float(works.step(0)[0].detach()):
            return _induction(contract(problem, at), works, start)
    rows = [_row(at, i) for i in range(len(spots))]
    return torch.cat([_single(problem, row) for row in rows])


def greeks(problem: PricingProblem, at: Scenario, spots: Array) -> tuple[Array, Array, Array]:
    """Value, delta and gamma at the spots, all other parameters alike. Shape: batch -> batch, three times."""
    x = torch.tensor(spots, dtype=torch.float64, requires_grad=True)
    v = value(problem, Scenario(parameters={**at.detach().parameters, "spot": x[:, None, None]}))
    (delta,) = torch.autograd.grad(v.sum(), x, create_graph=True)
    (gamma,) = torch.autograd.grad(delta.sum(), x)
    return v.detach().numpy(), delta.detach().numpy(), gamma.numpy()


def _single(problem: PricingProblem, at: Scenario) -> Tensor:
    works = _clockwork(problem, at)
    return _induction(contract(problem, at), works, _start(at, works))


def _row(at: Scenario, i: int) -> Scenario:
    return Scenario(
        parameters={name: part[i : i + 1] if len(part) > 1 else part for name, part in at.parameters.items()}
    )


def _clockwork(problem: PricingProblem, at: Scenario) -> Clockwork:
    process = problem.process
    until, marks, dividends = _events(problem, at)
    carry = growth(process, at, until)[0, 0, :, 0]
    if isinstance(process, Bachelier):
        one = torch.ones(1, 1, dtype=torch.float64)
        variances = torch.cat([bachelier.variance(process, at, one, end) for end in until[..., None].unbind(dim=2)])
        variances = variances * torch.exp(-2.0 * carry)
    else:
        variances = at["volatility"][0, 0, 0].square() * clock(process, at, until)[0, 0]
    return Clockwork(
        carry=carry,
        variances=variances,
        paid=discount(process, at, until)[0, 0],
        marks=marks,
        dividends=dividends,
        floor=_floor(problem, at),
        additive=not process.facts.positive,
    )


def _events(
    problem: PricingProblem, at: Scenario
) -> tuple[Tensor, tuple[int | None, ...], tuple[tuple[Dividend, ...], ...]]:
    """Times of the dates and of dividends up to the last, the date's number and the dividends of each."""
    process, until = problem.process, times(problem, at)[:1]
    ends = until[0, 0].unbind()
    found: list[tuple[Tensor, int | None, list[Dividend]]] = [(end, k, []) for k, end in enumerate(ends)]
    for dividend in process.facts.dividends:
        same = [event for event in found if abs(float(event[0].detach()) - dividend.time) < SAME_TIME]
        if same:
            same[0][2].append(dividend)
        elif dividend.time < float(ends[-1].detach()):
            found.append((until.new_tensor(dividend.time), None, [dividend]))
    found.sort(key=lambda event: float(event[0].detach()))
    moments = torch.stack([event[0] for event in found])[None, None]
    return moments, tuple(event[1] for event in found), tuple(tuple(event[2]) for event in found)


def _floor(problem: PricingProblem, at: Scenario) -> float:
    """A spot far below every edge."""
    edges = contract(problem, at).edges
    positive = [float(edge.detach()) for date in edges for edge in date if float(edge.detach()) > 0.0]
    return max(LEAST_SHARE * min(positive, default=1.0), TINY_LEVEL)


def _start(at: Scenario, works: Clockwork) -> Tensor:
    """Y today, of spots that are not far below every edge. Shape: -> batch."""
    spots = at["spot"][:, 0, 0]
    return spots if works.additive else spots.clamp(min=works.floor).log()


def _induction(paper: Contract, works: Clockwork, start: Tensor) -> Tensor:
    """Value at today's y. Shape: batch -> batch."""
    after: Expectation | None = None
    for k in reversed(range(len(works.paid))):
        mark = works.marks[k]
        levels = [] if mark is None else list(paper.edges[mark])
        if works.dividends[k]:
            levels.append(torch.tensor(works.floor, dtype=torch.float64))
        edges = [works.coordinate(works.whole(level, k), k) for level in levels]
        if paper.exercise is not None and after is not None and mark is not None:
            nodes, _ = _panels(works, k, start.detach(), edges)
            edges = [*edges, *_boundary(paper.exercise, works, k, nodes=nodes.detach(), after=after)]
        nodes, weights = _panels(works, k, start.detach(), edges)
        left = works.left(works.spot(nodes, k), k)
        held = torch.zeros(len(nodes), paper.states, dtype=torch.float64)
        if after is not None:
            held = after(works.coordinate(left, k) if works.dividends[k] else nodes)
        settled = held if mark is None else paper.settle(mark, left, held, works.paid[k])
        after = _expectation(nodes, weights[:, None] * settled, works.step(k))
    assert after is not None
    return after(start)[:, 0]


def _expectation(nodes: Tensor, mass: Tensor, step: tuple[Tensor, Tensor]) -> Expectation:
    """E[V(y + step)] as a function of y, V given by its mass at the nodes. Shape: mass node state."""
    deviation, mean = step

    def expect(y: Tensor) -> Tensor:
        z = (nodes - (y[:, None] + mean)) / deviation
        density = torch.exp(-0.5 * z * z) / (deviation * math.sqrt(2.0 * math.pi))
        return density @ mass

    return expect


def _panels(works: Clockwork, k: int, start: Tensor, edges: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre nodes and weights of event k, in panels that end at the edges. Shape: -> node; node."""
    deviation = float(works.step(k)[0].detach())
    total = works.variances[k].detach().clamp(min=deviation**2)
    reach = REACH * total.sqrt() + (0.0 if works.additive else 1.0) * total
    low, high = works.lowest(k, start.min() - reach, reach), start.max() + reach
    inner = sorted((edge for edge in edges if low < edge.detach() < high), key=lambda edge: float(edge.detach()))
    ends = torch.stack([low, *inner, high])
    x, w = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(NODES))
    nodes, weights = [], []
    for left, right in pairwise(ends):
        count = max(1, math.ceil(float((right - left).detach()) / (WIDTH * deviation)))
        width = (right - left) / count
        begins = left + width * torch.arange(count, dtype=torch.float64)
        nodes.append((begins[:, None] + 0.5 * width * (1.0 + x)).flatten())
        weights.append((0.5 * width * w).expand(count, -1).flatten())
    return torch.cat(nodes), torch.cat(weights)


def _boundary(
    exercise: Callable[[Tensor], Tensor], works: Clockwork, k: int, *, nodes: Tensor, after: Expectation
) -> list[Tensor]:
    """Where exercise and holding are worth the same at event k, differentiable to first order."""

    def gain(y: Tensor) -> Tensor:
        left = works.left(works.spot(y, k), k)
        now = works.paid[k] * exercise(left)
        held = after(works.coordinate(left, k) if works.dividends[k] else y)[:, 0]
        return now - held - BETTER * now.detach()

    with torch.no_grad():
        better = gain(nodes) > 0.0
        changes = torch.nonzero(better[1:] != better[:-1])[:, 0]
        if len(changes) == 0:
            return []
        low, high, first = nodes[changes], nodes[changes + 1], better[changes]
        for _ in range(BISECTIONS):
            middle = 0.5 * (low + high)
            same = (gain(middle) > 0.0) == first
            low, high = torch.where(same, middle, low), torch.where(same, high, middle)
        root = 0.5 * (low + high)
        step = SLOPE_STEP * works.step(k)[0]
        slope = (gain(root + step) - gain(root - step)) / (2.0 * step)
    return list((root - gain(root) / slope).unbind())
