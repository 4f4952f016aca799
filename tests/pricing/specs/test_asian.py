"""Past fixings are given as a number and an average, both or neither."""

from __future__ import annotations

from typing import Any

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.asian import MAXIMUM_PAST, Asian
from pricing.specs.base import dump, load

FRESH = {"kind": "asian", "weights": [1.0], "strike": 100.0, "dates": [0.5, 1.0]}
RUNNING = {**FRESH, "past_fixings": 10, "past_average": 101.3}


def test_a_contract_that_has_not_begun_says_nothing_of_its_past() -> None:
    fresh = load(Asian, FRESH)
    assert (fresh.past, fresh.fixings, fresh.parameters) == (0, 2, {"strike": (100.0,)})
    assert {"past_fixings", "past_average"}.isdisjoint(dump(fresh))  # as what was published before they were there


def test_the_average_of_the_past_is_a_parameter_that_scales() -> None:
    running = load(Asian, RUNNING)
    assert (running.past, running.fixings) == (10, 12)
    assert running.parameters == {"strike": (100.0,), "past_average": (101.3,)}
    assert running.facts.levels == ("strike", "past_average")
    assert load(Asian, dump(running)) == running


@pytest.mark.parametrize(
    ("change", "message", "path"),
    [
        ({"past_average": None}, "past_average: past_fixings needs it: give how many", "past_average"),
        ({"past_fixings": None}, "past_fixings: past_average needs it", "past_fixings"),
        ({"past_fixings": 0}, rf"past_fixings must be in \[1, {MAXIMUM_PAST}\], got 0", "past_fixings"),
        ({"past_fixings": MAXIMUM_PAST + 1}, rf"past_fixings must be in \[1, {MAXIMUM_PAST}\]", "past_fixings"),
        ({"past_average": float("nan")}, "past_average must be finite", "past_average"),
        ({"average": "geometric", "past_average": 0.0}, "past_average must be > 0", "past_average"),
        ({"average": "geometric", "weights": [-1.0]}, "weights must be >= 0 where a geometric average", "weights"),
    ],
)
def test_refusals(change: dict[str, Any], message: str, path: str) -> None:
    plain = {name: value for name, value in {**RUNNING, **change}.items() if value is not None}
    with pytest.raises(InvalidSpec, match=message) as caught:
        load(Asian, plain)
    assert caught.value.fields["path"] == path
