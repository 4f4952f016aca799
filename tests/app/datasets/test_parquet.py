from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as arrow
import pytest
from pyarrow import parquet

from app.datasets.parquet import read_parquet
from app.datasets.table import Limits
from app.errors import InvalidRequest, Unavailable

LIMITS = Limits(rows=1000, size=1 << 20)
Y = np.array([0.1, 0.2, -0.3])


def test_a_column_of_lists_is_a_column_for_each_place(tmp_path: Path) -> None:
    parquet.write_table(arrow.table({"x": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], "y": Y}), tmp_path / "a.parquet")
    header, numbers, places = read_parquet(tmp_path / "a.parquet", LIMITS)
    assert header == ["x[0]", "x[1]", "y"]
    np.testing.assert_array_equal(numbers, [[1.0, 2.0, 0.1], [3.0, 4.0, 0.2], [5.0, 6.0, -0.3]])
    assert places == range(3)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    for table, message in (
        ({"x": [[1.0, 2.0], [3.0]], "y": [0.0, 1.0]}, "column x: all its lists must have the same length"),
        ({"x": [1.0, None, 2.0], "y": Y}, "row 1, column x: need a number, got nothing"),
        ({"x0": ["a", "b", "c"], "y": Y}, "column x0: need numbers, got string"),
        ({"x": [[[1.0]], [[2.0]]], "y": [0.0, 1.0]}, "column x: need numbers, got list<"),
        ({"x": [[1.0, 2.0], [3.0, None]], "y": [0.0, 1.0]}, "row 1, column x: need a number, got nothing"),
        ({"x": arrow.array([[], []], arrow.list_(arrow.float64())), "y": [0.0, 1.0]}, "same length, at least 1"),
        ({"x": [[1.0], [2.0]], "x[0]": [1.0, 2.0], "y": [0.0, 1.0]}, r"column x\[0\] is there twice"),
    ):
        parquet.write_table(arrow.table(table), path)
        with pytest.raises(InvalidRequest, match=message):
            read_parquet(path, LIMITS)
    path.write_bytes(b"PAR1 and nothing else")
    with pytest.raises(InvalidRequest, match="not readable Parquet"):
        read_parquet(path, LIMITS)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet.write_table(arrow.table({"x0": [1.0, 2.0], "y": [0.0, 1.0]}), tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(Unavailable, match=r"\[parquet\]"):
        read_parquet(tmp_path / "a.parquet", LIMITS)
