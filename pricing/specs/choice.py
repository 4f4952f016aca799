"""What estimators fit a problem, and the one it gets. Torch-free: a submission is held to it."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from pricing.errors import InvalidSpec
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
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem


def choose(problem: PricingProblem) -> Estimator:
    """The rule: unbiased and smooth wherever a formula integrates the edge, see docs/choosing-labels.md."""
    payoff, process = problem.payoff.facts, problem.process.facts
    match payoff.decided:
        case "always":
            return Bridge()
        case "holder":
            return Frozen()
        case "dates" if payoff.survives and process.unaffine is None and process.unopened is None:
            return Survival()
        case "maturity" | "average" | "dates":
            return Conditional() if not_integrated(problem) is None else Smoothed()
        case _:
            assert_never(payoff.decided)


def settle(problem: PricingProblem, estimator: Estimator) -> Estimator:
    """The estimator itself, or the one that the rule chooses."""
    return choose(problem) if isinstance(estimator, Automatic) else estimator


def require_estimator(problem: PricingProblem, estimator: Estimator) -> None:
    """Raise InvalidSpec unless the estimator, or the one that the rule chooses, labels the problem rightly."""
    chosen = settle(problem, estimator)
    reason = misfit(problem, chosen)
    if reason is None:
        return
    if isinstance(estimator, Automatic) and problem.payoff.facts.decided == "always":
        raise InvalidSpec(f"problem.payoff.dates: {reason}", path="problem.payoff.dates")
    raise InvalidSpec(f"estimator: {reason}", path="labels.estimator")


def misfit(problem: PricingProblem, estimator: Estimator) -> str | None:
    """Why the estimator does not fit the problem, and what to use; None where it does."""
    match estimator:
        case Pathwise() | Smoothed():
            return not_dated(problem, estimator)
        case Conditional():
            reason = not_integrated(problem)
            return reason and f"'conditional' {reason}; use 'auto' or 'smoothed'"
        case Survival():
            return not_surviving(problem)
        case Bridge():
            return not_bridged(problem)
        case LikelihoodRatio():
            reason = no_density(problem, estimator)
            return reason and f"'likelihood_ratio' {reason}, or use 'auto'"
        case Frozen():
            return not_exercised(problem)
        case Automatic():
            raise AssertionError
        case _:
            assert_never(estimator)


def not_dated(problem: PricingProblem, estimator: Pathwise | Smoothed) -> str | None:
    """Why the assets at the payoff's dates do not decide it, or there is no such control variate."""
    payoff = problem.payoff.facts
    if payoff.decided in ("holder", "always"):
        missed = "exercise" if payoff.decided == "holder" else "what happens between dates"
        return f"the payoff on simulated dates misses {missed}; use 'auto'"
    if isinstance(estimator, Smoothed) or estimator.control == "none":
        return None
    plain = payoff.vanilla or payoff.decided == "average"
    if problem.process.facts.lognormal and plain and payoff.weights is not None and min(payoff.weights) >= 0.0:
        return None
    return (
        "control = 'geometric' needs 'black_scholes' without discrete dividends and a call, put or Asian with "
        "weights >= 0; use control = 'none'"
    )


def not_integrated(problem: PricingProblem) -> str | None:
    """Why no formula integrates one normal of this problem; None where one does."""
    payoff, process = problem.payoff.facts, problem.process.facts
    if payoff.unintegrated is not None:
        return payoff.unintegrated
    if payoff.last_look < 1.0 and process.opened == "last step":
        return "integrates a normal of the last step of this process, which comes after the average"
    if any(dividend.amount and dividend.time == problem.maturity for dividend in process.dividends):
        return "has no step left after a dividend in cash at maturity"
    if process.unopened is not None:
        return process.unopened
    signs = {weight > 0.0 for weight in payoff.weights or () if weight}
    if process.random_variance and len(signs) > 1:
        return "finds one root only, and weights of both signs may have more where variances are random"
    return None


def not_surviving(problem: PricingProblem) -> str | None:
    """Why one-step survival does not fit the problem; None where it does."""
    if not problem.payoff.facts.survives:
        return "'survival' is for barriers with dates and for autocalls; use 'auto'"
    process = problem.process.facts
    if process.unaffine is not None:
        return f"'survival' and 'bridge' need {process.unaffine}, or use 'smoothed' on dates"
    return process.unopened and f"'survival' {process.unopened}; use 'auto' or 'smoothed'"


def not_bridged(problem: PricingProblem) -> str | None:
    """Why bridges between the simulated points do not fit the problem; None where they do."""
    process = problem.process.facts
    if problem.payoff.facts.decided != "always":
        return "'bridge' is for a barrier without dates; use 'auto'"
    if process.dividends:
        return (
            "'bridge' takes a barrier as straight between its points, over which a dividend jumps; give the barrier "
            "dates, or the dividends as yields"
        )
    if process.unaffine is not None:
        return f"a barrier without dates needs {process.unaffine}, or give the barrier dates"
    if process.bridge is None:
        return "'bridge' needs a process whose paths are Brownian between two dates; give the barrier dates"
    return None


def no_density(problem: PricingProblem, estimator: LikelihoodRatio) -> str | None:
    """Why the likelihood ratio of the path would be wrong; None where it is right."""
    payoff = problem.payoff.facts
    if not problem.process.facts.density:
        return "needs a density of the path that is known: 'bachelier', or 'black_scholes' without discrete dividends"
    if payoff.decided in ("holder", "always"):
        return "needs a payoff of the levels at given dates"
    if estimator.scope == "last" and payoff.decided == "dates":
        return "of scope 'last' differentiates no jump before the last date; use scope = 'full'"
    return None


def not_exercised(problem: PricingProblem) -> str | None:
    """Why a frozen exercise rule does not fit the problem; None where it does."""
    if not isinstance(problem.payoff, Bermudan):
        return "'frozen' exercises Bermudan payoffs; use 'auto'"
    reason = not_integrated(replace(problem, payoff=problem.payoff.option))
    return reason and f"the last step of 'frozen' {reason}"
