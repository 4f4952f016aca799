from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.datasets import store
from app.datasets.lookup import import_named, settle_dataset
from app.datasets.table import Limits
from app.specification.build import BuildSpec
from app.specification.dataset import DatasetSource
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.types import Array

Arrays = Callable[..., dict[str, Array]]
Build = Callable[..., dict[str, Any]]
Store = Callable[[dict[str, Array]], str]
LIMITS = Limits(rows=10_000, size=1 << 24)


def test_a_build_takes_the_inferred_box_or_a_given_one(stored: str, root: Path, dataset_build: Build) -> None:
    spec = load(BuildSpec, dataset_build(stored))
    with pytest.raises(InvalidSpec):
        _ = spec.box
    inferred = settle_dataset(spec, root)
    assert inferred.box.dimension == 2
    features = [
        {"name": "spot", "lower": [0.6], "upper": [1.4]},
        {"name": "strike", "lower": [0.6], "upper": [1.4], "unit": "EUR"},
    ]
    edited = settle_dataset(load(BuildSpec, dataset_build(stored, dataset={"id": stored, "features": features})), root)
    assert edited.box.labels == ("spot", "strike")
    wide = {"id": stored, "features": [{"name": "spot", "lower": [0.6], "upper": [1.4]}]}
    with pytest.raises(InvalidSpec, match="1 coordinates and the dataset 2 columns"):
        settle_dataset(load(BuildSpec, dataset_build(stored, dataset=wide)), root)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network": {"inputs": "differential_pca"}}, 'network.inputs needs .*; set network.inputs = "features", or'),
        ({"pruning": {"rows": "sobolev"}}, 'pruning.rows needs .*; set pruning.rows = "gauss_newton", or import'),
        (
            {"pruning": {"fine_tuning": {}}},
            "fine_tuning.loss needs .*; set pruning.fine_tuning.loss.order = 0, or import",
        ),
        (
            {"training": {}, "network": {}, "polynomial": {}},
            "polynomial needs .*; set polynomial.derivative_weight = 0",
        ),
    ],
)
def test_what_lacks_derivatives_is_told_with_the_way_out(
    root: Path,
    import_arrays: Store,
    change: dict[str, Any],
    message: str,
    label_arrays: Arrays,
    dataset_build: Build,
) -> None:
    identifier = import_arrays({name: part for name, part in label_arrays().items() if name != "dydx"})
    if "pruning" in change:
        change = {"pruning": {"method": "magnitude", "sparsity": 0.3} | change["pruning"]}
    spec = dataset_build(identifier, training={"loss": {"order": 0}}) | change
    with pytest.raises(InvalidSpec, match=message):
        settle_dataset(load(BuildSpec, spec), root)


def test_a_box_stays_where_the_data_are(stored: str, root: Path, dataset_build: Build) -> None:
    column = store.find(root, stored).statistics["x[1]"]
    least, largest = column.least, column.largest

    def settle(lower: float, upper: float) -> BuildSpec:
        features = [
            {"name": "spot", "lower": [0.6], "upper": [1.4]},
            {"name": "strike", "lower": [lower], "upper": [upper]},
        ]
        return settle_dataset(
            load(BuildSpec, dataset_build(stored, dataset={"id": stored, "features": features})), root
        )

    room = 0.05 * (largest - least)
    assert settle(least - 0.99 * room, largest + 0.99 * room).box.labels == ("spot", "strike")
    for lower, upper in ((least - 1.01 * room, 1.4), (0.6, 1000.0), (50.0, 60.0)):
        with pytest.raises(
            InvalidSpec, match=rf"strike goes from .* to {upper:g} and the data of column x\[1\]"
        ) as told:
            settle(lower, upper)
        assert told.value.fields["bound"] == pytest.approx([least - room, largest + room])


def test_a_source_survives_the_manifest(stored: str, root: Path, dataset_build: Build) -> None:
    spec = settle_dataset(load(BuildSpec, dataset_build(stored)), root)
    assert load(BuildSpec, json.loads(json.dumps(dump(spec)))) == spec
    assert isinstance(spec.dataset, DatasetSource)


def test_a_file_beside_the_specification_is_imported(root: Path, tmp_path: Path, label_arrays: Arrays) -> None:
    np.savez(tmp_path / "labels.npz", **label_arrays())  # type: ignore[arg-type]  # allow_pickle is not among them
    data = {"name": "given", "dataset": {"file": "labels.npz", "held_out": 0.2}}
    known = import_named(data, tmp_path, root, LIMITS)["dataset"]["id"]
    assert import_named(data, tmp_path, root, LIMITS) == data | {"dataset": {"id": known, "held_out": 0.2}}
    assert [summary.dataset for summary in store.catalogue(root)] == [known]


def test_what_names_no_file_is_left_alone(root: Path, tmp_path: Path) -> None:
    for data in ({"name": "given"}, {"dataset": {"id": "0" * 64}}, {"dataset": "labels.npz"}):
        assert import_named(data, tmp_path, root, LIMITS) is data
    both = {"dataset": {"id": "0" * 64, "file": "labels.npz"}}
    with pytest.raises(InvalidSpec, match="give its id or a file, not both"):
        import_named(both, tmp_path, root, LIMITS)
