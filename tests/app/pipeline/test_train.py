from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from app.pipeline.build import build
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.label import label
from app.pipeline.train import train
from app.specification.build import BuildSpec
from pricing.specs.base import load
from pruning.spec import PruningSpec
from surrogate.artifact.manifest import plain_manifest
from surrogate.export.onnx_reader import read_network
from surrogate.learning.ridge import FOLDS
from surrogate.learning.training import silent
from surrogate.report.report import plain_report

PRUNING = {"method": "magnitude", "sparsity": 0.3}


def test_a_network_that_sees_the_axes_of_the_deltas_is_like_any_other(tiny: dict[str, Any], tmp_path: Path) -> None:
    """Its first layer has the rank of the axes; proof, pruning, file and report take it as it is."""
    spec = tiny | {"network": tiny["network"] | {"inputs": "differential_pca", "axes": 1}}
    made = build(load(BuildSpec, spec), tmp_path / "dense")
    assert np.linalg.matrix_rank(read_network(made.model).weights[0].numpy()) == 1
    assert plain_report(made.report)["axes"]["count"] == 1
    pruned = build(load(BuildSpec, spec | {"pruning": PRUNING}), tmp_path / "pruned")
    assert plain_report(pruned.report)["axes"] == plain_report(made.report)["axes"]
    assert plain_manifest(pruned.manifest)["certificate"]["shape"]


@pytest.mark.parametrize("method", ["snip", "set"])
def test_what_is_pruned_before_or_while_it_is_trained_is_not_trained_here(
    method: str, tiny_build: BuildSpec, tmp_path: Path
) -> None:
    folder = JobFolder(tmp_path)
    folder.begin(order_of(replace(tiny_build, pruning=load(PruningSpec, PRUNING | {"method": method}))))
    label(folder, silent)
    train(folder, silent)
    assert not folder.trained.path.exists()


def test_imported_labels_have_their_ridge_chosen_and_chosen_alike_after_a_crash(
    stored: str, root: Path, dataset_build: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    folder = JobFolder(tmp_path / "job")
    made = build(load(BuildSpec, dataset_build(stored)), folder.path, registry=root)
    ridge, trained = folder.ridge.read(), folder.trained.read()
    share = (FOLDS - 1) / FOLDS
    assert ridge.ridge == pytest.approx(next(score.ridge for score in ridge.tried if score.excess <= 1.0) * share)
    assert plain_report(made.report)["ridge"]["ridge"] == ridge.ridge
    folder.trained.path.unlink()  # killed after it had left the ridge
    train(folder, silent)
    assert (folder.ridge.read(), folder.trained.read()) == (ridge, trained)


def test_a_ridge_that_is_given_is_not_chosen(
    stored: str, root: Path, dataset_build: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    given = dataset_build(stored)
    given["training"]["ridge"] = 1e-3
    assert "ridge" not in plain_report(build(load(BuildSpec, given), tmp_path / "job", registry=root).report)


def test_a_polynomial_leaves_its_ridge_and_axes(tiny_polynomial: BuildSpec, tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.begin(order_of(tiny_polynomial))
    label(folder, silent)
    train(folder, silent)
    assert folder.ridge.read().ridge > 0.0
    assert folder.ridge.read().tried == ()
    assert folder.axes.read().count == 1
