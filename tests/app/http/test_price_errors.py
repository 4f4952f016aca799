from __future__ import annotations

from typing import Any

import pytest
import simdjson
from hypothesis import given
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.http.price_errors import LARGEST_INTEGER, SHOWN, find_fault, shown
from pricing.domain import Box

finite = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)


@given(st.lists(st.lists(finite, min_size=3, max_size=3), min_size=1, max_size=5))
def test_there_is_no_fault_in_what_the_box_needs(box: Box, rows: list[list[float]]) -> None:
    find_fault(rows, box)
    find_fault({"spot": [row[:2] for row in rows], "volatility": [row[2] for row in rows]}, box)


@pytest.mark.parametrize(
    ("inputs", "path", "sentence"),
    [
        (3, "inputs", "must be a list of rows of 3 numbers (spot[0], spot[1], volatility), got 3"),
        ([[1.0, 2.0, 3.0], 4.0], "inputs[1]", "must be a list of 3 numbers"),
        ([[1.0, 2.0]], "inputs[0]", "must have 3 numbers (spot[0], spot[1], volatility), got 2"),
        ([[1.0, None, "x"]], "inputs[0][1]", "must be a number, got null"),
        ([[1.0, 2.0, True]], "inputs[0][2]", "must be a number, got true"),
        ([[1.0, 2.0, LARGEST_INTEGER]], "inputs[0][2]", "write a number of this size with an exponent"),
        ([[1.0, float("nan"), 3.0]], "inputs[0][1]", "must be finite (float64), got nan"),
        ({"volatility": [0.2, []]}, "inputs.volatility[1]", "must be a number, got a list"),
        ({"volatility": 0.2}, "inputs.volatility", "must be a list of numbers, one per row"),
        ({"spot": [[1.0, {}]]}, "inputs.spot[0][1]", "must be a number, got an object"),
    ],
)
def test_the_first_fault_is_named_by_its_place(box: Box, inputs: Any, path: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        find_fault(inputs, box)
    assert refused.value.fields["path"] == path
    assert sentence in str(refused.value)


def test_what_the_parser_made_is_walked_as_well(box: Box) -> None:
    parser = simdjson.Parser()
    with pytest.raises(InvalidRequest, match=r"inputs\[1\]\[0\] must be a number, got 'a'"):
        find_fault(parser.parse(b'[[1, 2, 3], ["a", 2, 3]]'), box)


def test_a_long_value_is_cut() -> None:
    assert len(shown("x" * 1000)) == SHOWN
    assert (shown(None), shown(False), shown(1.5), shown([]), shown({})) == (
        "null",
        "false",
        "1.5",
        "a list",
        "an object",
    )
