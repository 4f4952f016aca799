"""Cash at maturity on a path, undiscounted, written once over ramps and steps that an estimator makes sharp or smooth.

A payoff touches the market through events x: amounts (ramp x^+) and decisions (step 1{x > 0}). `Sharp` gives the payoff
as it is. `Smooth` puts kernels in their place; how wide, `Recorder` measures: a share of each event's own deviation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Protocol, assert_never

import torch
from torch import Tensor

from pricing.elementary import ratio
from pricing.simulation.fixings import knock_in, missed_coupons, past_factor, strike_left
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario
from pricing.simulation.smoothing import ramp, step
from pricing.specs.estimator import Kernel
from pricing.specs.european import BestOf, Call, Digital, Put, Side, WorstOf
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, ForwardStart, Payoff
from pricing.specs.pieces import Pieces

# Least geometric average of the dates to come: past ones take a power below 1 of it, whose slope at 0 is infinite.
TINY = 1e-300


class Edges(Protocol):
    """How the kinks and jumps of a payoff are taken."""

    def ramp(self, x: Tensor) -> Tensor:
        """``x^+``. Shape: batch path -> the same."""

    def step(self, x: Tensor) -> Tensor:
        """1 where x > 0, else 0. Shape: batch path -> the same."""

    def lowest(self, levels: Tensor) -> Tensor:
        """Minimum over the assets. Shape: batch path asset -> batch path."""


@dataclass(frozen=True, kw_only=True)
class Sharp:
    """The payoff as it is."""

    def ramp(self, x: Tensor) -> Tensor:
        """``x^+``. Shape: batch path -> the same."""
        return torch.relu(x)

    def step(self, x: Tensor) -> Tensor:
        """1 where x > 0, else 0; no derivative. Shape: batch path -> the same."""
        return (x > 0.0).to(x.dtype)

    def lowest(self, levels: Tensor) -> Tensor:
        """The minimum; its derivative goes to the lowest. Shape: batch path asset -> batch path."""
        return levels.amin(dim=-1)


@dataclass(frozen=True, kw_only=True)
class Smooth:
    """Kernels in place of kinks and jumps.

    Args:
        widths: of the payoff's events in the order in which it asks for them. Shape: each batch-or-1 1.
    """

    kernel: Kernel
    widths: Iterator[Tensor]

    def ramp(self, x: Tensor) -> Tensor:
        """Smooth x^+. Shape: batch path -> the same."""
        return ramp(self.kernel, x, width=next(self.widths))

    def step(self, x: Tensor) -> Tensor:
        """Smooth step: the slope of the ramp. Shape: batch path -> the same."""
        return step(self.kernel, x, width=next(self.widths))

    def lowest(self, levels: Tensor) -> Tensor:
        """The minimum, asset by asset: min(a, b) = a - (a - b)^+. Shape: batch path asset -> batch path."""
        return reduce(lambda low, other: low - self.ramp(low - other), levels.unbind(dim=-1))


@dataclass(frozen=True, kw_only=True)
class Recorder:
    """The payoff as it is, noting the first-order standard deviation of every event.

    That is the length of the event's gradient by the normals, at their mean. An event of ranked assets has that of the
    least volatile one if that is less, whichever is the lowest there: it may be another one where the event is decided,
    and a kernel that is wide for it has several times the stated bias.

    Args:
        normals: zeros that the paths were simulated from, and that record gradients. Shape: batch 1 dimension.
        deviations: filled event by event. Shape: each batch 1.
        ranked: least deviations of the assets that were ranked last, none at first. Shape: each batch 1.
    """

    normals: Tensor
    deviations: list[Tensor]
    ranked: list[Tensor] = field(default_factory=list)

    def ramp(self, x: Tensor) -> Tensor:
        """``x^+``. Shape: batch path -> the same."""
        self._note(x)
        return torch.relu(x)

    def step(self, x: Tensor) -> Tensor:
        """1 where x > 0, else 0. Shape: batch path -> the same."""
        self._note(x)
        return (x > 0.0).to(x.dtype)

    def lowest(self, levels: Tensor) -> Tensor:
        """The minimum, by the same events as `Smooth.lowest`. Shape: batch path asset -> batch path."""
        own = torch.stack([self._deviation(level) for level in levels.unbind(dim=-1)])
        self.ranked.append(own.where(own > 0.0, torch.inf).amin(dim=0))
        return reduce(lambda low, other: low - self.ramp(low - other), levels.unbind(dim=-1))

    def _note(self, x: Tensor) -> None:
        own = self._deviation(x)
        self.deviations.append(torch.minimum(own, self.ranked[-1]) if self.ranked else own)

    def _deviation(self, x: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(x.sum(), self.normals, retain_graph=True, allow_unused=True)
        still = torch.zeros_like(self.normals) if gradient is None else gradient
        length: Tensor = still.norm(dim=-1)
        return length


SHARP = Sharp()


def cash(payoff: Payoff, paths: Paths, at: Scenario, edges: Edges = SHARP) -> Tensor:
    """What the payoff pays on every path, in currency at maturity; earlier payments are carried there at the rate.

    Shape: -> batch path.
    """
    match payoff:
        case Call() | Put() | WorstOf() | BestOf() | Asian() | ForwardStart():
            return edges.ramp(moneyness(payoff, paths, at, edges))
        case Digital(cash=amount):
            return amount * edges.step(moneyness(payoff, paths, at, edges))
        case Pieces():
            return pieces(payoff, paths, at, edges)
        case Barrier():
            return barrier(payoff, paths, at, edges)
        case Autocall():
            return autocall(payoff, paths, at, edges)
        case Bermudan(option=option):
            return cash(option, paths, at, edges)
        case _:
            assert_never(payoff)


def moneyness(payoff: Payoff, paths: Paths, at: Scenario, edges: Edges = SHARP, *, date: int = -1) -> Tensor:
    """The event that decides a payoff at a date: how far each path is into the money, or above the last trigger.

    Shape: -> batch path.
    """
    match payoff:
        case Call(weights=weights):
            return paths.basket(weights, date) - at.scalar("strike")
        case Put(weights=weights):
            return at.scalar("strike") - paths.basket(weights, date)
        case Digital(weights=weights, side=side):
            return signed(side, paths.basket(weights, date) - at.scalar("strike"))
        case Pieces(weights=weights):
            return paths.basket(weights, date) - at["knot"][..., 0]
        case WorstOf(initial=initial, side=side):
            return signed(side, worst(initial, paths, edges, date) - at.scalar("strike"))
        case BestOf(initial=initial, side=side):
            return signed(side, best(initial, paths, edges, date) - at.scalar("strike"))
        case Asian(side=side):
            return signed(side, average(payoff, paths, at) - strike_left(payoff, at))
        case ForwardStart(weights=weights, side=side):
            return signed(side, paths.basket(weights, date) - at.scalar("strike") * paths.basket(weights, 0))
        case Barrier(side=side):
            return signed(side, paths.basket((1.0,), date) - at.scalar("strike"))
        case Autocall(initial=initial, triggers=triggers):
            return worst(initial, paths, edges, date) - triggers[date]
        case Bermudan(option=option):
            return moneyness(option, paths, at, edges, date=date)
        case _:
            assert_never(payoff)


def kinks(payoff: Payoff, at: Scenario) -> Tensor:
    """Where a payoff has its kinks, as values of its event: 0 alone, or the distances of knots from the first.

    Shape: -> batch-or-1 kink.
    """
    match payoff:
        case Pieces():
            knots = at["knot"].reshape(-1, len(payoff.knots))
            return knots - knots[:, :1]
        case Call() | Put() | Digital() | WorstOf() | BestOf() | Asian() | ForwardStart():
            return at["maturity"].new_zeros(1, 1)
        case Barrier() | Autocall():
            return at["maturity"].new_zeros(1, 1)
        case Bermudan(option=option):
            return kinks(option, at)
        case _:
            assert_never(payoff)


def triggers(payoff: Payoff, at: Scenario) -> Tensor:
    """Where else its cash may bend, jump or end on the way, as values of its event: what samples are to surround too.

    Shape: -> batch-or-1 trigger, none of most payoffs.
    """
    match payoff:
        case Barrier(side=side):
            return signed(side, at.scalar("barrier") - at.scalar("strike"))
        case Autocall(triggers=levels):
            low, coupon_barrier = knock_in(payoff, at), at.scalar("coupon_barrier")
            rows = max(len(low), len(coupon_barrier))
            earlier = low.new_tensor(levels[:-1])
            return torch.cat([part.expand(rows, -1) for part in (low, coupon_barrier, earlier)], 1) - levels[-1]
        case Bermudan(option=option):
            return triggers(option, at)
        case Call() | Put() | Digital() | Pieces() | WorstOf() | BestOf() | Asian() | ForwardStart():
            return at["maturity"].new_zeros(1, 0)
        case _:
            assert_never(payoff)


def signed(side: Side, x: Tensor) -> Tensor:
    """``x`` of a call, ``-x`` of a put. Shape: any -> the same."""
    return x if side == "call" else -x


def worst(initial: Sequence[float], paths: Paths, edges: Edges, date: int = -1) -> Tensor:
    """min_i S_i / initial_i at a date. Shape: -> batch path."""
    levels = paths.levels(date)
    return edges.lowest(levels / levels.new_tensor(initial))


def best(initial: Sequence[float], paths: Paths, edges: Edges, date: int = -1) -> Tensor:
    """max_i S_i / initial_i at a date. Shape: -> batch path."""
    levels = paths.levels(date)
    return -edges.lowest(-levels / levels.new_tensor(initial))


def average(payoff: Asian, paths: Paths, at: Scenario) -> Tensor:
    """What the average of the basket is of, past fixings that are in `strike_left` left out. Shape: -> batch path."""
    baskets = torch.stack([paths.basket(payoff.weights, date) for date in range(len(payoff.dates))], dim=-1)
    if payoff.average == "arithmetic":
        return baskets.sum(dim=-1) / payoff.fixings
    first = baskets[..., :1]  # every level as a multiple of the first, so that the average of zeros has a derivative
    own = first[..., 0] * torch.exp(torch.log(ratio(baskets, first, limit=1.0)).mean(dim=-1))
    return past_factor(payoff, at) * own.clamp(min=TINY) ** (len(payoff.dates) / payoff.fixings) if payoff.past else own


def pieces(payoff: Pieces, paths: Paths, at: Scenario, edges: Edges) -> Tensor:
    """Two straight lines f and g joined at every knot: f + step(x) (g - f), with g - f = bend x + jump, x = B - K.

    The joins add up, so that they commute and their biases do too; where knots are many widths apart, one after the
    other is the same.

    Shape: -> batch path.
    """
    basket, knots = paths.basket(payoff.weights, -1), at["knot"].unbind(dim=-1)
    paid = payoff.cash + payoff.slopes[0] * (basket - knots[0])
    for knot, join in zip(knots, payoff.joins, strict=True):
        if join.bend:
            paid = paid + join.bend * edges.ramp(basket - knot)
        if join.jump:
            paid = paid + join.jump * edges.step(basket - knot)
    return paid


def barrier(payoff: Barrier, paths: Paths, at: Scenario, edges: Edges) -> Tensor:
    """A vanilla payoff times the product of the dates' survival ("out"), or what that leaves of it ("in").

    Shape: -> batch path.
    """
    vanilla = edges.ramp(moneyness(payoff, paths, at, edges))
    clear = -1.0 if payoff.direction == "up" else 1.0
    alive = torch.ones_like(vanilla)
    for date in range(len(payoff.dates)):
        alive = alive * edges.step(clear * (paths.basket((1.0,), date) - at.scalar("barrier")))
    return vanilla * (alive if payoff.knock == "out" else 1.0 - alive)


def autocall(payoff: Autocall, paths: Paths, at: Scenario, edges: Edges) -> Tensor:
    """Coupons, early redemption and the knock-in put, weighted by the (smooth) survival to each date.

    With survival Q, ``missed`` unpaid coupons before the date and p = 1{R >= coupon_barrier}, a date pays
    Q p coupon (missed + 1) and leaves missed = (1 - p)(missed + 1) with memory.

    Shape: -> batch path.
    """
    alive: Tensor | float = 1.0
    missed: Tensor | float = missed_coupons(at)
    total: Tensor | float = 0.0
    carry = paths.discount / paths.discount[..., -1:]
    for date, trigger in enumerate(payoff.triggers):
        level = worst(payoff.initial, paths, edges, date)
        due = edges.step(level - at.scalar("coupon_barrier"))
        paid = due * payoff.coupon * (missed + 1.0)
        missed = (1.0 - due) * (missed + 1.0) if payoff.memory else 0.0
        called = edges.step(level - trigger)
        last = date == len(payoff.triggers) - 1
        redeemed = called + (1.0 - called) * redemption(payoff, level, at, edges) if last else called
        total = total + alive * (paid + redeemed) * carry[..., date]
        alive = alive * (1.0 - called)
    assert isinstance(total, Tensor)
    return payoff.notional * total


def redemption(payoff: Autocall, level: Tensor, at: Scenario, edges: Edges) -> Tensor:
    """1, or R / strike below the knock-in. Shape: batch path -> batch path."""
    knocked = 1.0 - edges.step(level - knock_in(payoff, at))
    return 1.0 - knocked * (1.0 - level / payoff.strike)
