from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.errors import InvalidRequest
from app.specification.feature_files import read_archive, read_features
from pricing.domain import Box, Feature

BOX = Box(features=(Feature(name="spot", lower=(0.0, 0.0), upper=(1.0, 1.0)),))
GOOD = {"spot[0]": [0.1, 0.2], "spot[1]": [0.3, 0.4]}


def test_columns_come_in_the_order_of_the_box(tmp_path: Path) -> None:
    expected = [[0.1, 0.3], [0.2, 0.4]]
    np.savez(tmp_path / "a.npz", allow_pickle=False, **{"spot[1]": [0.3, 0.4], "spot[0]": [0.1, 0.2]})
    (tmp_path / "a.csv").write_text("spot[1],spot[0]\n0.3,0.1\n0.4,0.2\n")
    assert read_archive(tmp_path / "a.npz", BOX).tolist() == expected
    assert read_features(tmp_path / "a.csv", BOX).tolist() == expected


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"spot[0]": [0.1]}, r"must name spot\[0\], spot\[1\], got spot\[0\]"),
        (GOOD | {"rate": [0.0, 0.0]}, r"got spot\[0\], spot\[1\], rate"),
        (GOOD | {"spot[1]": [0.3]}, r"of one length, got spot\[0\] \(2,\) of float64, spot\[1\] \(1,\)"),
        (GOOD | {"spot[1]": ["a", "b"]}, "arrays of numbers"),
        (GOOD | {"spot[1]": [0.3, np.inf]}, r"spot\[1\]\[1\] must be finite, got inf"),
    ],
)
def test_archives_that_do_not_fit(columns: dict[str, Any], message: str, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", allow_pickle=False, **columns)
    with pytest.raises(InvalidRequest, match=message):
        read_archive(tmp_path / "a.npz", BOX)


def test_files_that_are_no_archives(tmp_path: Path) -> None:
    (tmp_path / "text.npz").write_text("spot")
    np.save(tmp_path / "single.npy", np.zeros(3))
    np.savez(tmp_path / "pickled.npz", allow_pickle=True, **{"spot[0]": np.array([None]), "spot[1]": np.array([None])})
    for name in ("missing.npz", "text.npz", "single.npy", "pickled.npz"):
        with pytest.raises(InvalidRequest, match="is not an NPZ file of numbers"):
            read_archive(tmp_path / name, BOX)
