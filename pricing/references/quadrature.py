"""One asset at discrete dates by backward induction: Gauss-Legendre between every edge of the contract.

In the coordinate y of `pricing.references.clockwork` a step is normal, so that with its mean m and variance dv the
value after event k, in today's money and by state of the contract, is

    C_k(y) = integral of n((x - y - m) / sqrt(dv)) / sqrt(dv) V_(k+1)(x) dx.

V is smooth between its edges (barriers, triggers, strikes, the exercise boundary, which is solved for), so panels
that end there converge spectrally. Only the first step sees the spot: its density is differentiated, nothing else.
Other parameters are differentiated through the whole induction, edges included.

References: Broadie & Yamamoto (2005); Andersen, Lake & Offengenden (2016) for integrals up to the exercise boundary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from pricing.references import differences
from pricing.references.clockwork import Clockwork, clockwork
from pricing.references.contracts import Contract, DatedPayoff, contract
from pricing.references.derivatives import ROWS
from pricing.references.methods import Differentiated, Solved
from pricing.simulation.scenario import Scenario
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes
from pricing.types import Array

# Gauss-Legendre nodes of a panel, and its largest width in standard deviations of a step: rounding for a normal
# density.
NODES, WIDTH = 12, 2.0
# How far the grid reaches in standard deviations from today: less than 1e-17 of the mass lies outside.
REACH = 9.0
# Samples whose spots lie further apart than this many steps are priced one at a time, on grids of their own.
SPAN = 400.0
# Exercise counts as better than holding by more than this share; bisections of its boundary; a step for its slope.
BETTER, BISECTIONS, SLOPE_STEP = 1e-11, 60, 1e-6
# A level so many times a dividend in cash moves as its logarithm does, within an eighth; the most panels below it.
MILD, MOST_RUNGS = 8.0, 256
# More dates than this are differenced by every parameter but the spot: the graph of an induction holds all its
# densities. Inductions that are differentiated whole in about a minute on one thread.
DIFFERENTIATED_DATES, POINTS = 12, 1 << 7

# Of what is settled after an event, by state, given y there. Shape: y any -> any state.
Expectation = Callable[[Tensor], Tensor]


def method(problem: PricingProblem, process: Bachelier | BlackScholes, payoff: DatedPayoff) -> Differentiated | Solved:
    """How a payoff on one asset is referenced.

    Differentiated whole where that takes little memory, one row at a time if rows have grids of their own.
    """
    if len(payoff.facts.dates) + len(process.facts.dividends) > DIFFERENTIATED_DATES:
        grid = partial(greeks, process, payoff)
        return Solved(kind="quadrature", grid=grid, points=differences.affordable(problem))
    formula = partial(value, process, payoff)
    if len(problem.features) == 1:
        return Differentiated(kind="quadrature", formula=formula, rows=ROWS, points=None)
    return Differentiated(kind="quadrature", formula=formula, rows=1, points=POINTS)


def value(process: Bachelier | BlackScholes, payoff: DatedPayoff, at: Scenario) -> Tensor:
    """Value of a payoff on one asset. Shape: -> batch."""
    spots = at["spot"][:, 0, 0]
    shared = all(len(tensor) == 1 for name, tensor in at.parameters.items() if name != "spot")
    if shared:
        works = clockwork(process, payoff, at)
        start = _start(at, works)
        if float(start.detach().max() - start.detach().min()) < SPAN * float(works.step(0)[0].detach()):
            return _induction(contract(payoff, at), works, start)
    rows = [_row(at, i) for i in range(len(spots))]
    return torch.cat([_single(process, payoff, row) for row in rows])


def greeks(
    process: Bachelier | BlackScholes, payoff: DatedPayoff, at: Scenario, spots: Array
) -> tuple[Array, Array, Array]:
    """Value, delta and gamma at the spots, all other parameters alike. Shape: batch -> batch, three times."""
    x = torch.tensor(spots, dtype=torch.float64, requires_grad=True)
    v = value(process, payoff, Scenario(parameters={**at.detach().parameters, "spot": x[:, None, None]}))
    (delta,) = torch.autograd.grad(v.sum(), x, create_graph=True)
    (gamma,) = torch.autograd.grad(delta.sum(), x)
    return v.detach().numpy(), delta.detach().numpy(), gamma.numpy()


def _single(process: Bachelier | BlackScholes, payoff: DatedPayoff, at: Scenario) -> Tensor:
    works = clockwork(process, payoff, at)
    return _induction(contract(payoff, at), works, _start(at, works))


def _row(at: Scenario, i: int) -> Scenario:
    rows = {name: tensor[i : i + 1] if len(tensor) > 1 else tensor for name, tensor in at.parameters.items()}
    return Scenario(parameters=rows)


def _start(at: Scenario, works: Clockwork) -> Tensor:
    """The y of today, of spots that are not far below every edge. Shape: -> batch."""
    spots = at["spot"][:, 0, 0]
    return spots if works.additive else spots.clamp(min=works.floor).log()


def _induction(paper: Contract, works: Clockwork, start: Tensor) -> Tensor:
    """Value at today's y. Shape: batch -> batch."""
    last, after = len(works.paid) - 1, _nothing(paper.states)
    for k in reversed(range(last + 1)):
        mark = works.marks[k]
        levels = [] if mark is None else list(paper.edges[mark])
        if works.dividends[k]:
            levels += [torch.tensor(level, dtype=torch.float64) for level in (works.floor, *_rungs(works, k))]
        edges = [works.coordinate(works.whole(level, k), k) for level in levels]
        if paper.exercise is not None and mark is not None and k < last:
            nodes, _ = _panels(works, k, start.detach(), edges)
            edges = [*edges, *_boundary(paper.exercise, works, k, nodes=nodes.detach(), after=after)]
        nodes, weights = _panels(works, k, start.detach(), edges)
        left = works.left(works.spot(nodes, k), k)
        held = after(works.coordinate(left, k) if works.dividends[k] else nodes)
        settled = held if mark is None else paper.settle(mark, left, held, works.paid[k])
        after = _expectation(nodes, weights[:, None] * settled, works.step(k))
    return after(start)[:, 0]


def _rungs(works: Clockwork, k: int) -> list[float]:
    """Levels that a dividend in cash may leave next to nothing, a panel's width of the next step apart.

    There ln(S - a) moves S / (S - a) times as fast as the coordinate ln S that panels are measured in.
    """
    amount = sum(dividend.amount for dividend in works.dividends[k])
    if works.additive or amount == 0.0 or k + 1 == len(works.paid):
        return []
    length = math.log(max(MILD * amount / works.floor, 1.0))
    count = min(math.ceil(length / (WIDTH * float(works.step(k + 1)[0].detach()))), MOST_RUNGS)
    return [works.floor * math.exp(length * (j + 1) / count) for j in range(count)]


def _nothing(states: int) -> Expectation:
    return lambda y: torch.zeros(len(y), states, dtype=torch.float64)


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
    x, w = map(torch.from_numpy, np.polynomial.legendre.leggauss(NODES))
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
