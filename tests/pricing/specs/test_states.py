from __future__ import annotations

import re

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.states import MAXIMUM_STATES, require_states, states_sha256


@pytest.mark.parametrize(
    ("states", "message", "path"),
    [
        ([], "give 2 to 20000 rows, got 0", "states"),
        ([[1.0]] * (MAXIMUM_STATES + 1), "give 2 to 20000 rows, got 20001", "states"),
        ([[1.0] * 200] * 2000, "more than 262144 numbers", "states"),
        ([[1.0, 2.0], [3.0]], "states[1] has 1 columns, the first row 2", "states[1]"),
        ([[], []], "states[0] has 0 columns", "states[0]"),
        ([[1.0, 2.0], [3.0, float("nan")]], "states[1][1] must be finite, got nan", "states[1][1]"),
        ([[float("inf")], [3.0]], "states[0][0] must be finite, got inf", "states[0][0]"),
    ],
)
def test_tables_that_make_no_sense(states: list[list[float]], message: str, path: str) -> None:
    with pytest.raises(InvalidSpec, match=re.escape(message)) as caught:
        require_states(states)
    assert caught.value.fields["path"] == path


def test_the_hash_is_of_the_numbers() -> None:
    states = ((1.0, 2.0), (3.0, 0.1))
    require_states(states)
    assert states_sha256(states) == states_sha256([list(row) for row in states])
    assert states_sha256(states) != states_sha256(((1.0, 2.0), (3.0, 0.1 + 1e-16)))
    assert states_sha256(((1.0, 2.0), (3.0, 4.0))) != states_sha256(((1.0, 3.0), (2.0, 4.0)))
