"""The one place where an estimator's specification meets its module."""

from __future__ import annotations

from typing import assert_never

from pricing.estimators import bridge, conditional, direct, frozen, likelihood_ratio, survival
from pricing.estimators.contribution import Contribution
from pricing.simulation.joins import stated_joins
from pricing.simulation.smoothing import stated_bias
from pricing.specs.choice import settle
from pricing.specs.estimator import (
    Automatic,
    Bridge,
    Conditional,
    Estimator,
    Frozen,
    LikelihoodRatio,
    Pathwise,
    Smoothed,
    Survival,
)
from pricing.specs.problem import PricingProblem

# Numbers, words, and a row per join.
Stated = dict[str, float | list[str] | list[dict[str, float]]]


def bias(problem: PricingProblem, estimator: Estimator) -> Stated:
    """What `stated_bias` says of the estimator on this problem, and under ``unstated`` what else biases its labels.

    Of a smoothed payoff in pieces ``joins`` says it knot by knot (`stated_joins`).

    Survival smooths the ties between several assets as `Smoothed` does, early exercise over its own width. Time steps,
    bridges that are not exact and the exercise rule have no formula: more steps (`pricing.time_step_bias`), or paths of
    the rule, and the change of the labels tell.
    """
    chosen, process = settle(problem, estimator), problem.process
    tied = isinstance(chosen, Survival) and process.assets > 1
    ranked = isinstance(chosen, Frozen) and problem.payoff.facts.ranked and process.assets > 1 and chosen.width > 0.0
    unstated = list[str]()
    if process.facts.grid is not None:
        unstated.append("time steps of the process")
    if isinstance(chosen, Bridge) and process.facts.bridge != "exact":
        unstated.append("bridges between the steps")
    if isinstance(chosen, Frozen):
        unstated.append("exercise rule")
    joins = stated_joins(problem.payoff, chosen) if isinstance(chosen, Smoothed) else []
    smoothed = Smoothed() if tied else chosen
    if isinstance(chosen, Frozen) and ranked:
        smoothed = Smoothed(width=chosen.width)
    stated: Stated = {**stated_bias(smoothed), "unstated": unstated}
    return {**stated, "joins": joins} if joins else stated


def contribution(problem: PricingProblem, estimator: Estimator, *, seed: int) -> Contribution:
    """What every path contributes.

    Args:
        seed: of what an estimator has to fit before labels are made, on paths of its own.

    Raises:
        InvalidSpec: the estimator does not fit the problem.
    """
    chosen = settle(problem, estimator)
    match chosen:
        case Pathwise() | Smoothed():
            return direct.contribution(problem, chosen)
        case Conditional():
            return conditional.contribution(problem, chosen)
        case Survival():
            return survival.contribution(problem)
        case Bridge():
            return bridge.contribution(problem, chosen)
        case LikelihoodRatio():
            return likelihood_ratio.contribution(problem, chosen)
        case Frozen():
            return frozen.contribution(problem, chosen, seed=seed)
        case Automatic():
            raise AssertionError
        case _:
            assert_never(chosen)
