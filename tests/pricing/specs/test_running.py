"""A past that cannot be, or that leaves nothing to learn, is refused with its numbers before any work."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pricing.domain import Feature
from pricing.errors import InvalidSpec
from pricing.specs.payoff import Asian
from pricing.specs.process import Process
from pricing.specs.running import ends, place, require_past
from pricing.specs.sampler import MoneynessSampler, UniformSampler
from tests.pricing.cases import GAUSSIAN, PLAIN, STOCHASTIC, SURFACE, feature, problem_of

RUNNING = Asian(weights=(1.0,), strike=100.0, dates=(0.5, 1.0), past_fixings=6, past_average=120.0)
PAST = feature("past_average", 90.0, 140.0)


@pytest.mark.parametrize("process", [PLAIN, STOCHASTIC, SURFACE])
@pytest.mark.parametrize("features", [(), (PAST,), (PAST, feature("strike", 80.0, 120.0))])
def test_what_the_dates_to_come_may_decide_is_taken(process: Process, features: tuple[Feature, ...]) -> None:
    for payoff in (RUNNING, replace(RUNNING, side="put")):
        require_past(problem_of(process, payoff, *features), MoneynessSampler())


@pytest.mark.parametrize(
    ("average", "features", "reached"),
    [
        (140.0, (), "6 of 8 fixings of 140 on average come to 105"),
        (100.0, (feature("past_average", 134.0, 200.0),), "6 of 8 fixings of 134 on average come to 100.5"),
        (140.0, (feature("strike", 80.0, 105.0),), "no less than the strike 105"),
    ],
)
def test_past_fixings_beyond_the_strike_leave_a_forward_or_nothing(
    average: float, features: tuple[Feature, ...], reached: str
) -> None:
    call = replace(RUNNING, past_average=average)
    given = problem_of(PLAIN, call, *features)
    require_past(given, UniformSampler())
    with pytest.raises(InvalidSpec, match=f"{reached}.*the call is a forward.*kind = 'uniform'"):
        require_past(given, MoneynessSampler())
    with pytest.raises(InvalidSpec, match=f"{reached}.*the put is worth nothing"):
        require_past(problem_of(PLAIN, replace(call, side="put"), *features), UniformSampler())


def test_positive_baskets_have_positive_averages() -> None:
    negative = replace(RUNNING, past_average=-1.0)
    with pytest.raises(InvalidSpec, match=r"problem.payoff.past_average: past_average must be > 0"):
        require_past(problem_of(PLAIN, negative), UniformSampler())
    with pytest.raises(InvalidSpec, match=r"problem.features\[1\].lower: past_average must be > 0.*got 0.0"):
        require_past(problem_of(PLAIN, RUNNING, feature("past_average", 0.0, 90.0)), UniformSampler())
    require_past(problem_of(GAUSSIAN, negative), UniformSampler())


def test_ends_and_places_of_parameters() -> None:
    given = problem_of(PLAIN, RUNNING, PAST)
    assert ends(given, "past_average") == (90.0, 140.0)
    assert ends(given, "strike") == (100.0, 100.0)
    assert place(given, "past_average") == "problem.features[1].lower"
    assert place(given, "strike") == "problem.payoff.strike"
