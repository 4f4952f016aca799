"""Which estimator a problem gets, and the one place where an estimator's specification meets its module."""

from __future__ import annotations

from typing import assert_never

from pricing.errors import InvalidSpec
from pricing.estimators import bridge, conditional, direct, frozen, likelihood_ratio, survival
from pricing.estimators.contribution import Contribution
from pricing.smoothing import stated_bias
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
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, Digital
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Heston, LocalVolatility
from pricing.steps import not_affine


def choose(problem: PricingProblem) -> Estimator:
    """The rule: unbiased and smooth wherever a formula integrates the edge, see docs/choosing-labels.md."""
    match problem.payoff:
        case Barrier(dates=()):
            return Bridge()
        case Barrier() | Autocall():
            return Survival() if not_affine(problem.process) is None else Smoothed()
        case Bermudan():
            return Frozen()
        case _ if conditional.obstacle(problem) is not None:
            return Smoothed()
        case _:
            return Conditional()


def settle(problem: PricingProblem, estimator: Estimator) -> Estimator:
    """The estimator itself, or the one that the rule chooses."""
    return choose(problem) if isinstance(estimator, Automatic) else estimator


def require_differentiable(problem: PricingProblem, estimator: Estimator, *, order: int) -> None:
    """Raise InvalidSpec unless the estimator's labels have derivatives of that order.

    Every estimator has first derivatives but pathwise ones of a payoff that jumps, and all but two have second ones.
    """
    chosen = settle(problem, estimator)
    hard = isinstance(chosen, Frozen) and chosen.width == 0.0
    if isinstance(chosen, LikelihoodRatio) and chosen.scope == "last" and isinstance(problem.payoff, Asian):
        hard = True  # its kink moves with the dates before the last
    if order >= 2 and (isinstance(chosen, Pathwise) or hard):
        raise InvalidSpec(
            "order = 2 needs a smooth estimator: kinks and hard decisions have no curvature on any path; use 'auto'",
            path="labels.order",
        )
    if order >= 1 and isinstance(chosen, Pathwise) and isinstance(problem.payoff, Digital | Barrier | Autocall):
        raise InvalidSpec(
            f"estimator: 'pathwise' misses the jumps of a {problem.payoff.__class__.__name__.lower()}, so its deltas "
            "are wrong; use 'auto', or order = 0",
            path="labels.estimator",
        )


def bias(problem: PricingProblem, estimator: Estimator) -> dict[str, float | list[str]]:
    """What `stated_bias` says of the estimator on this problem, and under ``unstated`` what else biases its labels.

    Survival smooths the ties between several assets as `Smoothed` does. Time steps, bridges that are not exact and the
    exercise rule have no formula: more steps, or paths of the rule, and the change of the labels tell.
    """
    chosen, process = settle(problem, estimator), problem.process
    tied = isinstance(chosen, Survival) and process.assets > 1
    unstated = list[str]()
    if isinstance(process, Heston | LocalVolatility):
        unstated.append("time steps of the process")
    if isinstance(chosen, Bridge) and not bridge.exact(process):
        unstated.append("bridges between the steps")
    if isinstance(chosen, Frozen):
        unstated.append("exercise rule")
    return {**stated_bias(Smoothed() if tied else chosen), "unstated": unstated}


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
