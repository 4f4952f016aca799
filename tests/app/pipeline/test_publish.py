from __future__ import annotations

import tomllib
from dataclasses import replace as changed
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.errors import InvalidRequest, NotGated, NotPublished
from app.pipeline.build import build
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.plan import plan
from app.pipeline.publish import require_met
from app.pipeline.steps import run_step
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from pricing.specs.base import load
from surrogate.artifact.files import Artifact
from surrogate.learning.training import silent


@pytest.fixture(scope="module")
def poor(tiny_text: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[BuildSpec, Artifact]:
    """A build that misses what is required by default, and what it makes."""
    plain = {name: value for name, value in tomllib.loads(tiny_text).items() if name != "accuracy"}
    spec = load(BuildSpec, plain)
    return spec, build(spec, tmp_path_factory.mktemp("poor"))


def test_what_misses_its_requirement_is_refused_with_the_worst_first(poor: tuple[BuildSpec, Artifact]) -> None:
    spec, artifact = poor
    with pytest.raises(NotPublished, match=r"not published: .*R2 .*below.*try.*; kept here") as refused:
        require_met(spec, artifact.manifest, "kept here")
    assert refused.value.fields["missed"]


def test_a_job_leaves_its_report_and_no_version(poor: tuple[BuildSpec, Artifact], tmp_path: Path) -> None:
    spec, _ = poor
    registry = Registry(tmp_path / "registry")
    folder = JobFolder(tmp_path / "job")
    folder.begin(order_of(spec, registry=registry.root, job="a"))
    *before, last = plan(spec)
    for step in before:
        run_step(step, folder, silent)
    with pytest.raises(NotPublished, match="/v1/jobs/a/report"):
        run_step(last, folder, silent)
    assert folder.report.read().accuracy.samples == 64
    assert registry.names() == []
    registry.close()


def test_who_asks_for_it_or_prunes_publishes_all_the_same(poor: tuple[BuildSpec, Artifact]) -> None:
    spec, artifact = poor
    prune = load_spec("prune", {"model": "tiny", "pruning": {"method": "magnitude", "sparsity": 0.3}})
    require_met(prune, artifact.manifest, "")
    require_met(replace(spec, publish_anyway=True), anyway(artifact).manifest, "")


def anyway(artifact: Artifact) -> Artifact:
    """The artifact as that of a build that asks to be published."""
    provenance = artifact.manifest.provenance
    told: dict[str, Any] = provenance.build | {"publish_anyway": True}
    return changed(artifact, manifest=replace(artifact.manifest, provenance=replace(provenance, build=told)))


def test_no_alias_stands_for_what_misses_its_requirement_without_force(
    poor: tuple[BuildSpec, Artifact], tmp_path: Path
) -> None:
    registry = Registry(tmp_path)
    registry.publish("tiny", anyway(poor[1]), job_id="a")
    assert registry.aliases("tiny") == {"latest": 1}
    with pytest.raises(NotGated, match="tiny@1 was published although it misses"):
        registry.set_alias("tiny", "champion", 1)
    assert registry.aliases("tiny") == {"latest": 1}
    assert registry.set_alias("tiny", "champion", 1, force=True) == 1
    with pytest.raises(InvalidRequest):
        registry.set_alias("tiny", "latest", 1, force=True)
    registry.close()


def test_neither_recovery_nor_a_worse_version_makes_a_champion(
    poor: tuple[BuildSpec, Artifact], tiny_build: BuildSpec, tmp_path: Path
) -> None:
    registry = Registry(tmp_path / "registry")
    registry.publish("tiny", anyway(poor[1]), job_id="a")
    registry.close()
    registry = Registry(tmp_path / "registry")
    assert registry.aliases("tiny") == {"latest": 1}
    registry.publish("tiny", build(tiny_build, tmp_path / "good"), job_id="b")
    assert registry.aliases("tiny") == {"champion": 2, "latest": 2}
    registry.close()
    (tmp_path / "registry" / "registry.sqlite").unlink()
    registry = Registry(tmp_path / "registry")
    assert registry.aliases("tiny") == {"champion": 2, "latest": 2}
    registry.close()
