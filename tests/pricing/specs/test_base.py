"""How plain data becomes a specification and back, and the checks that several share."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.errors import InvalidSpec
from pricing.specs.base import (
    MAXIMUM_ASSETS,
    MAXIMUM_TERMS,
    Spec,
    dump,
    load,
    require_increasing,
    require_length,
    require_positive,
    require_power_of_two,
    require_range,
    require_terms,
)
from pricing.specs.problem import PricingProblem


def test_problems_survive_json(problem: PricingProblem) -> None:
    assert load(PricingProblem, json.loads(json.dumps(dump(problem)))) == problem


def test_specs_are_frozen(problem: PricingProblem) -> None:
    assert isinstance(problem, Spec)
    with pytest.raises(AttributeError, match="immutable"):
        problem.maturity = 2.0  # type: ignore[misc]


@given(value=st.integers(-4, 1 << 12))
def test_powers_of_two_have_one_bit(value: int) -> None:
    if value > 0 and bin(value).count("1") == 1 and value <= 1024:
        require_power_of_two("paths", value, 1024)
        return
    with pytest.raises(InvalidSpec, match=f"paths must be a power of two from 1 to 1024, got {value}") as caught:
        require_power_of_two("paths", value, 1024)
    assert caught.value.fields == {"path": "paths", "bound": [1, 1024]}


@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_a_range_holds_its_ends_and_no_more(value: float) -> None:
    if 0.0 <= value <= 1.0:
        require_range("share", value, 0.0, 1.0)
        return
    with pytest.raises(InvalidSpec, match=r"share must be in \[0, 1\]") as caught:
        require_range("share", value, 0.0, 1.0)
    assert caught.value.fields == {"path": "share", "bound": [0.0, 1.0]}


@given(times=st.lists(st.integers(0, 5).map(float), max_size=4))
def test_times_that_increase(times: list[float]) -> None:
    for strictly in (True, False):
        increasing = all(a < b or (a == b and not strictly) for a, b in pairwise(times))
        if increasing:
            require_increasing("dates", times, strictly=strictly)
        else:
            with pytest.raises(InvalidSpec, match="dates: times must increase"):
                require_increasing("dates", times, strictly=strictly)


@pytest.mark.parametrize(("degree", "inputs"), [(0, 3), (2, 3), (6, 7), (2, 50)])
def test_terms_are_those_of_all_monomials(degree: int, inputs: int) -> None:
    """C(inputs + degree, degree), which is the number of ways to share the degree out."""
    counts = [1] + [0] * degree
    for _ in range(inputs + 1):  # one more than there are inputs takes what is left of the degree
        counts = [sum(counts[: total + 1]) for total in range(degree + 1)]
    assert require_terms(degree, inputs) == counts[degree] <= MAXIMUM_TERMS


def test_more_terms_than_can_be_solved_for_are_refused() -> None:
    with pytest.raises(InvalidSpec, match=f"in 30 inputs have {math.comb(33, 3)} terms, at most") as caught:
        require_terms(3, 30)
    assert caught.value.fields == {"path": "degree", "bound": MAXIMUM_TERMS}


def test_values_of_assets_are_finite_positive_and_one_each() -> None:
    require_positive("volatilities", (0.0, 0.2), unit="per sqrt(year)")
    require_length("skews", (0.0, -0.2), 2)
    with pytest.raises(InvalidSpec, match=r"volatilities\[1\] must be >= 0 \(per sqrt\(year\)\), got -0.2"):
        require_positive("volatilities", (0.0, -0.2), unit="per sqrt(year)")
    with pytest.raises(InvalidSpec, match=f"give 1 to {MAXIMUM_ASSETS} of them, got 0"):
        require_positive("volatilities", (), unit="per sqrt(year)")
    with pytest.raises(InvalidSpec, match="skews: give 3, one per asset, got 2"):
        require_length("skews", (0.0, -0.2), 3)
    with pytest.raises(InvalidSpec, match=r"skews\[1\] must be finite, got nan"):
        require_length("skews", (0.0, math.nan), 2)
