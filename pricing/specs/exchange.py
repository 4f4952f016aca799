"""Assets that may change places: the value is the same function after they do, so every label is one of many.

Torch-free.
"""

from __future__ import annotations

import math

from pricing.specs.parameters import PARAMETERS
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem

# Samples that are learnt from in the end: more copies than these leave little to win and cost as much again.
MOST_SAMPLES = 8192

Groups = tuple[tuple[int, ...], ...]


def like_assets(problem: PricingProblem) -> Groups:
    """Groups of two assets and more, any two of which may change places in the problem and its Box."""
    groups: list[list[int]] = []
    for asset in range(problem.process.assets):
        for group in groups:
            if alike(problem, group[0], asset):
                group.append(asset)
                break
        else:
            groups.append([asset])
    return tuple(tuple(group) for group in groups if len(group) > 1)


def alike(problem: PricingProblem, one: int, other: int) -> bool:
    """Whether nothing changes where two assets change places."""
    if marks(problem, one) != marks(problem, other):
        return False
    if any(PARAMETERS[feature.name].field == "correlation" for feature in problem.features):
        return True
    rho, others = problem.process.correlation, set(range(problem.process.assets)) - {one, other}
    return all(rho[one][k] == rho[other][k] for k in others)


def marks(problem: PricingProblem, asset: int) -> list[object]:
    """All that problem and Box say of one asset alone: bounds, dividends, every field with one entry per asset.

    A field in whose place a feature stands says nothing.
    """
    process, payoff = problem.process, problem.payoff
    option = payoff.option if isinstance(payoff, Bermudan) else payoff
    varied = {PARAMETERS[feature.name].field for feature in problem.features}
    fields = [getattr(process, name) for name in process.__struct_fields__ if name not in varied]
    if option.facts.sized_by is not None:
        fields.append(getattr(option, option.facts.sized_by))
    listed = [field for field in fields if isinstance(field, tuple) and field]
    entries = [field[asset] for field in listed if isinstance(field[0], int | float | str)]
    names = per_asset(problem)
    bounds = [(feature.lower[asset], feature.upper[asset]) for feature in problem.features if feature.name in names]
    dividends = [(paid.time, paid.amount, paid.proportion) for paid in process.facts.dividends if paid.asset == asset]
    return [entries, bounds, dividends]


def per_asset(problem: PricingProblem) -> list[str]:
    """The features that have one coordinate per asset."""
    return [feature.name for feature in problem.features if PARAMETERS[feature.name].coordinates == "one per asset"]


def copies(problem: PricingProblem, samples: int) -> int:
    """From how many arrangements of like assets a sample is learnt, itself among them: no more than there are."""
    arrangements = math.prod(math.factorial(len(group)) for group in like_assets(problem))
    return max(1, min(arrangements, MOST_SAMPLES // samples))
