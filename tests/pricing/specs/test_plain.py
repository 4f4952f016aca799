from __future__ import annotations

from typing import Any

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.plain import MAXIMUM_DEPTH, require_plain


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("value", "sentence", "path"),
    [
        (10**400, "9223372036854775807, got one of 1329 bits", "a[1].b"),
        (1 << 63, "from -9223372036854775808 to 9223372036854775807, got 9223372036854775808", "a[1].b"),
        (-(1 << 63) - 1, "from -9223372036854775808 to 9223372036854775807, got -9223372036854775809", "a[1].b"),
        (1e308, r"must be 0 or 1e-100 to 1e\+100 in size, got 1e\+308", "a[1].b"),
        (5e-324, "in size, got 5e-324", "a[1].b"),
        (float("nan"), "must be finite, got nan", "a[1].b"),
        ("\ud800", r"a text has printable characters only, got '\\ud800'", "a[1].b"),
        ("nul\0", "printable characters only", "a[1].b"),
        ("x" * 1001, "a text has at most 1000 characters, got 1001", "a[1].b"),
        ({"\udfff": 1}, "the name of a field has printable characters only", "a[1].b"),
        ({"a` - at `$": 1}, "the name of a field has no backtick", "a[1].b"),
        ({"k" * 201: 1}, "the name of a field has at most 200 characters", "a[1].b"),
        ({str(i): i for i in range(1001)}, "a table has at most 1000 entries, got 1001", "a[1].b"),
        ([0.0] * ((1 << 18) + 1), "a list has at most 262144 entries", "a[1].b"),
    ],
)
def test_what_no_field_takes_is_refused_where_it_stands(value: Any, sentence: str, path: str) -> None:
    with pytest.raises(InvalidSpec, match=sentence) as error:
        require_plain({"a": [0.0, {"b": value}]})
    assert error.value.fields["path"] == path


def test_depth_is_bounded() -> None:
    require_plain(nested(MAXIMUM_DEPTH))
    with pytest.raises(InvalidSpec, match="nest at most 32 deep"):
        require_plain(nested(MAXIMUM_DEPTH + 1))
    require_plain(
        {"seed": (1 << 63) - 1, "ridge": None, "weights": (-1e-12, 1e100, 0.0), "flag": True, "unit": "€ / y"}
    )


@pytest.mark.parametrize("value", [-(1 << 63), (1 << 63) - 1, 0])
def test_every_integer_of_64_bits_is_plain(value: int) -> None:
    require_plain({"a": value})
