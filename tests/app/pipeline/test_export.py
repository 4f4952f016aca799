from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from app.pipeline.build import build
from app.pipeline.export import export
from app.pipeline.folder import JobFolder
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from pruning.spec import PruningSpec
from surrogate.artifact import files
from surrogate.artifact.manifest import plain_manifest
from surrogate.learning.training import silent
from surrogate.report.curves import HeldOutLabels
from surrogate.spec import LBFGS, ExportSpec


def test_it_is_written_whole_in_the_place_of_what_was_there(tiny_build: BuildSpec, tmp_path: Path) -> None:
    made, folder = build(tiny_build, tmp_path), JobFolder(tmp_path)
    (folder.artifact / files.MODEL).write_bytes(b"cut off")
    before = {path.name for path in tmp_path.iterdir()}
    export(folder, silent)
    assert files.read(folder.artifact) == made
    assert {path.name for path in tmp_path.iterdir()} == before


def test_the_losses_of_all_trainings_are_published(tiny_build: BuildSpec, tmp_path: Path) -> None:
    fine_tuning = replace(tiny_build.training, optimisers=(LBFGS(iterations=3),))
    pruning = PruningSpec(method="magnitude", sparsity=0.5, stages=2, fine_tuning=fine_tuning)
    made = build(replace(tiny_build, pruning=pruning), tmp_path)
    assert made.training is not None
    assert [training.step for training in made.training.trainings] == ["train", "prune", "prune"]
    assert {curve.optimiser for curve in made.training.trainings[2].curves} == {"lbfgs"}
    assert made.training.held_out is not None
    paths = tiny_build.labels.paths * tiny_build.labels.replicates + tiny_build.labels.draws.pilot
    assert (made.training.held_out.source, made.training.held_out.simulated_paths) == ("simulated", paths)
    assert made.manifest.provenance.simulated_paths == paths


def test_a_job_publishes_its_own_trainings_watched_by_its_own_labels(tiny_registry: Path, tmp_path: Path) -> None:
    fine_tuning = {"optimisers": [{"kind": "lbfgs", "iterations": 3}]}
    pruning = {"method": "magnitude", "sparsity": 0.5, "fine_tuning": fine_tuning}
    job = {"model": "tiny", "version": 1, "pruning": pruning, "labels": {"model": "tiny@1", "samples": 64}}
    made = build(load_spec("prune", job), tmp_path, registry=tiny_registry).training
    assert made is not None
    assert [(training.step, training.held_out) for training in made.trainings] == [("prune", 4)]
    assert made.held_out == HeldOutLabels(source="model", samples=4)


def test_a_polynomial_is_not_trained(tiny_polynomial: BuildSpec, tmp_path: Path) -> None:
    assert build(tiny_polynomial, tmp_path).training is None
    assert not JobFolder(tmp_path).unseen.path.exists()


def test_single_precision_is_written_where_it_is_asked_for(tiny_build: BuildSpec, tmp_path: Path) -> None:
    both = build(replace(tiny_build, export=ExportSpec(float32=True)), tmp_path / "both")
    assert both.model_float32 is not None
    assert set(plain_manifest(both.manifest)["parity"]) == {files.MODEL, files.MODEL_FLOAT32}
    assert build(replace(tiny_build, export=ExportSpec(float32=False)), tmp_path / "one").model_float32 is None
