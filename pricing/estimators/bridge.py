"""Continuous barriers by the chance that a Brownian bridge between the simulated points stays clear of them.

`ProcessFacts.bridge` says how: exact at any number of steps; a barrier taken as straight between the points where carry
bends it; steps of the process's own (`pricing.estimators.heston_barrier`). The last two have a bias that falls with the
steps.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor

from pricing.estimators import barrier, heston_barrier
from pricing.estimators.contribution import Contribution
from pricing.estimators.steps import steps
from pricing.processes.simulate import blocks
from pricing.simulation.rotation import Rotation, identity
from pricing.simulation.scenario import Scenario
from pricing.specs.choice import require_estimator
from pricing.specs.diffusion import Diffusion
from pricing.specs.estimator import Bridge
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Heston


def contribution(problem: PricingProblem, estimator: Bridge) -> Contribution:
    """Discounted cash, weighted by the survival of every step.

    Raises:
        InvalidSpec: another payoff than a continuous barrier, dividends, or a process whose steps are not Gaussian.
    """
    require_estimator(problem, estimator)
    assert isinstance(problem.payoff, Barrier)  # `PayoffFacts.decided`
    facts = problem.process.facts
    equal = max(estimator.steps, facts.grid or 1)
    count = equal + len(starts(problem.process))
    sizes = (count, count) if facts.bridge == "own steps" else blocks(problem.process, count)
    value = partial(weighted, problem, problem.payoff, equal)
    return Contribution(
        value=value, pilot=partial(value, rotation=identity(sizes)), blocks=sizes, numbers=4 * sum(sizes)
    )


def weighted(
    problem: PricingProblem, payoff: Barrier, count: int, at: Scenario, normals: Tensor, rotation: Rotation
) -> Tensor:
    """D cash times the chance that no step touched. Shape: normals 1-or-batch path dimension -> batch path."""
    until = grid(problem.process, at, count)
    if isinstance(problem.process, Heston):
        return heston_barrier.expected(payoff, problem.process, at, rotation(normals), until)
    return barrier.expected(payoff, steps(problem.process, at, rotation(normals), until), at, bridged=True)


def grid(process: Diffusion, at: Scenario, count: int) -> Tensor:
    """Equal steps to maturity, and the starts of pieces, so that all is constant within a step.

    A piece that starts after maturity gives an empty step at 0; at the end it would leave nothing to integrate.

    Shape: -> batch-or-1 1 date.
    """
    maturity = at["maturity"]
    equal = maturity * torch.arange(1, count + 1, dtype=maturity.dtype) / count
    begun = maturity.new_tensor(starts(process))
    ordered: Tensor = torch.cat([equal, torch.where(begun < maturity, begun, 0.0)], dim=-1).sort(dim=-1).values
    return ordered


def starts(process: Diffusion) -> list[float]:
    """Times at which the rate or the volatility scale changes, years."""
    return sorted({piece.start for piece in (*process.rate_pieces, *process.volatility_pieces)})
