"""Early exercise by a rule that was fitted beforehand, on paths that it has not seen.

With the exercise value h_k, the rule's continuation value C_k (`pricing.exercise.rule`) and V_n the last payoff's exact
expectation over the first normal of the last step, all discounted,

    V_k = C_k + r_w(h_k - C_k) + 1{h_k < C_k} (V_(k+1) - C_k),     label = E[V_1],

r_w a smooth x^+ of fourth order. For w = 0 that is the value of the rule: h_k where it exercises, V_(k+1) elsewhere.
The indicator is held fixed, and C_k stands for V_(k+1) where the paths cross the exercise boundary. So

* value: that of the rule, which no rule of the same information exceeds (low), plus O(w^4);
* gradient: pathwise, with the exercise boundary held fixed in the states, right to first order in the error of C_k at
  the boundary (the optimal boundary has no first-order effect);
* ties between ranked assets, where what exercise pays is kinked: smoothed over the same width of their distance;
* curvature: the boundary's share is the jump from grad C_k to grad h_k across it, where a plain smooth decision would
  differentiate the noise of V_(k+1) twice: 20 times the standard error on a 5-asset max-call.

References: Longstaff & Schwartz (2001); Piterbarg (2004), Computing deltas of callable Libor exotics; PRICING_MATH 15.
"""

from __future__ import annotations

from functools import partial

import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.estimators import conditional
from pricing.estimators.contribution import Contribution
from pricing.estimators.open_normal import Line, paths_along
from pricing.estimators.opening import bent
from pricing.exercise.degree import UNSEEN, settled
from pricing.exercise.inputs import gain, require_bermudan, scale
from pricing.exercise.rule import ExerciseRule, fit_rule
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.payoffs import SHARP, Edges, Recorder, Smooth, moneyness
from pricing.simulation.rotation import Rotation, identity
from pricing.simulation.scenario import Scenario, times
from pricing.simulation.smoothing import ramp
from pricing.specs.choice import require_estimator
from pricing.specs.estimator import Frozen
from pricing.specs.problem import PricingProblem


def contribution(problem: PricingProblem, estimator: Frozen, *, seed: int) -> Contribution:
    """Discounted cash at the exercise date.

    Args:
        seed: of the paths that the rule is fitted on.

    Raises:
        InvalidSpec: a payoff without exercise dates, or one whose last step no formula integrates.
    """
    require_estimator(problem, estimator)
    with_degree = settled(problem, estimator, seed=seed)
    rule, sizes = fit_rule(problem, with_degree, seed=seed), groups(problem)
    value = partial(held, rule, estimator.width)
    return Contribution(
        value=value,
        pilot=partial(value, rotation=identity(sizes)),
        blocks=sizes,
        numbers=4 * sum(sizes) + sum(len(polynomial.basis) for fits in rule.near for polynomial in fits),
        fitting=estimator.paths * (1 if estimator.given_degree is not None else 1 + UNSEEN),
    )


def european(problem: PricingProblem) -> PricingProblem:
    """The option at maturity alone."""
    return replace(problem, payoff=require_bermudan(problem).option)


def groups(problem: PricingProblem) -> tuple[int, ...]:
    """Sizes of the groups of normals that a rotation may mix: the last step's stay apart, one of them is integrated."""
    columns = last_step(problem)
    _, *rest = blocks(problem.process, len(require_bermudan(problem).dates))
    return tuple(size for size in (columns.start, columns.stop - columns.start, *rest) if size)


def last_step(problem: PricingProblem) -> slice:
    """The normals that move the last date alone: those at the end of every process's first block."""
    end = blocks(problem.process, len(require_bermudan(problem).dates))[0]
    return slice(end - problem.process.assets, end)


def held(rule: ExerciseRule, width: float, at: Scenario, normals: Tensor, rotation: Rotation) -> Tensor:
    """The discounted cash V_1. Shape: normals 1-or-batch path dimension -> batch path."""
    problem = rule.problem
    paths = opened(problem, at, normals, rotation)
    total = paths.discount[..., -1] * conditional.expected(european(problem), paths, at)
    smooth_ties = ties(problem, at, width, normals.shape[-1])
    for date in reversed(range(len(rule.near))):
        levels, discount = paths.level[:, :, date], paths.discount[..., date]
        later = rule.continuation(levels, at, date=date).clamp(min=0.0)
        excess = gain(problem, levels, at, smooth_ties[date]) - later
        smooth = ramp("average", excess, width=width * rule.spreads[date] * scale(problem, at).detach())
        total = discount * (later + smooth) + torch.where(excess < 0.0, total - discount * later, 0.0)
    return total


def ties(problem: PricingProblem, at: Scenario, width: float, dimension: int) -> list[Edges]:
    """How ties between ranked assets are taken at each date: what exercise pays has a kink there like any other.

    Smooth over the width in standard deviations of the assets' distance at that date, on the path of zero normals.
    """
    option, dates = require_bermudan(problem).option, len(require_bermudan(problem).dates)
    if not (option.facts.ranked and option.assets > 1 and width > 0.0):
        return [SHARP] * dates
    fixed = at.detach()
    zeros = torch.zeros(len(at["spot"]), 1, dimension, dtype=torch.float64, requires_grad=True)
    edges: list[Edges] = []
    with torch.enable_grad():
        paths = simulate(problem.process, fixed, zeros, times(problem, fixed))
        for date in range(dates):
            recorder = Recorder(normals=zeros, deviations=[])
            moneyness(option, paths, fixed, recorder, date=date)
            edges.append(Smooth(kernel="average", widths=iter([width * wide for wide in recorder.deviations])))
    return edges


def opened(problem: PricingProblem, at: Scenario, normals: Tensor, rotation: Rotation) -> Line:
    """The paths with the first normal of the last step open. Shape: normals 1-or-batch path dimension."""
    columns = last_step(problem)
    unit = torch.zeros(1, 1, normals.shape[-1], dtype=torch.float64)
    unit[..., columns.start] = 1.0
    option = require_bermudan(problem).option
    direction = bent(problem, option, at.detach(), axis=rotation(unit), columns=columns)
    return paths_along(problem.process, at, rotation(normals), times(problem, at), direction=direction)
