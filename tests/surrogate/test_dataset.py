from __future__ import annotations

from pathlib import Path

import torch

from surrogate.dataset import FIELDS, Dataset, load, save


def test_round_trip_is_exact_and_its_bytes_repeat(dataset: Dataset, tmp_path: Path) -> None:
    save(dataset, tmp_path / "a.npz")
    again = load(tmp_path / "a.npz")
    for name in FIELDS:
        assert torch.equal(getattr(again, name), getattr(dataset, name))
    save(again, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_missing_labels_stay_missing(dataset: Dataset, tmp_path: Path) -> None:
    save(Dataset(x=dataset.x, y=dataset.y), tmp_path / "values.npz")
    values = load(tmp_path / "values.npz")
    assert values.gradient is None
    assert values.rows(slice(3)).curvature is None
    assert len(values.rows(slice(3))) == 3
