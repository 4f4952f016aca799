from __future__ import annotations

import pytest

from app.errors import InvalidRequest
from app.specification.client_text import kept_name, plain, printable, to_float


@pytest.mark.parametrize("text", ["1_00", "\u0665", "\uff11", "1\u00a0", "0x10", "1,5", "", "one", "\u00b2", "--1"])
def test_only_decimal_notation_is_a_number(text: str) -> None:
    assert to_float(text) is None


def test_numbers_are_read() -> None:
    assert [to_float(text) for text in ("1", " -1.5e3 ", "+.5", "5.", "inf")] == [1.0, -1500.0, 0.5, 5.0, float("inf")]
    assert plain("10") == "10"
    with pytest.raises(ValueError, match="0 to 9"):
        plain("1_0")


@pytest.mark.parametrize("name", ["a\nb", "a\x1b[2J", "\x7f", "a\u202eb", "\ud800", "a\x00", "x" * 201, "a\u2028"])
def test_names_are_short_and_printable(name: str) -> None:
    with pytest.raises(InvalidRequest, match="name must have at most 200 printable characters") as refused:
        kept_name(name)
    assert str(refused.value).isprintable()


def test_names_that_are_kept() -> None:
    given = (None, "", "  ", " desk ", "Händler 7", "x" * 200)
    assert [kept_name(name) for name in given] == [None, None, None, "desk", "Händler 7", "x" * 200]


def test_what_a_terminal_would_obey_is_escaped() -> None:
    assert printable("Händler \x1b[31m\n") == "Händler \\x1b[31m\\n"
