from __future__ import annotations

import numpy as np
import pytest

from app.datasets.table import NUMBER_BYTES, LabelTable, Limits, checked, require_numbers, require_rows
from app.errors import InvalidRequest, TooLarge
from pricing.types import Array


def table(x: list[list[float]], y: list[float], **other: Array) -> LabelTable:
    names = tuple(f"x[{place}]" for place in range(len(x[0])))
    return LabelTable(names=names, x=np.array(x), y=np.array(y), **other)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([[1.0, 2.0]], [3.0], "need rows at different points, some 1,000 of them, got 1 at one point"),
        ([[1.0, 2.0], [1.0, 2.0]], [3.0, 4.0], "got 2 at one point"),
        ([[1.0, 2.0], [1.0, 3.0]], [3.0, 4.0], r"column x\[0\] is 1.0 in every row: leave it out"),
        ([[1.0], [2.0]], [3.0, 3.0], "column y is 3.0 in every row: there is nothing to learn"),
        ([[1.0] * 1001, [2.0] * 1001], [3.0, 4.0], "at most 1000 features, got 1001"),
        ([[1.0], [np.inf]], [3.0, 4.0], r"row 1, column x\[0\]: need a finite number .* got inf"),
    ],
)
def test_what_nothing_can_be_learnt_from_is_refused(x: list[list[float]], y: list[float], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        checked(table(x, y), range(len(y)), "row")


def test_what_can_be_learnt_from_is_what_was_given() -> None:
    labels = table([[1.0], [2.0]], [0.0, 1.0], dydx=np.array([[0.5], [0.5]]), weight=np.array([1.0, 2.0]))
    assert checked(labels, range(2), "row") is labels
    with pytest.raises(InvalidRequest, match="column weight: need a finite number from 1e-100"):
        checked(table([[1.0], [2.0]], [0.0, 1.0], weight=np.array([1.0, 0.0])), range(2), "row")


def test_there_is_one_zero() -> None:
    arrays = table([[-0.0], [1.0]], [0.0, 1.0]).arrays
    assert list(arrays) == ["x", "y"]
    assert not np.signbit(arrays["x"]).any()
    assert arrays["x"].dtype == np.dtype("<f8")


def test_limits_are_met_exactly() -> None:
    limits = Limits(rows=10, size=20 * NUMBER_BYTES)
    require_rows(10, limits)
    require_numbers(20, limits)
    with pytest.raises(TooLarge, match="more than 10 rows"):
        require_rows(11, limits)
    with pytest.raises(TooLarge, match="more than 160 bytes"):
        require_numbers(21, limits)
