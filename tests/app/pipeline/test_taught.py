from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from app.pipeline.build import build
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.taught import take_lessons
from app.pipeline.tensors import read_rows, read_training_data
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from surrogate.artifact import files
from surrogate.export.onnx_reader import read_network
from surrogate.functions.network import value_gradient_hessian
from surrogate.learning.training import silent
from surrogate.report.sources import ImportedLabels, TaughtLabels

LABELS = {"model": "tiny@1", "samples": 32, "order": 2, "directions": 2}


@pytest.mark.parametrize("law", ["pca", "random"])
def test_labels_are_values_deltas_and_curvatures_of_the_teacher(
    law: str, tiny: dict[str, Any], tiny_registry: Path, tmp_path: Path
) -> None:
    folder = JobFolder(tmp_path)
    spec = load(BuildSpec, tiny | {"labels": LABELS | {"direction_law": law}})
    folder.begin(order_of(spec, registry=tiny_registry))
    take_lessons(folder, silent)
    rows, teacher = read_rows(folder.labels), read_network((tiny_registry / "tiny" / "1" / "model.onnx").read_bytes())
    value, gradient, hessian = value_gradient_hessian(teacher, rows.x)
    assert rows.gradient is not None
    assert rows.directions is not None
    assert rows.curvature is not None
    torch.testing.assert_close(rows.y, value)
    torch.testing.assert_close(rows.gradient, gradient)
    assert rows.directions.shape == (32, 2, 2)
    torch.testing.assert_close(rows.curvature, torch.einsum("nij,nkj->nki", hessian, rows.directions))
    assert spec.box.contains(rows.x.numpy()).all()
    facts = folder.label_facts.read()
    assert isinstance(facts, TaughtLabels)
    assert (facts.teacher, facts.samples) == ("tiny@1", 32)


def test_a_network_learns_from_another_and_says_so(tiny: dict[str, Any], tiny_registry: Path, tmp_path: Path) -> None:
    """The teacher's paths are counted; what judges is the reference, not the teacher."""
    teacher = files.read(tiny_registry / "tiny" / "1")
    made = build(load(BuildSpec, tiny | {"labels": LABELS}), tmp_path, registry=tiny_registry)
    assert made.manifest.provenance.simulated_paths == teacher.manifest.provenance.simulated_paths
    assert made.report.reference == teacher.report.reference
    assert made.report.accuracy["value"].r2 == pytest.approx(teacher.report.accuracy["value"].r2, abs=0.05)
    assert "The labels are what tiny@1 answers at 32 samples" in made.card


def test_a_pruned_network_is_fine_tuned_on_its_own_parent(tiny_registry: Path, tmp_path: Path) -> None:
    pruning = {"method": "magnitude_neuron", "sparsity": 0.3, "fine_tuning": {"optimisers": [{"kind": "lbfgs"}]}}
    job = {"model": "tiny", "version": 1, "pruning": pruning, "labels": LABELS}
    made = build(load_spec("prune", job), tmp_path, registry=tiny_registry)
    parent = files.read(tiny_registry / "tiny" / "1").manifest.provenance
    assert made.manifest.provenance.simulated_paths == parent.simulated_paths
    assert isinstance(made.report.labels, TaughtLabels)


def test_a_scaled_problem_learns_what_its_teacher_says_of_all_features(
    tiny: dict[str, Any], tiny_registry: Path, tmp_path: Path
) -> None:
    """The student sees the inputs of its exact scaling, the teacher answers by all features; both are of one price."""
    strike = {"name": "strike", "lower": [0.9], "upper": [1.1]}
    problem = tiny["problem"] | {"features": [*tiny["problem"]["features"], strike]}
    optimiser = {"kind": "levenberg_marquardt", "starts": 2, "short": 20, "finalists": 1, "long": 60}
    wide = tiny | {"name": "wide", "problem": problem, "training": {"optimisers": [optimiser]}}
    wide["labels"] = tiny["labels"] | {"samples": 128, "paths": 256, "order": 1}
    registry = Registry(tmp_path / "registry")
    registry.publish("wide", build(load(BuildSpec, wide), tmp_path / "wide"), job_id="wide")
    registry.close()
    taught = wide | {"name": "taught", "labels": {"model": "wide", "samples": 128, "order": 2}}
    folder = JobFolder(tmp_path / "taught")
    made = build(load(BuildSpec, taught), folder.path, registry=tmp_path / "registry")
    teacher = files.read(tmp_path / "registry" / "wide" / "1")
    for output in ("value", "delta", "gamma"):
        told, right = made.report.accuracy[output].r2, teacher.report.accuracy[output].r2
        assert told == pytest.approx(right, abs=2e-3), output
    seen = read_training_data(folder, load(BuildSpec, taught))
    assert seen.x.shape[1] == 2
    assert seen.curvature is not None


def test_a_teacher_of_other_features_is_refused(tiny: dict[str, Any], tiny_registry: Path, tmp_path: Path) -> None:
    strike = {"name": "strike", "lower": [0.9], "upper": [1.1]}
    problem = tiny["problem"] | {"features": [*tiny["problem"]["features"], strike]}
    with pytest.raises(InvalidSpec, match="those of tiny@1 spot\\[0\\], spot\\[1\\]; give a model of the same"):
        build(load(BuildSpec, tiny | {"problem": problem, "labels": LABELS}), tmp_path, registry=tiny_registry)
    with pytest.raises(InvalidSpec, match="the registry that holds it is not known"):
        build(load(BuildSpec, tiny | {"labels": LABELS}), tmp_path)


def test_held_out_rows_judge_what_a_teacher_taught(
    stored: str, root: Path, dataset_build: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    registry = Registry(root)
    given = load(BuildSpec, dataset_build(stored))
    registry.publish("given", build(given, tmp_path / "dense", registry=root), job_id="dense")
    registry.close()
    labels = {"model": "given", "samples": 64, "order": 1}
    taught = load(BuildSpec, dataset_build(stored, name="taught", labels=labels))
    made = build(taught, tmp_path / "taught", registry=root)
    facts = made.report.labels
    assert isinstance(facts, ImportedLabels)
    assert isinstance(facts.taught, TaughtLabels)
    assert facts.held_out == 20
    assert "The labels are what given@1 answers at 64 samples" in made.card
    assert np.isfinite(made.report.accuracy["value"].r2 or np.nan)
