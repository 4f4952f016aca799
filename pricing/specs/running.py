"""Past fixings that cannot be, or that leave nothing to learn. Torch-free."""

from __future__ import annotations

from pricing.errors import InvalidSpec
from pricing.specs.asian import Asian
from pricing.specs.problem import PricingProblem
from pricing.specs.sampler import UNIFORM, MoneynessSampler, Sampler


def require_past(problem: PricingProblem, sampler: Sampler) -> None:
    """Raise InvalidSpec for an average of past fixings that positive baskets never have, or that decides all."""
    payoff = problem.payoff
    if not isinstance(payoff, Asian) or not payoff.past:
        return
    if not problem.process.facts.positive or min(payoff.weights) < 0.0:
        return
    least, _ = ends(problem, "past_average")
    if not least > 0.0:
        path = place(problem, "past_average")
        raise InvalidSpec(
            f"{path}: past_average must be > 0 (currency), got {least!r}: baskets of these levels are positive",
            path=path,
            bound=0.0,
        )
    if payoff.average == "arithmetic":
        require_undecided(problem, payoff, sampler)


def require_undecided(problem: PricingProblem, payoff: Asian, sampler: Sampler) -> None:
    """Raise InvalidSpec where past fixings alone exceed the strike in all of the Box.

    A put is then worth nothing. A call is a forward, which is learnt where it is sampled by no kink.
    """
    (least, _), (_, strike) = ends(problem, "past_average"), ends(problem, "strike")
    reached = payoff.past / payoff.fixings * least
    if reached < strike:
        return
    said = (
        f"problem.payoff.past_average: {payoff.past} of {payoff.fixings} fixings of {least:g} on average come to "
        f"{reached:g}, no less than the strike {strike:g}, whatever the {len(payoff.dates)} to come"
    )
    if payoff.side == "put":
        raise InvalidSpec(
            f"{said}: the put is worth nothing in all of the Box and nothing is left to learn; take it out of the book",
            path="problem.payoff.past_average",
            bound=strike,
        )
    if isinstance(sampler, MoneynessSampler):
        raise InvalidSpec(
            f"{said}: the call is a forward in all of the Box, without a kink to sample around; price it as a "
            f"forward, or {UNIFORM}",
            path="labels.sampler",
            bound=strike,
        )


def ends(problem: PricingProblem, name: str) -> tuple[float, float]:
    """Least and largest value of a parameter in the Box."""
    for feature in problem.features:
        if feature.name == name:
            return min(feature.lower), max(feature.upper)
    values = problem.parameters[name]
    return min(values), max(values)


def place(problem: PricingProblem, name: str) -> str:
    """Where the specification says a parameter of the payoff: among the features, or in the payoff."""
    names = [feature.name for feature in problem.features]
    return f"problem.features[{names.index(name)}].lower" if name in names else f"problem.payoff.{name}"
