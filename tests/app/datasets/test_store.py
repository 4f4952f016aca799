"""Datasets under their content hash."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from app.datasets import store
from app.datasets.table import Limits
from app.errors import UnknownDataset
from pricing.domain import Feature
from pricing.types import Array

Arrays = Callable[..., dict[str, Array]]
LIMITS = Limits(rows=10_000, size=1 << 24)


def test_the_same_content_is_the_same_dataset(root: Path, tmp_path: Path, label_arrays: Arrays) -> None:
    file = tmp_path / "labels.npz"
    np.savez(file, **label_arrays())  # type: ignore[arg-type]  # allow_pickle is not among them
    facts, new = store.import_file(file, root, LIMITS, name="first")
    again, newer = store.import_file(file, root, LIMITS, name="second")
    assert (new, newer, again) == (True, False, replace(facts, name="second"))
    assert store.find(root, facts.dataset) == again
    facts = again  # and without a name it keeps the one it has
    parts = label_arrays()
    table = np.column_stack([parts["x"], parts["y"], parts["dydx"]])
    text = "x0,x1,y,dydx0,dydx1\n" + "\n".join(",".join(map(repr, row)) for row in table.tolist())
    (tmp_path / "labels.csv").write_text(text)
    assert store.import_file(tmp_path / "labels.csv", root, LIMITS) == (facts, False)
    (tmp_path / "named.csv").write_text(text.replace("x0,x1", "a,b", 1))
    assert store.import_file(tmp_path / "named.csv", root, LIMITS)[0].dataset != facts.dataset
    assert {path.suffix for path in (root / "datasets").iterdir()} == {".npz", ".json"}


def test_what_is_stored_is_what_was_given(stored: str, root: Path, label_arrays: Arrays) -> None:
    for name, part in label_arrays().items():
        np.testing.assert_array_equal(store.read(root, stored).arrays[name], part)
    facts, parts = store.find(root, stored), label_arrays()
    assert (facts.rows, facts.distinct_rows, facts.derivatives, facts.weights) == (200, 200, True, False)
    lower, upper = (tuple(bound.tolist()) for bound in (parts["x"].min(axis=0), parts["x"].max(axis=0)))
    assert facts.features == (Feature(name="x", lower=lower, upper=upper, unit="unit"),)
    assert facts.statistics["y"].mean == parts["y"].mean()
    for unknown in ("0" * 64, "../" + stored, ""):
        with pytest.raises(UnknownDataset):
            store.find(root, unknown)


def test_an_import_that_fails_leaves_nothing(root: Path, tmp_path: Path) -> None:
    """As on a full disk: there is room for the numbers and not for what is said of them."""
    file, columns = tmp_path / "labels.csv", [f"x{place}" for place in range(200)]
    file.write_text("\n".join([",".join([*columns, "y"]), *(",".join([one] * 201) for one in "12")]))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 14, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            store.import_file(file, root, LIMITS)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((root / "datasets").iterdir()) == []
    assert store.import_file(file, root, LIMITS)[1]
