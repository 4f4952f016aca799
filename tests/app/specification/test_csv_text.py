from __future__ import annotations

import pytest

from app.errors import InvalidRequest
from app.specification.csv_text import Numbers, rows_of, separator_of, without_id


@pytest.mark.parametrize(
    ("line", "mark"),
    [("a,b", ","), ("a;b,c", ";"), ("a\tb,c", "\t"), ('"a;b",c', ","), ("a", ","), ("", ","), ('"a\tb";c', ";")],
)
def test_the_first_line_says_what_separates(line: str, mark: str) -> None:
    assert separator_of(line) == mark


def test_lines_have_numbers_and_empty_ones_are_left_out() -> None:
    assert list(rows_of(["a;b\n", "\n", ";\n", "1;2\n"])) == [(";", 1, ["a", "b"]), (";", 4, ["1", "2"])]
    assert list(rows_of([])) == []


@pytest.mark.parametrize(
    ("separator", "cell", "number"),
    [
        (",", "1.5", 1.5),
        (",", "1,5", None),
        (";", "1,5", 1.5),
        ("\t", " -1,5e-3 ", -1.5e-3),
        (";", "1,234,567", None),
        (";", "1.234,5", None),
        (";", "", None),
        (";", "12", 12.0),
    ],
)
def test_a_comma_is_a_decimal_point_where_it_does_not_separate(separator: str, cell: str, number: float | None) -> None:
    assert Numbers(separator).parse(cell) == number
    assert Numbers(separator).parse_all([cell, "2"]) == [number, 2.0]


@pytest.mark.parametrize(("first", "second"), [("1.5", "1,5"), ("1,5", "1.5")])
def test_one_file_writes_numbers_one_way(first: str, second: str) -> None:
    numbers = Numbers(";")
    assert numbers.parse(first) == 1.5
    assert numbers.parse("7") == 7.0
    with pytest.raises(InvalidRequest, match="write all with a point"):
        numbers.parse(second)


def test_one_column_of_ids_is_no_number() -> None:
    assert without_id(["x", " ID ", "y"]) == ([0, 2], 1)
    assert without_id(["x", "y"]) == ([0, 1], None)
    for header in (["id", "id"], ["x", "ID", " Id "]):
        with pytest.raises(InvalidRequest, match="both name rows"):
            without_id(header)
