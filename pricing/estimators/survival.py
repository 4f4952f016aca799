"""Discrete barriers and autocalls by one-step survival: every step drawn given that it does not end the contract.

An autocall on the path that was never called, Q_k its weight and p the chances of the open normal t given the rest:

    redemption   sum_k D_k Q_(k-1) P(W_k >= H_k) + D_n Q_(n-1) E[(1 - (1 - W_n / strike) 1{W_n < knock-in}); W_n < H_n]
    coupon j     sum_(k >= j) D_k Q_(j-1) P(W_j < B, ..., W_(k-1) < B, W_k >= B)

Coupon j is paid at the first date from j on with W >= B, or never: without memory only k = j counts. With memory each
has a branch of its own from date j on, drawn below the coupon barrier, so that no indicator is left: n (n + 1) / 2
steps of shared normals in place of n, and no weight changes sign.

The thresholds are maxima over the assets. Their ties are smoothed by the fourth-order kernel of
`pricing.simulation.smoothing` with the bias that `Smoothed` states; with one asset there is none and no bias.

References: Glasserman & Staum (2001); Gerstner, Harrach & Roth (2018) and Alm, Harrach, Harrach & Keller (2013) for
autocalls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import assert_never

import torch
from torch import Tensor

from pricing.elementary import cumulative
from pricing.estimators import barrier
from pricing.estimators.contribution import Contribution
from pricing.estimators.steps import TINY_LEVEL, Steps, steps, threshold
from pricing.estimators.truncation import below
from pricing.processes.simulate import blocks
from pricing.simulation.fixings import knock_in, missed_coupons
from pricing.simulation.rotation import Rotation, identity
from pricing.simulation.scenario import Scenario, times
from pricing.simulation.smoothing import ramp, stated_bias
from pricing.specs.choice import require_estimator
from pricing.specs.estimator import Smoothed, Survival
from pricing.specs.payoff import Autocall, Barrier
from pricing.specs.problem import PricingProblem

# Width of the ties between assets, in standard deviations of their difference, or of the open normal, which is what is
# integrated beyond it, if that is less: what `Smoothed` takes for its bias.
TIE = stated_bias(Smoothed())["width"]

# D cash given the conditions, times their chance. Shape: -> batch path.
Expected = Callable[[Steps, Scenario], Tensor]


@dataclass(frozen=True, kw_only=True)
class Branches:
    """Paths that conditions have kept so far, and their chances.

    Shape: y ``branch batch path asset``; weight ``branch batch path``.
    """

    y: Tensor
    weight: Tensor


def contribution(problem: PricingProblem) -> Contribution:
    """Discounted cash, weighted by the chance of every condition.

    Raises:
        InvalidSpec: another payoff than a discrete barrier or an autocall, or a process whose steps are not Gaussian.
    """
    payoff = problem.payoff
    require_estimator(problem, Survival())
    assert isinstance(payoff, Autocall | Barrier)  # `PayoffFacts.survives`
    count = len(payoff.facts.dates)
    sizes = blocks(problem.process, count)
    match payoff:
        case Barrier():
            expected, branches = partial(barrier.expected, payoff, bridged=False), 1
        case Autocall():
            expected, branches = partial(autocall, payoff), count if payoff.memory else 1
        case _:
            assert_never(payoff)
    value = partial(weighted, problem, expected)
    return Contribution(
        value=value, pilot=partial(value, rotation=identity(sizes)), blocks=sizes, numbers=4 * sum(sizes) * branches
    )


def weighted(problem: PricingProblem, expected: Expected, at: Scenario, normals: Tensor, rotation: Rotation) -> Tensor:
    """D cash given the conditions, times their chance. Shape: normals 1-or-batch path dimension -> batch path."""
    return expected(steps(problem.process, at, rotation(normals), times(problem, at)), at)


def autocall(payoff: Autocall, steps: Steps, at: Scenario) -> Tensor:
    """D cash of an autocall; the first branch is alive, the others wait for a coupon. Shape: -> batch path."""
    initial = at["spot"].new_tensor(payoff.initial)
    uniform = cumulative(steps.normals[..., 0])
    y = torch.zeros_like(steps.drift[:, :, 0])[None]
    paths = Branches(y=y, weight=torch.ones_like(y[..., 0]))
    total: Tensor | float = 0.0
    for step, trigger in enumerate(payoff.triggers):
        rest, weight = steps.rest(paths.y, step), paths.weight
        owed = weight * (1.0 + missed_coupons(at)) if step == 0 else weight  # the first coupon brings those before it
        draw = partial(kept, along=steps.along[:, :, step], uniform=uniform[:, :, step])
        coupon = trigger_normal(steps, rest, at["coupon_barrier"] * initial, step)
        call = trigger_normal(steps, rest, trigger * initial, step)
        cash = payoff.coupon * (owed * cumulative(-coupon)).sum(dim=0)
        if step == steps.dates - 1:
            low = trigger_normal(steps, rest[:1], knock_in(payoff, at)[..., None] * initial, step)
            knocked = draw(rest[:1], weight[:1], end=torch.minimum(low, call[:1]))
            worst = lowest(steps, steps.level(knocked.y[0], step + 1) / initial)
            cash = cash + weight[0] - knocked.weight[0] * (1.0 - worst / payoff.strike)
        else:
            cash = cash + weight[0] * cumulative(-call[0])
            paths = draw(rest[:1], weight[:1], end=call[:1])
            if payoff.memory:
                paths = joined(paths, draw(rest, owed, end=torch.minimum(coupon, call)))
        total = total + steps.discount[..., step] * cash
    return payoff.notional * torch.as_tensor(total)


def kept(rest: Tensor, weight: Tensor, *, along: Tensor, uniform: Tensor, end: Tensor) -> Branches:
    """The branches drawn on, given that the open normal stays below its end.

    Shape: rest branch batch path asset; weight and end branch batch path; along and uniform without branch.
    """
    t, mass = below(uniform, end)
    return Branches(y=rest + along * t[..., None], weight=weight * mass)


def joined(first: Branches, others: Branches) -> Branches:
    """All of them."""
    return Branches(y=torch.cat([first.y, others.y]), weight=torch.cat([first.weight, others.weight]))


def trigger_normal(steps: Steps, rest: Tensor, level: Tensor, step: int) -> Tensor:
    """The t from which on every asset is at or above its level.

    Shape: rest branch batch path asset -> branch batch path.
    """
    thresholds = threshold(rest, steps.along[:, :, step], steps.edge(level, step + 1))
    along = steps.along[:, :, step].detach()
    rows = steps.across[:, :, step].detach() / along.where(along > 0.0, 1.0)[..., None]
    return highest(thresholds, rows)


def lowest(steps: Steps, levels: Tensor) -> Tensor:
    """The worst level at the last date, ties smoothed in logarithms. Shape: batch path asset -> batch path."""
    if levels.shape[-1] == 1:
        return levels[..., 0]
    rows = torch.cat([steps.along[:, :, -1, :, None], steps.across[:, :, -1]], dim=-1).detach()
    return torch.exp(-highest(-torch.log(levels.clamp(min=TINY_LEVEL)), rows))


def highest(x: Tensor, rows: Tensor) -> Tensor:
    """Maximum over the last axis, max(a, b) = a + (b - a)^+ with a smooth ramp of the width TIE.

    Args:
        rows: what multiplies the step's normals in x, so that their distances are the deviations of differences.
            Shape: batch-or-1 path-or-1 asset normal.

    Shape: batch path asset -> batch path.
    """
    high = x[..., 0]
    for i in range(1, x.shape[-1]):
        nearest = (rows[..., :i, :] - rows[..., i : i + 1, :]).norm(dim=-1).amin(dim=-1).clamp(max=1.0)
        high = high + ramp("average", x[..., i] - high, width=TIE * nearest)
    return high
