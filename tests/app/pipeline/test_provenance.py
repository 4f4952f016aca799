from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from msgspec import UNSET

from app.pipeline.build import build
from app.pipeline.folder import JobFolder
from app.pipeline.provenance import LIBRARIES, Origin, versions
from app.specification.build import BuildSpec
from pricing.specs.base import load
from surrogate.artifact import files
from surrogate.artifact.manifest import plain_manifest


def test_provenance_tells_how_to_make_it_again(tiny: dict[str, Any], tmp_path: Path) -> None:
    made = build(load(BuildSpec, tiny), tmp_path)
    provenance = plain_manifest(made.manifest)["provenance"]
    again = build(load(BuildSpec, provenance["build"]), tmp_path / "again")
    assert again.model == made.model
    assert provenance["parent"] is None
    assert provenance["simulated_paths"] >= tiny["labels"]["paths"] * tiny["labels"]["replicates"]


def test_it_names_data_and_libraries(tiny_build: BuildSpec, tmp_path: Path) -> None:
    provenance = plain_manifest(build(tiny_build, tmp_path).manifest)["provenance"]
    assert provenance["data_sha256"] == hashlib.sha256(JobFolder(tmp_path).labels.read()).hexdigest()
    assert provenance["libraries"] == versions() == {library: version(library) for library in LIBRARIES}
    assert (provenance["seed"], provenance["job"]) == (tiny_build.seed, None)
    assert "states_sha256" not in provenance


def test_a_pruned_build_tells_what_was_pruned(tiny_registry: Path) -> None:
    whole, half = (files.load_manifest(tiny_registry / "tiny" / version) for version in "12")
    assert (whole.provenance.trained_sha256, half.provenance.data_sha256) == (UNSET, whole.provenance.data_sha256)
    assert len(str(half.provenance.trained_sha256)) == 64


def test_what_is_read_again_is_the_build_and_its_paths(tiny_build: BuildSpec, tmp_path: Path) -> None:
    provenance = plain_manifest(build(tiny_build, tmp_path).manifest)["provenance"]
    assert load(Origin, provenance) == Origin(build=tiny_build, simulated_paths=provenance["simulated_paths"])


def test_imported_labels_were_not_simulated(
    stored: str, root: Path, dataset_build: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    made = build(load(BuildSpec, dataset_build(stored)), tmp_path / "job", registry=root)
    provenance = plain_manifest(made.manifest)["provenance"]
    assert {"dataset", "network", "training"} <= set(provenance["build"])
    assert not {"problem", "labels", "evaluation"} & set(provenance["build"])
    assert provenance["simulated_paths"] == 0
