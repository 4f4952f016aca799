from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.pipeline import STEPS, build
from app.plan import WEIGHTS, load_spec, plan
from app.registry import Registry
from app.spec import BuildSpec
from pricing.errors import InvalidSpec
from pricing.spec import load
from surrogate import artifact
from surrogate.export import read_network

PRUNING = {"method": "magnitude", "sparsity": 0.3}


def test_the_plan_names_steps_that_exist(tiny: dict[str, Any]) -> None:
    prune = load_spec("prune", {"model": "tiny", "pruning": PRUNING})
    assert {*plan(prune), *plan(load_spec("train", tiny))} == set(STEPS) == set(WEIGHTS)


def test_the_same_specification_gives_the_same_bytes(tiny: dict[str, Any], tmp_path: Path) -> None:
    spec = load(BuildSpec, tiny)
    first, second = build(spec, tmp_path / "a"), build(spec, tmp_path / "b")
    assert artifact.files(first) == artifact.files(second)
    other = build(load(BuildSpec, tiny | {"seed": 2}), tmp_path / "c")
    assert other.model != first.model


def test_provenance_tells_how_to_make_it_again(tiny: dict[str, Any], tmp_path: Path) -> None:
    made = build(load(BuildSpec, tiny), tmp_path)
    provenance = made.manifest["provenance"]
    again = build(load(BuildSpec, provenance["build"]), tmp_path / "again")
    assert again.model == made.model
    assert provenance["parent"] is None
    assert provenance["simulated_paths"] >= tiny["labels"]["paths"] * tiny["labels"]["replicates"]


def test_progress_is_told_by_step(tiny: dict[str, Any], tmp_path: Path) -> None:
    told: list[tuple[str, float]] = []
    build(load(BuildSpec, tiny), tmp_path, lambda step, share: told.append((step, share)))
    shares = [share for _, share in told]
    assert list(dict.fromkeys(step for step, _ in told)) == ["label", "train", "evaluate", "export"]
    assert shares == sorted(shares)


def test_a_prune_job_continues_its_parent(tiny: dict[str, Any], tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    parent = build(load(BuildSpec, tiny), tmp_path / "parent")
    registry.publish("tiny", parent, job_id="parent")
    spec = load_spec("prune", {"model": "tiny", "pruning": PRUNING, "seed": 5})
    pruned = build(spec, tmp_path / "pruned", registry=registry.root)
    provenance = pruned.manifest["provenance"]
    assert provenance["parent"] == {"model": "tiny", "version": 1}
    assert provenance["build"] == parent.manifest["provenance"]["build"] | {
        "seed": 5,
        "pruning": provenance["build"]["pruning"],
    }
    assert provenance["simulated_paths"] == 2 * parent.manifest["provenance"]["simulated_paths"]
    assert 0 < read_network(pruned.model).parameters < read_network(parent.model).parameters
    registry.close()


def test_what_cannot_be_labelled_says_so(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["labels"] |= {"order": 2, "directions": 5}
    with pytest.raises(InvalidSpec, match="directions must be at most 2"):
        build(load(BuildSpec, tiny), tmp_path)
