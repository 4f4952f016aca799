from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.datasets import store
from app.datasets.table import Limits
from app.errors import UnknownDataset, UnknownModel, UnknownVersion
from app.pipeline.settle import settle
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import JobKind, load_spec
from pricing.errors import InvalidSpec
from pricing.types import Array

PRUNING = {"method": "magnitude", "sparsity": 0.3}


@pytest.mark.parametrize("kind", ["prune", "retrain"])
def test_a_version_must_be_there(kind: JobKind, tiny_registry: Path) -> None:
    rest: dict[str, Any] = {"pruning": PRUNING} if kind == "prune" else {}
    registry = Registry(tiny_registry)
    here = load_spec(kind, {"model": "tiny", "version": "latest", **rest})
    assert settle(here, registry) is here
    with pytest.raises(UnknownModel):
        settle(load_spec(kind, {"model": "other", **rest}), registry)
    with pytest.raises(UnknownVersion):
        settle(load_spec(kind, {"model": "tiny", "version": 7, **rest}), registry)
    registry.close()


def test_changes_must_fit_the_version(tiny_registry: Path) -> None:
    registry = Registry(tiny_registry)
    with pytest.raises(InvalidSpec, match="unknown field"):
        settle(load_spec("retrain", {"model": "tiny", "changes": {"problem.process.rte": 1.0}}), registry)
    registry.close()


def test_a_teacher_must_fit_the_box(tiny: dict[str, Any], tiny_registry: Path) -> None:
    registry = Registry(tiny_registry)
    taught = tiny | {"labels": {"model": "tiny@1", "samples": 32, "order": 1}}
    assert isinstance(settle(load_spec("train", taught), registry), BuildSpec)
    wide = {"name": "spot", "lower": [0.5, 0.4], "upper": [1.5, 1.5]}
    with pytest.raises(InvalidSpec, match=r"spot\[1\] is 0.4 to 1.5 here and 0.5 to 1.5 in tiny@1"):
        settle(load_spec("train", taught | {"problem": tiny["problem"] | {"features": [wide]}}), registry)
    with pytest.raises(UnknownModel):
        settle(load_spec("train", tiny | {"labels": {"model": "other"}}), registry)
    registry.close()


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"payoff": {"kind": "digital", "weights": [0.5, 0.5], "strike": 1.0}}, "problem.payoff"),
        ({"maturity": 2.0}, "problem.maturity"),
    ],
    ids=["payoff", "maturity"],
)
def test_a_teacher_must_price_the_same(
    change: dict[str, Any], field: str, tiny: dict[str, Any], tiny_registry: Path
) -> None:
    registry = Registry(tiny_registry)
    taught = tiny | {"problem": tiny["problem"] | change, "labels": {"model": "tiny@1", "samples": 32, "order": 1}}
    with pytest.raises(InvalidSpec, match=f"tiny@1 prices something else, {field}"):
        settle(load_spec("train", taught), registry)
    registry.close()


def test_a_prune_job_is_refused_before_it_is_queued(
    tiny: dict[str, Any], tiny_registry: Path, stored: str, root: Path
) -> None:
    """Where its dataset has no derivatives to fine-tune on, other columns, or the model nothing to prune."""
    registry = Registry(tiny_registry)
    job = {"model": "tiny", "pruning": PRUNING | {"fine_tuning": {}}, "dataset": {"id": "0" * 64}}
    with pytest.raises(UnknownDataset):
        settle(load_spec("prune", job), registry)
    registry.close()


def test_columns_with_names_are_those_of_the_problem(
    tiny: dict[str, Any], root: Path, tmp_path: Path, label_arrays: Callable[..., dict[str, Array]]
) -> None:
    arrays = label_arrays()
    table = np.column_stack([arrays["x"], arrays["y"], arrays["dydx"]])
    limits = Limits(rows=10_000, size=1 << 24)
    for header, taken in (("spot,strike", False), ("spot[1],spot[0]", True), ("x0,x1", True)):
        path = tmp_path / "labels.csv"
        np.savetxt(path, table, delimiter=",", header=f"{header},y,dydx0,dydx1", comments="")
        identifier = store.import_file(path, root, limits)[0].dataset
        plain = {name: value for name, value in tiny.items() if name != "labels"} | {"dataset": {"id": identifier}}
        registry = Registry(root)
        if taken:
            assert isinstance(settle(load_spec("train", plain), registry), BuildSpec)
        else:
            with pytest.raises(InvalidSpec, match=r"the features of the problem spot\[0\], spot\[1\]"):
                settle(load_spec("train", plain), registry)
        registry.close()
