"""The events of a contract on one asset, its dates and the dividends, and the coordinate that an induction runs in.

That is y = ln S - G(t) (Black-Scholes) or y = S e^(-G(t)) (Bachelier), G the integral of the carry: a step of it is
normal with the variance dv and the mean -dv / 2 or 0. A discrete dividend is an event of its own, or paid at a date
before the contract looks, V(S) = V(max((1 - p) S - a, 0)).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from pricing.references import bachelier
from pricing.references.black_scholes import TINY_LEVEL
from pricing.references.contracts import DatedPayoff, contract
from pricing.simulation.scenario import Scenario, clock, dates, discount, growth
from pricing.specs.process import Bachelier, BlackScholes
from pricing.specs.schedule import Dividend

# A step of less than this standard deviation, of the logarithm or as a share of the largest of spots and edges, is
# taken to have it, so that certain steps stay integrable.
LEAST_DEVIATION = 1e-5
# Share of the lowest edge that spots below are taken as: the value is flat there.
LEAST_SHARE = 1e-8
# A dividend within so many years of a date is paid at it, before the spot is looked at: no step is shorter.
SAME_TIME = 1e-6
# What a dividend in proportion leaves is taken to be at least this share.
LEAST_KEPT = 1e-12


@dataclass(frozen=True, kw_only=True)
class Clockwork:
    """What a single sample's events look like: the contract's dates, and dividends.

    Args:
        marks: the number of the contract's date by event, None where there are dividends alone.
        dividends: paid at an event, before the contract looks at the spot.
        floor: the spot that dividends leave at least.
        least: what a step's deviation is taken to be at least.
        additive: y is the discounted spot itself.

    Shape: carry, variances (from today), paid (discount factors): event.
    """

    carry: Tensor
    variances: Tensor
    paid: Tensor
    marks: tuple[int | None, ...]
    dividends: tuple[tuple[Dividend, ...], ...]
    floor: float
    least: float
    additive: bool

    def spot(self, y: Tensor, k: int) -> Tensor:
        """S at event k, before dividends. Shape: any -> the same."""
        return y * torch.exp(self.carry[k]) if self.additive else torch.exp(y + self.carry[k])

    def coordinate(self, level: Tensor, k: int) -> Tensor:
        """The y of a level at event k. Shape: any -> the same."""
        if self.additive:
            return level * torch.exp(-self.carry[k])
        return level.clamp(min=TINY_LEVEL).log() - self.carry[k]

    def left(self, spot: Tensor, k: int) -> Tensor:
        """What the dividends of event k leave of S. Shape: any -> the same."""
        for dividend in self.dividends[k]:
            spot = (spot * (1.0 - dividend.proportion) - dividend.amount).clamp(min=self.floor)
        return spot

    def whole(self, level: Tensor, k: int) -> Tensor:
        """The S of which the dividends of event k leave a level. Shape: any -> the same."""
        for dividend in reversed(self.dividends[k]):
            level = (level + dividend.amount) / max(1.0 - dividend.proportion, LEAST_KEPT)
        return level

    def lowest(self, k: int, low: Tensor, reach: Tensor) -> Tensor:
        """The least y at event k, from today or from the floor after an earlier dividend in cash. Shape: -> scalar."""
        paid = [j for j in range(k) if any(dividend.amount for dividend in self.dividends[j])]
        starts = [self.coordinate(torch.tensor(self.floor, dtype=torch.float64), j).detach() for j in paid]
        return torch.stack([low, *(start - reach for start in starts)]).min()

    def step(self, k: int) -> tuple[Tensor, Tensor]:
        """Standard deviation and mean of the step that ends at event k. Shape: -> scalar, twice."""
        variance = self.variances[k] - self.variances[k - 1] if k else self.variances[k]
        variance = variance.clamp(min=self.least**2)
        return variance.sqrt(), variance * (0.0 if self.additive else -0.5)


def clockwork(process: Bachelier | BlackScholes, payoff: DatedPayoff, at: Scenario) -> Clockwork:
    """The events of a payoff at one sample's parameters."""
    until, marks, dividends = _events(process, payoff, at)
    carry = growth(process, at, until)[0, 0, :, 0]
    match process:
        case Bachelier():
            one, ends = torch.ones(1, 1, dtype=torch.float64), until[..., None].unbind(dim=2)
            variances = torch.cat([bachelier.variance(process, at, one, end) for end in ends])
            variances = variances * torch.exp(-2.0 * carry)
        case BlackScholes():
            variances = at["volatility"][0, 0, 0].square() * clock(process, at, until)[0, 0]
        case _:
            assert_never(process)
    return Clockwork(
        carry=carry,
        variances=variances,
        paid=discount(process, at, until)[0, 0],
        marks=marks,
        dividends=dividends,
        floor=_floor(payoff, at),
        least=LEAST_DEVIATION * (1.0 if process.facts.positive else _size(payoff, at)),
        additive=not process.facts.positive,
    )


def _events(
    process: Bachelier | BlackScholes, payoff: DatedPayoff, at: Scenario
) -> tuple[Tensor, tuple[int | None, ...], tuple[tuple[Dividend, ...], ...]]:
    """Times of the dates and of dividends up to the last, the date's number and the dividends of each."""
    until = dates(payoff, at)[:1]
    ends = until[0, 0].unbind()
    events: list[tuple[Tensor, int | None, list[Dividend]]] = [(end, k, []) for k, end in enumerate(ends)]
    for dividend in process.facts.dividends:
        same = [event for event in events if abs(float(event[0].detach()) - dividend.time) < SAME_TIME]
        if same:
            same[0][2].append(dividend)
        elif dividend.time < float(ends[-1].detach()):
            events.append((until.new_tensor(dividend.time), None, [dividend]))
    events.sort(key=lambda event: float(event[0].detach()))
    moments = torch.stack([event[0] for event in events])[None, None]
    return moments, tuple(event[1] for event in events), tuple(tuple(event[2]) for event in events)


def _size(payoff: DatedPayoff, at: Scenario) -> float:
    """The largest of spots and edges, currency."""
    levels = [edge.detach().abs() for date in contract(payoff, at).edges for edge in date]
    return float(torch.stack([*levels, at["spot"].detach().abs().amax()]).amax())


def _floor(payoff: DatedPayoff, at: Scenario) -> float:
    """A spot far below every edge."""
    edges = contract(payoff, at).edges
    positive = [float(edge.detach()) for date in edges for edge in date if float(edge.detach()) > 0.0]
    return max(LEAST_SHARE * min(positive, default=1.0), TINY_LEVEL)
