"""Barriers by one-step survival: every step drawn given that the barrier is not hit, weighted by the chance of that.

With edges w_k of the barrier in the coordinate y of `pricing.estimators.steps`, monitored at dates or, bridged, all
the time:

    out = E[D prod_(k < n) p_k B_k E[(S_T - K)^+ B_n; y_n beyond w_n | y_(n-1)]],
    y_k drawn given that it lies beyond w_k, p_k the chance of that,
    B_k = 1 - exp(-2 a_(k-1) a_k / v_k), a_k = |y_k - w_k|, v_k the variance of the step;   B_k = 1 without bridges

The last step is integrated exactly, so no kink is left: B_n only tilts its normal. One bridged step of Black-Scholes is
therefore the closed form. What a touch begins is labelled by where it happens, with V_k the option without a barrier
from step k on, all its normals integrated, and y'_k drawn given that the barrier is met at the date itself:

    in = E[D sum_k (prod_(j < k) p_j B_j) ((1 - p_k) V_k(y'_k) + p_k (1 - B_k) V_k(y_k))]

All terms are positive, so little in is not what much noise leaves of the vanilla option less out. Where most of the
option is in, that difference is what has less noise: in + out - vanilla, of mean zero, is taken off in the share of in.

References: Glasserman & Staum (2001); Glasserman, Monte Carlo Methods in Financial Engineering (2003), 6.4.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.elementary import cumulative, mass, root
from pricing.estimators.steps import CERTAIN, TINY_LEVEL, Steps, threshold
from pricing.estimators.truncation import FAR, below
from pricing.simulation.scenario import Scenario
from pricing.specs.payoff import Barrier

# Barriers further away than so many deviations of a step are that far: the weight of their image is e^20000.
OUT_OF_REACH = 200.0


@dataclass(frozen=True, kw_only=True)
class Open:
    """A step S(t) whose normal t is left open in an interval. Shape: each batch-or-1 path-or-1 1."""

    rest: Tensor
    along: Tensor
    low: Tensor
    high: Tensor


def expected(payoff: Barrier, steps: Steps, at: Scenario, *, bridged: bool) -> Tensor:
    """D cash of a barrier option on every path, smooth in every parameter. Shape: -> batch path."""
    out, touched = split(payoff, steps, at, bridged=bridged)
    if payoff.knock == "out":
        return out
    means = [part.detach().mean(dim=1, keepdim=True) for part in (touched, out)]
    share = (means[0] / (means[0] + means[1]).clamp(min=TINY_LEVEL)).clamp(0.0, 1.0)
    return touched - share * (touched + out - vanilla(payoff, steps, at))


def split(payoff: Barrier, steps: Steps, at: Scenario, *, bridged: bool) -> tuple[Tensor, Tensor]:
    """D cash of the option that a touch ends, and of the one that it begins, if that is asked for; else zeros.

    Shape: -> batch path; batch path.
    """
    asked = payoff.knock == "in"
    uniform = cumulative(steps.normals[..., :1])
    y = torch.zeros_like(steps.drift[:, :, 0])
    weight, touched = torch.ones_like(y), torch.zeros_like(y)
    for step in range(steps.dates - 1):
        alive = living(payoff, steps, at, y, step, bridged=bridged)
        t, lived = drawn(payoff, uniform[:, :, step], alive)
        after = alive.rest + alive.along * t
        if asked and (bridged or step < len(payoff.dates)):
            beyond, lost = drawn(opposite(payoff), uniform[:, :, step], killed(payoff, alive))
            met = alive.rest + alive.along * beyond
            touched = touched + weight * lost * remaining(payoff, steps, at, met, step + 1)
        if bridged:
            gaps = [distance(payoff, steps, at, place, date) for place, date in ((y, step), (after, step + 1))]
            stays = survived(gaps[0], gaps[1], steps.along[:, :, step].square())
            if asked:
                touched = touched + weight * lived * (1.0 - stays) * remaining(payoff, steps, at, after, step + 1)
            lived = lived * stays
        y, weight = after, weight * lived
    out, last = (weight * part for part in ended(payoff, steps, at, y, bridged=bridged))
    paid = steps.discount[..., -1]
    return paid * out[..., 0], paid * (touched + last)[..., 0]


def opposite(payoff: Barrier) -> Barrier:
    """The barrier seen from the other side."""
    return replace(payoff, direction="up" if payoff.direction == "down" else "down")


def killed(payoff: Barrier, alive: Open) -> Open:
    """The part of a step that lies beyond the barrier."""
    far = torch.full_like(alive.low, FAR)
    low, high = (-far, alive.low) if payoff.direction == "down" else (alive.high, far)
    return Open(rest=alive.rest, along=alive.along, low=low, high=high)


def remaining(payoff: Barrier, steps: Steps, at: Scenario, y: Tensor, step: int) -> Tensor:
    """Cash of the option without its barrier from y after so many steps. Shape: y batch path 1 -> the same."""
    rest, along = y + steps.drift[:, :, step:].sum(dim=2), root(steps.along[:, :, step:].square().sum(dim=2))
    return unconditional(payoff, steps, at, rest, along)


def ended(payoff: Barrier, steps: Steps, at: Scenario, y: Tensor, *, bridged: bool) -> tuple[Tensor, Tensor]:
    """Cash of the last step from y, its normal integrated, untouched and touched. Shape: y batch path 1 -> the same."""
    step = living(payoff, steps, at, y, steps.dates - 1, bridged=bridged)
    alive = exercised(payoff, steps, at, step)
    cash = paid(payoff, steps, at, alive)
    looked = bridged or steps.dates <= len(payoff.dates)
    beyond = exercised(payoff, steps, at, killed(payoff, step))
    through = paid(payoff, steps, at, beyond) if looked else torch.zeros_like(cash)
    if not bridged:
        return cash, through
    touched = image(payoff, steps, at, alive, y)
    return cash - touched, through + touched


def unconditional(payoff: Barrier, steps: Steps, at: Scenario, rest: Tensor, along: Tensor) -> Tensor:
    """Cash without a barrier, of rest + along t. Shape: rest, along batch-or-1 path 1 -> batch path 1."""
    far = torch.full_like(rest, FAR)
    return paid(payoff, steps, at, exercised(payoff, steps, at, Open(rest=rest, along=along, low=-far, high=far)))


def drawn(payoff: Barrier, uniform: Tensor, step: Open) -> tuple[Tensor, Tensor]:
    """The open normal given that the step lives, and the chance of that. Shape: -> batch path 1; batch path 1."""
    if payoff.direction == "up":
        return below(uniform, step.high)
    mirrored, chance = below(uniform, -step.low)
    return -mirrored, chance


def vanilla(payoff: Barrier, steps: Steps, at: Scenario) -> Tensor:
    """D cash of the option without its barrier, all open normals integrated at once. Shape: -> batch path."""
    rest, along = steps.drift.sum(dim=2), root(steps.along.square().sum(dim=2))
    return steps.discount[..., -1] * unconditional(payoff, steps, at, rest, along)[..., 0]


def living(payoff: Barrier, steps: Steps, at: Scenario, y: Tensor, step: int, *, bridged: bool) -> Open:
    """The next step where it lies beyond the barrier, if that is looked at. Shape: y batch path 1."""
    rest, along = steps.rest(y, step), steps.along[:, :, step]
    far = torch.full_like(rest, FAR)
    low, high = -far, far
    if bridged or step < len(payoff.dates):
        end = threshold(rest, along, steps.edge(at["barrier"], step + 1))
        low, high = (end, far) if payoff.direction == "down" else (-far, end)
    return Open(rest=rest, along=along, low=low, high=high)


def exercised(payoff: Barrier, steps: Steps, at: Scenario, step: Open) -> Open:
    """The last step where the payoff is positive too; maybe nowhere."""
    end = threshold(step.rest, step.along, steps.edge(at["strike"], steps.dates))
    if payoff.side == "call":
        low, high = torch.maximum(step.low, end), step.high
    else:
        low, high = step.low, torch.minimum(step.high, end)
    return Open(rest=step.rest, along=step.along, low=low, high=torch.maximum(low, high))


def paid(payoff: Barrier, steps: Steps, at: Scenario, step: Open, weight: Tensor | None = None) -> Tensor:
    """Expectation of S_T - K where low < t < high, of a put its negative, times e^weight. Shape: -> batch path 1."""
    held, date = mass(step.low, step.high, weight), steps.dates
    if steps.law == "additive":
        scale = torch.zeros_like(step.low) if weight is None else weight
        ends = [torch.exp(scale - 0.5 * end.square()) / math.sqrt(2.0 * math.pi) for end in (step.low, step.high)]
        level = steps.level(step.rest, date) * held + steps.growth[:, :, date] * step.along * (ends[0] - ends[1])
    else:
        mean = steps.level(step.rest + 0.5 * step.along.square(), date)
        level = mean * mass(step.low - step.along, step.high - step.along, weight)
    cash = level - at["strike"] * held
    return cash if payoff.side == "call" else -cash


def image(payoff: Barrier, steps: Steps, at: Scenario, step: Open, y: Tensor) -> Tensor:
    """What bridges that touch take from the last step: the chance of that, e^(-2 a a' / v), tilts its normal.

    a' = b + clear along t is the distance after the step, and e^(-2 a a' / v) n(t) = e^q n(t - tilt) with
    tilt = -2 clear a along / v, q = tilt^2 / 2 - 2 a b / v.

    Shape: y batch path 1 -> batch path 1.
    """
    clear = 1.0 if payoff.direction == "down" else -1.0
    variance = step.along.square()
    moves = variance > CERTAIN**2
    safe = torch.where(moves, variance, torch.ones_like(variance))
    a = torch.minimum(distance(payoff, steps, at, y, steps.dates - 1).clamp(min=0.0), OUT_OF_REACH * safe.sqrt())
    b = distance(payoff, steps, at, step.rest, steps.dates)
    tilt = -2.0 * clear * a * step.along / safe
    weight = torch.where(a > 0.0, 0.5 * tilt.square() - 2.0 * a * b / safe, 0.0)
    tilted = Open(rest=step.rest + step.along * tilt, along=step.along, low=step.low - tilt, high=step.high - tilt)
    touched = paid(payoff, steps, at, tilted, weight)
    certain = torch.where(a > 0.0, torch.zeros_like(a), paid(payoff, steps, at, step))
    return torch.where(moves & (a > 0.0), touched, certain)


def distance(payoff: Barrier, steps: Steps, at: Scenario, y: Tensor, date: int) -> Tensor:
    """From the barrier after that many steps, positive on the living side. Shape: batch path 1 -> batch path 1."""
    gap = y - steps.edge(at["barrier"], date)
    return gap if payoff.direction == "down" else -gap


def survived(before: Tensor, after: Tensor, variance: Tensor) -> Tensor:
    """Chance that a Brownian bridge between two distances from the barrier stays clear. Shape: any -> broadcast."""
    moves = variance > CERTAIN**2
    apart = before.clamp(min=0.0) * after.clamp(min=0.0)
    stays = -torch.expm1(-2.0 * apart / torch.where(moves, variance, torch.ones_like(variance)))
    return torch.where(moves, stays, (apart > 0.0).to(apart.dtype))
