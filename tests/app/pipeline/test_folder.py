from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import app
from app.pipeline.facts import Parent, order_of
from app.pipeline.folder import JobFolder
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from pricing.specs.base import load
from surrogate.artifact.manifest import Version
from surrogate.report.sources import RidgeFacts


def test_a_job_begins_with_its_order(tiny: dict[str, Any], tmp_path: Path) -> None:
    folder = JobFolder(tmp_path / "a" / "job")
    order = order_of(load_spec("train", tiny), registry=tmp_path, job="a")
    folder.begin(order)
    assert folder.order.read() == order
    assert folder.build() == load(BuildSpec, tiny)
    folder.begin(order)  # a step that is run again begins again


def test_a_prune_job_follows_what_its_parent_was_built_by(tiny: dict[str, Any], tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.begin(order_of(load_spec("prune", {"model": "tiny", "pruning": {"method": "magnitude", "sparsity": 0.3}})))
    build = load(BuildSpec, tiny | {"seed": 5})
    folder.parent.write(Parent(build=build, simulated_paths=64, parent=Version(model="tiny", version=3)))
    assert folder.build() == build
    assert folder.parent.read().parent.version == 3


def test_a_file_is_read_where_it_is_there(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    assert folder.ridge.read_if_there() is None
    folder.ridge.write(RidgeFacts(ridge=0.5))
    assert folder.ridge.read_if_there() == RidgeFacts(ridge=0.5)
    assert json.loads((tmp_path / "ridge.json").read_bytes()) == {"ridge": 0.5}
    folder.trained.write(b"network")
    assert folder.trained.read() == b"network"


def test_a_write_that_fails_leaves_the_file_before(tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    folder.ridge.write(RidgeFacts(ridge=0.5))
    with pytest.raises(ValueError, match="not JSON compliant"):
        folder.ridge.write(RidgeFacts(ridge=float("nan")))
    assert folder.ridge.read() == RidgeFacts(ridge=0.5)


def test_nobody_else_knows_the_names_of_the_files() -> None:
    root = Path(app.__file__).parent
    names = re.findall(r'"(\w+\.(?:json|npz|onnx)|artifact)"', (root / "pipeline" / "folder.py").read_text())
    assert len(names) == len(set(names)) == 21
    others = [path for room in ("pipeline", "jobs", "sweeps") for path in (root / room).glob("*.py")]
    others.remove(root / "pipeline" / "folder.py")
    assert not [(path.name, name) for path in others for name in names if f'"{name}"' in path.read_text()]
