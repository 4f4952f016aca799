from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from app.commands.line import app as command_line
from app.datasets import store
from app.datasets.lookup import settle_dataset
from app.pipeline.build import build
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.prune_job import PruneJobSpec
from pricing.draws import stream
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.types import Array
from surrogate.artifact import files
from surrogate.artifact.manifest import plain_manifest
from surrogate.learning.ridge import draw_groups
from surrogate.report.curves import HeldOutLabels
from surrogate.report.report import plain_report

Arrays = Callable[..., dict[str, Array]]
Build = Callable[..., dict[str, Any]]
Store = Callable[[dict[str, Array]], str]


def test_labels_without_derivatives_need_a_loss_of_values(
    root: Path, tmp_path: Path, import_arrays: Store, label_arrays: Arrays, dataset_build: Build
) -> None:
    parts = label_arrays()
    del parts["dydx"]
    identifier = import_arrays(parts)
    with pytest.raises(InvalidSpec, match=r"labels of order 0; set training\.loss\.order = 0, or import columns dydx"):
        settle_dataset(load(BuildSpec, dataset_build(identifier)), root)
    given = dataset_build(identifier)
    given["training"]["loss"] = {"order": 0}
    report = plain_report(build(load(BuildSpec, given), tmp_path / "job", registry=root).report)
    assert report["accuracy"]["delta"]["r2"] is None


def test_a_model_is_built_pruned_and_described(
    stored: str, root: Path, tmp_path: Path, label_arrays: Arrays, dataset_build: Build
) -> None:
    spec = load(BuildSpec, dataset_build(stored))
    made = build(spec, tmp_path / "job", registry=root)
    manifest, report = plain_manifest(made.manifest), plain_report(made.report)
    assert manifest["problem"] is None
    assert manifest["features"][0]["name"] == "x"
    assert manifest["certificate"]["shape"] is None
    assert "not known" in manifest["certificate"]["no_shape"]
    assert (report["labels"]["learnt_from"], report["labels"]["held_out"]) == (180, 20)
    assert report["accuracy"]["gamma"]["r2"] is None
    assert report["ridge"]["ridge"] > 0.0
    assert made.training is not None
    assert made.training.held_out == HeldOutLabels(source="dataset", samples=20)
    assert made.training.trainings[0].held_out == 20
    assert f"dataset `{stored}`, 180 of its 200 rows" in made.card
    x = label_arrays()["x"]
    assert f"| unit | {x.min():g} | {x.max():g} |" in made.card
    assert manifest["provenance"]["simulated_paths"] == 0
    origin = manifest["provenance"]["build"]
    assert not {"problem", "labels", "evaluation"} & set(origin)
    assert load(BuildSpec, origin) == settle_dataset(spec, root)
    same = build(spec, tmp_path / "again", registry=root)
    assert files.files(same) == files.files(made)
    registry = Registry(root)
    registry.publish("given", made, job_id="first")
    registry.close()
    pruning = {"method": "magnitude", "sparsity": 0.3, "fine_tuning": dump(spec.training)}
    job = load(PruneJobSpec, {"model": "given", "pruning": pruning})
    pruned = build(job, tmp_path / "prune", registry=root)
    assert plain_manifest(pruned.manifest)["network"]["parameters"] < manifest["network"]["parameters"]
    assert plain_manifest(pruned.manifest)["provenance"]["parent"] == {"model": "given", "version": 1}


def test_repeated_rows_stay_together_and_tell_the_noise(
    root: Path, tmp_path: Path, import_arrays: Store, label_arrays: Arrays, dataset_build: Build
) -> None:
    parts = label_arrays(500, 4)
    identifier = import_arrays(parts)
    facts = store.find(root, identifier)
    assert (facts.distinct_rows, facts.copies) == (500, 0)
    made = build(load(BuildSpec, dataset_build(identifier)), tmp_path / "job", registry=root)
    report = plain_report(made.report)
    assert report["labels"]["held_out"] % 4 == 0
    assert report["noise_floor"]["value"] == pytest.approx(replicated(parts["y"]))
    assert report["noise_floor"]["delta"] == pytest.approx(replicated(parts["dydx"]))
    for greek in ("value", "delta"):
        scores = report["accuracy"][greek]
        assert scores["r2"] < 0.8 < scores["explained"] <= 1.0
        assert 0.0 < scores["explained_error"] < 0.1
        assert f"| {scores['explained']:.5f} +- {scores['explained_error']:.0e} |" in made.card


def replicated(part: Array) -> float:
    """Root mean square deviation of four paths at a point."""
    return float(np.sqrt(part.reshape(500, 4, -1).var(axis=1, ddof=1).mean()))


def test_copied_rows_do_not_tell_the_noise(
    root: Path, tmp_path: Path, import_arrays: Store, label_arrays: Arrays, dataset_build: Build
) -> None:
    parts = {name: np.repeat(part, 10, axis=0) for name, part in label_arrays(100).items()}
    identifier = import_arrays(parts)
    shown = CliRunner().invoke(command_line, ["dataset", "show", identifier, "--registry", str(root)]).stdout
    assert "1000 rows at 100 points; 900 are copies of others" in shown
    made = build(load(BuildSpec, dataset_build(identifier)), tmp_path / "job", registry=root)
    assert plain_report(made.report)["noise_floor"] is None
    assert plain_report(made.report)["accuracy"]["value"]["explained"] is None
    assert "900 rows are copies of others" in made.card


def test_what_is_left_after_the_split_is_told(
    root: Path, tmp_path: Path, import_arrays: Store, label_arrays: Arrays, dataset_build: Build
) -> None:
    parts = label_arrays()
    parts["x"][0] = 1.6
    identifier = import_arrays(parts)
    corner = {"id": identifier, "features": [{"name": "x", "lower": [1.55, 1.55], "upper": [1.6, 1.6]}]}
    with pytest.raises(
        InvalidSpec, match=r"180 rows to learn from 1 lie in the Box, and of 20 held-out rows 0; .* learnt"
    ):
        build(load(BuildSpec, dataset_build(identifier, dataset=corner)), tmp_path / "corner", registry=root)
    parts["y"] = np.where(np.arange(200) == held_out_row(parts["x"]), 1.0, 0.0)
    identifier = import_arrays(parts)
    with pytest.raises(InvalidSpec, match="y is 0 in all 180 rows to learn from"):
        build(load(BuildSpec, dataset_build(identifier)), tmp_path / "constant", registry=root)


def held_out_row(x: Array) -> int:
    """A row that the split of `dataset_build` holds out, whatever the labels."""
    seed = int(stream("held_out", seed=1).integers(1 << 63))
    return int(draw_groups(torch.from_numpy(x), generator=torch.Generator().manual_seed(seed))[0])
