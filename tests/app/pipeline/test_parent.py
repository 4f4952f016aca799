from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.errors import UnknownModel, UnknownVersion
from app.pipeline.build import build
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.parent import take_parent
from app.registry.registry import Registry
from app.specification.jobs import load_spec
from surrogate.artifact import files
from surrogate.artifact.manifest import plain_manifest
from surrogate.export.onnx_reader import read_network
from surrogate.learning.training import silent

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
