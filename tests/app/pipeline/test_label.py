from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.pipeline.build import build
from app.pipeline.folder import JobFolder
from app.pipeline.imported import import_labels
from app.pipeline.label import source_of
from app.pipeline.parent import take_parent
from app.pipeline.simulated import simulate_labels
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from pricing.errors import InvalidSpec
from pricing.specs.base import load
from surrogate.report.report import plain_report

PRUNING = {"method": "magnitude", "sparsity": 0.3}


def test_a_job_has_one_source(tiny: dict[str, Any]) -> None:
    imported = {name: tiny[name] for name in ("name", "seed")} | {"dataset": {"id": "0" * 64}}
    assert source_of(load_spec("train", tiny)) is simulate_labels
    assert source_of(load_spec("train", imported)) is import_labels
    assert source_of(load_spec("prune", {"model": "tiny", "pruning": PRUNING})) is take_parent


@pytest.mark.parametrize(
    "pruning",
    [
        PRUNING | {"sparsity": 0.999},
        {"method": "significance", "parameters": 1},
        {"method": "snip", "parameters": 2},
        {"method": "set", "parameters": 2},
    ],
)
def test_an_impossible_target_is_refused_before_anything_is_simulated(
    pruning: dict[str, Any], tiny: dict[str, Any], tiny_registry: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSpec, match="would leave"):
        build(load(BuildSpec, tiny | {"pruning": pruning}), tmp_path / "build")
    assert not JobFolder(tmp_path / "build").labels.path.exists()
    job = load_spec("prune", {"model": "tiny", "version": 1, "pruning": pruning})
    with pytest.raises(InvalidSpec, match="would leave"):
        build(job, tmp_path / "job", registry=tiny_registry)
    assert not JobFolder(tmp_path / "job").labels.path.exists()


def test_a_target_is_counted_on_what_is_going_to_be_pruned(tiny_registry: Path, tmp_path: Path) -> None:
    """A fifth of a version with one node is no network, a fifth of the network that is drawn for it is one."""
    given = {"model": "tiny", "version": 2, "pruning": {"method": "magnitude", "sparsity": 0.7}}
    with pytest.raises(InvalidSpec, match="would leave 0 weights of a 2-1-1 network"):
        build(load_spec("prune", given), tmp_path / "trained", registry=tiny_registry)
    given["pruning"] = {"method": "snip", "sparsity": 0.7}
    assert plain_report(build(load_spec("prune", given), tmp_path / "drawn", registry=tiny_registry).report)["pruning"]
