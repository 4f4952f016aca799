"""Early exercise on several Black-Scholes assets: at every sample a rule of its own, a lower bound and its dual.

The value is the lower bound, and its stated error the gap to the upper one with what the noise of both may add: see
`pricing.references.enclosure`. Nothing is shared with the labels' rule, which is one for the Box and regresses the cash
of paths. Second derivatives are by spots.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from pricing.exercise.inputs import exchangeable
from pricing.references.continuation import POINTS, STATES, TERMS, fit
from pricing.references.derivatives import Derivatives, Order
from pricing.references.enclosure import INNER, PATHS, Setting, enclose
from pricing.references.market import market
from pricing.references.methods import TwoSided
from pricing.references.pair import floor
from pricing.references.replicates import STREAM
from pricing.simulation.scenario import scenario
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.types import Array

# Independent sets of points, and how many of their standard errors a stated error counts: of what is told by so few
# replicates an entry in a few hundred lies further off.
REPLICATES, SURE = 16, 3.5
# What the lower bound misses of each of its derivatives.
MISSED = {"value": "gap", "gradient": "slack", "hessian": "bend"}
# Points that take two minutes on one thread: so many numbers, at so many points at most and at least.
NUMBERS, MOST, LEAST = 1 << 35, 1 << 6, 1 << 2


def method(problem: PricingProblem, payoff: Bermudan) -> TwoSided:
    """How early exercise on several assets is referenced."""
    assets, varied = payoff.assets, len(problem.features) > 1
    rows = len(payoff.dates) * (STATES * POINTS + REPLICATES * PATHS * INNER)
    points = NUMBERS // (rows * (TERMS + 2 * assets * (assets + 16)) * (3 if varied else 1))
    return TwoSided(points=min(max(points, LEAST), MOST), known="spots" if varied else "all")


def enclosed(
    problem: PricingProblem, features: Array, *, order: Order, seed: int
) -> tuple[Derivatives, Derivatives, Array]:
    """Value, gradient and Hessian by spots, what they miss at most, and the gap. Shape: features batch feature."""
    samples, dimension = features.shape
    spots = problem.box.columns("spot")
    shapes = (samples,), (samples, dimension), (samples, dimension, dimension)
    means, errors = (Derivatives(*(np.zeros(shape) for shape in shapes)) for _ in range(2))
    gaps = np.zeros(samples)
    for i in range(samples):
        mean, error, gaps[i] = _sample(problem, features[i : i + 1], seed=seed)
        for whole, part in ((means, mean), (errors, error)):
            whole.value[i], whole.gradient[i], whole.hessian[i, spots, spots] = part
    for whole in (means, errors):
        whole.gradient[:] *= order > 0
        whole.hessian[:] *= order > 1
    return means, errors, gaps


def _sample(problem: PricingProblem, features: Array, *, seed: int) -> tuple[Derivatives, Derivatives, float]:
    """Means, errors and the gap at one sample; spots next to nothing move along a straight line."""
    spots, payoff = problem.box.columns("spot"), problem.payoff
    assert isinstance(payoff, Bermudan)
    raised = features.copy()
    at = scenario(problem, torch.from_numpy(features))
    raised[:, spots] = np.maximum(features[:, spots], floor(payoff, at, features[:, spots]))
    row = torch.from_numpy(raised)
    with torch.no_grad():
        rule = fit(market(problem, row), ordered=exchangeable(problem))
    setting = Setting(problem=problem, rule=rule, row=row)
    runs = [enclose(setting, np.random.default_rng([STREAM, seed, r])) for r in range(REPLICATES)]
    stacks = {name: np.stack([vars(run)[name] for run in runs]) for name in vars(runs[0])}
    mean = {name: stack.mean(axis=0) for name, stack in stacks.items()}
    noise = {name: SURE * _noise(stack) for name, stack in stacks.items()}
    for name in ("gradient", "slack"):  # of other features in other units
        noise[name] = SURE * stacks[name].std(axis=0, ddof=1) / math.sqrt(REPLICATES)
        noise[name][spots] = SURE * _noise(stacks[name][:, spots])
    value = mean["value"] + mean["gradient"][spots] @ (features - raised)[0, spots]
    errors = (noise[own] + mean[missed] + noise[missed] for own, missed in MISSED.items())
    return Derivatives(value, mean["gradient"], mean["hessian"]), Derivatives(*errors), float(mean["gap"])


def _noise(replicates: Array) -> Array:
    """Standard errors of the means, none less than all entries have on average. Shape: replicate ... -> ..."""
    own = replicates.std(axis=0, ddof=1) / math.sqrt(REPLICATES)
    result: Array = np.maximum(own, np.sqrt(np.mean(own**2)))
    return result
