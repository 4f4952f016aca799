"""What continuation values are functions of: the assets' levels at a date, and every parameter that varies.

Levels that stay positive enter as (S - L) / (S + L), L an asset's level at the strike: half its log-moneyness near
there, within [-1, 1] and finite at 0. A ranked payoff of exchangeable assets sees them in order of size; of other
assets there is one function for each that may be the best or the worst. A positive strike is the unit, and no input
where values are homogeneous in spots and strike, which those of a surface of local volatility are not.
"""

from __future__ import annotations

from typing import assert_never

import numpy as np
import torch
from torch import Tensor

from pricing.errors import InvalidSpec
from pricing.simulation.paths import Paths
from pricing.simulation.payoffs import SHARP, Edges, moneyness
from pricing.simulation.scenario import Scenario
from pricing.specs.european import BestOf, Call, Put, WorstOf
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem


def require_bermudan(problem: PricingProblem) -> Bermudan:
    """The payoff.

    Raises:
        InvalidSpec: it has no exercise dates.
    """
    if not isinstance(problem.payoff, Bermudan):
        raise InvalidSpec("estimator: 'frozen' exercises Bermudan payoffs; use 'auto'", path="estimator")
    return problem.payoff


def gain(problem: PricingProblem, levels: Tensor, at: Scenario, edges: Edges = SHARP) -> Tensor:
    """How far the payoff is in the money, currency. Shape: levels batch path asset -> batch path.

    Args:
        edges: how ties between ranked assets are taken.
    """
    paths = Paths(
        forward=torch.zeros_like(levels[:1, :1, None]),
        noise=levels[:, :, None],
        law="additive",
        discount=levels.new_ones(1, 1, 1),
    )
    return moneyness(problem.payoff, paths, at, edges)


def inputs(problem: PricingProblem, levels: Tensor, at: Scenario) -> Tensor:
    """What continuation values are functions of. Shape: levels batch path asset -> batch path input."""
    known = relative(problem, levels, at)
    if exchangeable(problem):
        known = known.sort(dim=-1, descending=True).values
    columns = [known]
    others = [feature.name for feature in problem.features if feature.name != "spot"]
    if homogeneous(problem) and problem.process.facts.unscaled is None:
        others = [name for name in others if name != "strike"]
    columns += [at[name].expand(*levels.shape[:2], -1) for name in others]
    return torch.cat(columns, dim=-1)


def relative(problem: PricingProblem, levels: Tensor, at: Scenario) -> Tensor:
    """The assets' levels against those at the strike. Shape: batch path asset -> the same."""
    if not problem.process.facts.positive:
        return levels
    option = require_bermudan(problem).option
    match option:
        case WorstOf(initial=initial) | BestOf(initial=initial):
            at_strike = levels.new_tensor(initial) * scale(problem, at)[..., None]
        case Call() | Put():
            columns = problem.box.columns("spot")
            centre = levels.new_tensor(0.5 * (problem.box.lower[columns] + problem.box.upper[columns]))
            at_strike = centre * (scale(problem, at) / middle(problem, "strike"))[..., None]
        case _:
            assert_never(option)
    return (levels - at_strike) / (levels + at_strike)


def regions(problem: PricingProblem) -> int:
    """How many functions there are: no polynomial of unlike assets follows the best or the worst of them."""
    option = require_bermudan(problem).option
    return option.assets if option.facts.ranked and not exchangeable(problem) else 1


def region(problem: PricingProblem, levels: Tensor) -> Tensor:
    """Whose function holds: that of the best or the worst asset. Shape: batch path asset -> batch path."""
    option = require_bermudan(problem).option
    if regions(problem) == 1:
        return torch.zeros(levels.shape[:2], dtype=torch.long)
    match option:
        case WorstOf(initial=initial):
            return (levels / levels.new_tensor(initial)).argmin(dim=-1)
        case BestOf(initial=initial):
            return (levels / levels.new_tensor(initial)).argmax(dim=-1)
        case Call() | Put():
            raise AssertionError
        case _:
            assert_never(option)


def scale(problem: PricingProblem, at: Scenario) -> Tensor:
    """The strike where values are homogeneous in spots and strike, else 1. Shape: -> batch-or-1 1."""
    strike = at.scalar("strike")
    return strike if homogeneous(problem) else torch.ones_like(strike)


def homogeneous(problem: PricingProblem) -> bool:
    """Whether levels are positive and the strike too, wherever in the Box, so that it is a unit."""
    if not problem.process.facts.positive:
        return False
    names = [feature.name for feature in problem.features]
    if "strike" in names:
        return bool(problem.box.lower[problem.box.columns("strike")] > 0.0)
    return problem.parameters["strike"][0] > 0.0


def middle(problem: PricingProblem, name: str) -> float:
    """The centre of a feature of one coordinate, or the parameter's value."""
    for feature in problem.features:
        if feature.name == name:
            return 0.5 * (feature.lower[0] + feature.upper[0])
    return problem.parameters[name][0]


def exchangeable(problem: PricingProblem) -> bool:
    """Whether the value of a ranked payoff is symmetric in its assets."""
    process, option = problem.process, require_bermudan(problem).option
    if not isinstance(option, WorstOf | BestOf) or problem.process.assets == 1:
        return False
    if any(feature.size > 1 for feature in problem.features if feature.name != "spot"):
        return False
    pairs = np.array(process.correlation)[~np.eye(process.assets, dtype=bool)]
    values = (option.initial, tuple(pairs), *process.parameters.values())
    return not process.facts.dividends and all(len(set(numbers)) <= 1 for numbers in values)
