from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.errors import UnknownModel, UnknownVersion
from app.pipeline.build import build
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.parent import how_to_start, scaled_alike, take_parent
from app.pipeline.provenance import read_origin
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.dataset import DatasetSource
from app.specification.jobs import load_spec
from app.specification.retrain_job import RetrainJobSpec
from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.labels import LabelSpec
from surrogate.artifact import files
from surrogate.artifact.files import Artifact
from surrogate.artifact.manifest import Retraining, Version, plain_manifest
from surrogate.export.onnx_reader import read_network
from surrogate.learning.training import silent
from surrogate.report.sources import ImportedLabels

PRUNE = {"model": "tiny", "pruning": {"method": "magnitude", "sparsity": 0.3}}


def test_a_prune_job_continues_its_parent(tiny_registry: Path, tmp_path: Path) -> None:
    parent = files.read(tiny_registry / "tiny" / "1")
    pruned = build(load_spec("prune", PRUNE | {"seed": 5}), tmp_path / "pruned", registry=tiny_registry)
    provenance = plain_manifest(pruned.manifest)["provenance"]
    assert provenance["parent"] == {"model": "tiny", "version": 1}
    assert provenance["build"] == plain_manifest(parent.manifest)["provenance"]["build"] | {
        "seed": 5,
        "pruning": provenance["build"]["pruning"],
    }
    assert provenance["simulated_paths"] == 2 * plain_manifest(parent.manifest)["provenance"]["simulated_paths"]
    assert 0 < read_network(pruned.model).parameters < read_network(parent.model).parameters
    assert plain_manifest(parent.manifest)["certificate"]["pruning"] is None
    difference = plain_manifest(pruned.manifest)["certificate"]["pruning"]
    assert difference["seen"]["value"] <= difference["value"]
    assert f"the value within {difference['value']:g}" in pruned.card


def test_an_alias_is_resolved_once(tiny_registry: Path, tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.begin(order_of(load_spec("prune", PRUNE | {"version": "latest"}), registry=tiny_registry))
    take_parent(folder, silent)
    registry = Registry(tiny_registry)
    newest = registry.resolve("tiny", "latest")
    registry.close()
    assert folder.parent.read().parent.version == newest == 2
    assert folder.trained.read() == (tiny_registry / "tiny" / "2" / "model.onnx").read_bytes()


def test_labels_of_its_own_take_the_place_of_the_parents(tiny_registry: Path, tmp_path: Path) -> None:
    folder, labels = JobFolder(tmp_path), {"samples": 64, "paths": 16}
    folder.begin(order_of(load_spec("prune", PRUNE | {"labels": labels}), registry=tiny_registry))
    take_parent(folder, silent)
    assert (folder.build().labels.samples, folder.build().labels.paths) == (64, 16)


@pytest.mark.parametrize(
    ("change", "error"),
    [({"model": "other"}, UnknownModel), ({"version": 7}, UnknownVersion)],
    ids=["model", "version"],
)
def test_what_is_not_there_is_not_pruned(
    change: dict[str, Any], error: type[Exception], tiny_registry: Path, tmp_path: Path
) -> None:
    with pytest.raises(error):
        build(load_spec("prune", PRUNE | change), tmp_path, registry=tiny_registry)


def retrained(registry: Path, folder: Path, changes: dict[str, Any], **job: Any) -> Artifact:
    """The version that a retrain job of `tiny` makes."""
    given = {"model": "tiny", "version": 1, "changes": changes, **job}
    return build(load_spec("retrain", given), folder, registry=registry)


def test_a_retrain_job_starts_from_the_weights_of_its_parent(tiny_registry: Path, tmp_path: Path) -> None:
    parent = files.read(tiny_registry / "tiny" / "1")
    changes = {"problem.process.rate": 0.03, "problem.process.convention": "carry"}
    made = retrained(tiny_registry, tmp_path / "warm", changes)
    provenance = made.manifest.provenance
    assert provenance.parent == Version(model="tiny", version=1)
    assert provenance.retraining == Retraining(changes=changes, start="weights")
    assert provenance.build["problem"]["process"]["rate"] == 0.03
    assert provenance.simulated_paths == 2 * parent.manifest.provenance.simulated_paths
    assert made.report.accuracy["value"].r2 > 0.99  # type: ignore[operator]
    again = retrained(tiny_registry, tmp_path / "again", changes)
    assert again.model == made.model
    scratch = retrained(tiny_registry, tmp_path / "scratch", changes, start="scratch")
    assert scratch.manifest.provenance.simulated_paths == parent.manifest.provenance.simulated_paths
    assert scratch.model != made.model
    assert "version 1" in made.card
    assert "problem.process.rate = 0.03" in made.card


def test_no_change_from_scratch_is_the_parent_again(tiny_registry: Path, tmp_path: Path) -> None:
    made = retrained(tiny_registry, tmp_path, {}, start="scratch")
    assert made.model == files.read(tiny_registry / "tiny" / "1").model


def test_what_was_pruned_away_stays_away(tiny_registry: Path, tmp_path: Path) -> None:
    made = retrained(tiny_registry, tmp_path / "warm", {"labels.samples": 64}, version=2)
    parent = read_network((tiny_registry / "tiny" / "2" / "model.onnx").read_bytes())
    assert read_network(made.model).widths == parent.widths
    assert read_network(made.model).parameters <= parent.parameters
    assert made.manifest.certificate.pruning is None  # type: ignore[union-attr]
    scratch = retrained(tiny_registry, tmp_path / "scratch", {"pruning.method": "random_neuron"}, version=2)
    reason = scratch.manifest.provenance.retraining
    assert isinstance(reason, Retraining)
    assert (reason.start, reason.reason) == ("scratch", "network or pruning is another")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"network.hidden": [2]}, "network or pruning is another"),
        (
            {
                "problem.process": {"volatilities": [0.2], "correlation": [[1.0]]},
                "problem.payoff.weights": [1.0],
                "problem.features.spot": {"lower": [0.5], "upper": [1.5]},
            },
            "the inputs are spot \\(1\\) and were spot \\(2\\)",
        ),
        ({"polynomial": {"degree": 2, "inputs": "features"}, "network": None, "training": None}, "solved at once"),
    ],
    ids=["network", "features", "polynomial"],
)
def test_what_has_another_shape_is_trained_from_scratch(
    changes: dict[str, Any], reason: str, tiny_build: BuildSpec
) -> None:
    job = load(RetrainJobSpec, {"model": "tiny", "changes": changes})
    told = how_to_start(job, tiny_build, job.changed(tiny_build))
    assert told.start == "scratch"
    assert re.search(reason, told.reason or ""), told.reason


def test_a_prune_job_learns_from_a_dataset(stored: str, root: Path, tiny_build: BuildSpec, tmp_path: Path) -> None:
    """Of what is priced too: its reference judges, all rows are learnt from."""
    registry = Registry(root)
    registry.publish("tiny", build(tiny_build, tmp_path / "dense"), job_id="dense")
    registry.close()
    pruning = PRUNE["pruning"] | {"fine_tuning": dump(tiny_build.training)}  # type: ignore[operator]
    job = load_spec("prune", {"model": "tiny", "pruning": pruning, "dataset": {"id": stored}})
    made = build(job, tmp_path / "pruned", registry=root)
    labels = made.report.labels
    assert isinstance(labels, ImportedLabels)
    assert (labels.dataset, labels.learnt_from, labels.held_out) == (stored, 200, 0)
    assert made.report.reference.kind != "held-out rows"
    assert made.manifest.provenance.build["dataset"]["id"] == stored
    assert "labels" not in made.manifest.provenance.build
    assert stored in made.card


@pytest.mark.parametrize("change", ["problem.process.volatilities[0]", "problem.payoff.strike", "problem.maturity"])
def test_labels_that_do_not_follow_what_is_priced_are_refused(
    change: str, stored: str, tiny_build: BuildSpec, tiny_registry: Path, tmp_path: Path
) -> None:
    """Labels of a teacher or of a dataset stay those of the old market, whatever the specification says."""
    taught = replace(tiny_build, labels=load(LabelSpec, {"model": "tiny@1", "samples": 32, "order": 1}))
    imported = replace(tiny_build, labels=LabelSpec(), dataset=load(DatasetSource, {"id": stored}))
    for build_before in (taught, imported):
        job = load(RetrainJobSpec, {"model": "tiny", "changes": {change: 0.7}})
        with pytest.raises(InvalidSpec, match="changes, and the labels are those of") as refused:
            job.changed(build_before)
        assert refused.value.fields["path"] == "changes.problem"
        simulated = {change: 0.7, "labels": None, "dataset": None}
        assert load(RetrainJobSpec, {"model": "tiny", "changes": simulated}).changed(build_before).dataset is None
    assert load(RetrainJobSpec, {"model": "tiny", "changes": {change: 0.7}}).changed(tiny_build) != tiny_build


def test_a_teacher_that_is_taken_again_is_counted_once(tiny_registry: Path, tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.publish("tiny", files.read(tiny_registry / "tiny" / "1"), job_id="one")
    paths = files.read(tiny_registry / "tiny" / "1").manifest.provenance.simulated_paths
    changes: dict[str, Any] = {"labels": {"model": "tiny", "samples": 32, "order": 1}}
    for version in (1, 2):
        made = retrained(registry.root, tmp_path / str(version), changes, version=version)
        assert made.manifest.provenance.simulated_paths == paths
        assert made.manifest.provenance.build["labels"]["model"] == "tiny@1", "the alias as it stood"
        registry.publish("tiny", made, job_id=str(version))
        changes = {}
    registry.close()


def test_a_version_of_another_scaling_is_not_taken_for_one_of_todays(tiny_registry: Path, tmp_path: Path) -> None:
    """As of a version that was published before its problem scaled: its network sees other inputs than today's."""
    version = tiny_registry / "tiny" / "1"
    manifest, own = files.load_manifest(version), read_origin(version).build
    assert scaled_alike(manifest, own)
    before = replace(manifest, features=tuple(replace(one, lower=(0.1,) * one.size) for one in manifest.features))
    assert not scaled_alike(before, own)
    copied = tmp_path / "registry"
    shutil.copytree(tiny_registry, copied)
    place = copied / "tiny" / "1"
    content, digest = json.dumps(plain_manifest(before)).encode(), files.verify(place)["manifest.json"]
    (place / "manifest.json").write_bytes(content)
    sums = (place / files.SUMS).read_text().replace(digest, hashlib.sha256(content).hexdigest())
    (place / files.SUMS).write_text(sums)
    pruned, again = JobFolder(tmp_path / "prune"), JobFolder(tmp_path / "retrain")
    pruned.begin(order_of(load_spec("prune", PRUNE | {"version": 1}), registry=copied))
    with pytest.raises(InvalidSpec, match="tiny@1 was learnt before what is priced scaled as it does today"):
        take_parent(pruned, silent)
    again.begin(order_of(load_spec("retrain", {"model": "tiny", "version": 1, "changes": {}}), registry=copied))
    take_parent(again, silent)
    retraining = again.parent.read().retraining
    assert retraining is not None
    assert (retraining.start, retraining.reason) == ("scratch", "it was learnt by another exact scaling")
