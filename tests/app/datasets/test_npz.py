from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.datasets.npz import from_archive
from app.datasets.table import Limits
from app.errors import InvalidRequest

LIMITS = Limits(rows=1000, size=1 << 20)
X = np.array([[1.0, 2.0], [1.5, 2.5], [0.5, 3.0]])
Y = np.array([0.1, 0.2, -0.3])
DYDX = np.array([[0.1, 0.2], [0.3, 0.4], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X}, "lacks y"),
        ({"x": X, "y": Y, "z": Y}, "the archive has z"),
        ({"x": X, "y": Y[:2]}, r"y must have the shape \(3,\), got \(2,\)"),
        ({"x": X, "y": Y, "dydx": DYDX[:, :1]}, r"dydx must have the shape \(3, 2\), got \(3, 1\)"),
        ({"x": X, "y": np.array([0.0, np.inf, 1.0])}, "row 1, column y: need a finite number from .* got inf"),
        ({"x": X, "y": np.array(["a", "b", "c"])}, "not an NPZ archive of numbers"),
        ({"x": X, "y": np.array([{}, 1, 2], dtype=object)}, "not an NPZ archive of numbers"),
        ({"x": X, "y": np.float64(3.0)}, "holds a single number"),
        ({"x": X[None], "y": Y}, "x must have the shape"),
    ],
)
def test_what_is_wrong_with_an_archive_is_named(tmp_path: Path, arrays: dict[str, np.ndarray], message: str) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]  # allow_pickle is not among them
    with pytest.raises(InvalidRequest, match=message):
        from_archive(tmp_path / "a.npz", LIMITS)


def test_one_feature_may_be_an_array_of_one_dimension(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X[:, 0], y=Y, dydx=DYDX[:, 0])
    table = from_archive(tmp_path / "a.npz", LIMITS)
    assert table.names == ("x[0]",)
    assert table.dydx is not None
    assert table.x.shape == table.dydx.shape == (3, 1)


def test_integers_are_numbers(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=np.array([1, 2, 3], dtype=np.int16))
    np.testing.assert_array_equal(from_archive(tmp_path / "a.npz", LIMITS).y, [1.0, 2.0, 3.0])
