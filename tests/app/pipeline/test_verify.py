"""A version made again: the same bytes, or the step that made others, by how much, and what may be the reason."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
from msgspec import UNSET
from msgspec.structs import replace

from app.errors import InvalidRequest
from app.pipeline.build import build
from app.pipeline.verification import Verification
from app.pipeline.verify import order, verify
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from app.specification.prune_job import PruneJobSpec
from pricing.specs.base import dump, load
from pricing.specs.labels import LabelSpec
from pricing.types import Array
from surrogate.artifact import files
from surrogate.artifact.files import Artifact, to_json
from surrogate.artifact.make import spec_sha256
from surrogate.artifact.manifest import Version
from surrogate.spec import TrainingSpec

TRAINING = {"optimisers": [{"kind": "levenberg_marquardt", "starts": 1, "short": 3, "finalists": 1, "long": 3}]}
LONGER = load(TrainingSpec, json.loads(json.dumps(TRAINING).replace('"long": 3', '"long": 4')))
PRUNING = {"method": "magnitude", "sparsity": 0.3, "fine_tuning": TRAINING}
LABELS = {"samples": 64, "paths": 16, "draws": {"pilot": 16}}


@pytest.fixture
def registry(tiny_registry: Path, tmp_path: Path) -> Registry:
    """A copy of the tiny registry: version 2 is pruned in its build."""
    return Registry(shutil.copytree(tiny_registry, tmp_path / "copy"))


def made_again(registry: Registry, folder: Path, version: int, name: str = "tiny") -> Verification:
    told: list[tuple[str, float]] = []
    wanted = Version(model=name, version=version)
    found = verify(wanted, folder, registry, lambda step, share: told.append((step, share)))
    shares = [share for _, share in told]
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0
    return found


def publish(registry: Registry, spec: Any, folder: Path, name: str = "tiny") -> int:
    return registry.publish(name, build(spec, folder, registry=registry.root), job_id=str(folder))


def assert_same(found: Verification) -> None:
    assert (found.same, found.diverged, found.differences, found.environment) == (True, None, {}, {})
    assert found.notes == ()
    assert all(pair.then == pair.now for pair in (found.labels, *found.bytes.values()))


def test_a_build_and_a_pruned_build_come_back(registry: Registry, tmp_path: Path) -> None:
    for version in (1, 2):
        found = made_again(registry, tmp_path / f"job-{version}", version)
        assert_same(found)
        model = (registry.folder("tiny", version) / "model.onnx").read_bytes()
        assert found.bytes["model.onnx"].then == hashlib.sha256(model).hexdigest()
    assert registry.versions("tiny") == [1, 2]


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("prune", {"version": 1, "seed": 3, "pruning": PRUNING}),
        ("prune", {"version": 1, "pruning": PRUNING, "labels": LABELS}),
        ("prune", {"version": 1, "pruning": PRUNING | {"method": "snip"}}),
        ("prune", {"version": "latest", "pruning": PRUNING, "labels": {"model": "tiny@champion", "samples": 32}}),
        ("retrain", {"version": 1, "changes": {"problem.process.volatilities": [0.21, 0.31]}}),
        ("retrain", {"version": 2, "changes": {"labels.paths": 64}}),
        ("retrain", {"version": 2, "changes": {"seed": 5}, "start": "scratch"}),
        ("retrain", {"version": 1, "changes": {"network.hidden": [4]}}),
    ],
)
def test_whatever_a_job_has_made_comes_back(
    registry: Registry, tmp_path: Path, kind: Any, spec: dict[str, Any]
) -> None:
    """Though the aliases that it names stand elsewhere by then."""
    version = publish(registry, load_spec(kind, {"model": "tiny", **spec}), tmp_path / "job")
    registry.set_alias("tiny", "champion", 2)
    assert_same(made_again(registry, tmp_path / "again", version))


def test_imported_and_taught_models_and_polynomials_come_back(
    registry: Registry,
    tmp_path: Path,
    import_arrays: Callable[[dict[str, Array]], str],
    label_arrays: Callable[..., dict[str, Array]],
    dataset_build: Callable[..., dict[str, Any]],
    tiny: dict[str, Any],
    tiny_polynomial: BuildSpec,
    root: Path,
) -> None:
    identifier = import_arrays(label_arrays())
    shutil.copytree(root / "datasets", registry.root / "datasets")
    learnt = {"model": "tiny", "samples": 64}
    specs = {
        "given": load(BuildSpec, dataset_build(identifier)),
        "taught": load(BuildSpec, tiny | {"name": "taught", "labels": learnt, "export": {"float32": True}}),
        "curve": replace(tiny_polynomial, name="curve"),
    }
    for name, spec in specs.items():
        publish(registry, spec, tmp_path / name, name)
        found = made_again(registry, tmp_path / f"{name}-again", 1, name)
        assert_same(found)
    shutil.rmtree(registry.root / "datasets")
    with pytest.raises(InvalidRequest, match=r"given@1 cannot be made again here: no dataset"):
        made_again(registry, tmp_path / "gone", 1, "given")


def otherwise(made: Artifact, spec: BuildSpec, **provenance: Any) -> Artifact:
    """What was made, said to be made by another specification."""
    told = json.loads(to_json(dump(spec)))
    manifest = made.manifest
    return replace_artifact(
        made,
        manifest=replace(
            manifest,
            provenance=replace(manifest.provenance, build=told, **provenance),
            hashes={**dict(manifest.hashes or {}), "spec": spec_sha256(told)},
        ),
    )


def of_an_earlier_release(made: Artifact) -> Artifact:
    """What was made, as a release would have that knew nothing of ``export`` yet."""
    build = {name: value for name, value in made.manifest.provenance.build.items() if name != "export"}
    graph = onnx.load_from_string(made.model)
    for entry in graph.metadata_props:
        if entry.key == "spec_sha256":
            entry.value = spec_sha256(build)
    provenance = replace(made.manifest.provenance, build=build)
    hashes = {**dict(made.manifest.hashes or {}), "spec": spec_sha256(build)}
    manifest = replace(made.manifest, provenance=provenance, hashes=hashes)
    return replace_artifact(made, manifest=manifest, model=graph.SerializeToString())


def replace_artifact(made: Artifact, **fields: Any) -> Artifact:
    return Artifact(**{**vars(made), **fields})


@pytest.fixture(scope="session")
def whole(tiny_registry: Path) -> Artifact:
    return files.read(tiny_registry / "tiny" / "1")


@pytest.fixture(scope="session")
def half(tiny_registry: Path) -> Artifact:
    return files.read(tiny_registry / "tiny" / "2")


def test_the_step_that_diverged_is_named(
    registry: Registry, tmp_path: Path, tiny_build: BuildSpec, whole: Artifact, half: Artifact
) -> None:
    """By what was published as made with something else: seed of labels, training, pruning, graph, specification."""
    pruned = load(BuildSpec, half.manifest.provenance.build)
    assert pruned.pruning is not None
    other = onnx.load_from_string(whole.model)
    other.producer_name = "another"
    sparser = replace(pruned, pruning=replace(pruned.pruning, sparsity=0.4, fine_tuning=tiny_build.training))
    cases = {
        "labels": otherwise(whole, replace(tiny_build, labels=replace(tiny_build.labels, paths=64))),
        "training": otherwise(whole, replace(tiny_build, training=LONGER)),
        "pruning": otherwise(half, sparser),
        "training or pruning": otherwise(half, sparser, trained_sha256=UNSET),
        "export": replace_artifact(whole, model=other.SerializeToString()),
        "specification": of_an_earlier_release(whole),
    }
    for step, artifact in cases.items():
        name = step.replace(" ", "-")
        registry.publish(name, artifact, job_id=name)
        found = made_again(registry, tmp_path / name, 1, name)
        assert (found.same, found.diverged) == (False, step)
        assert (found.labels.then != found.labels.now) == (step == "labels")
        apart = found.differences
        assert list(apart) == ["value", "delta", "gamma"]
        assert any("reads the specification otherwise: export" in note for note in found.notes) == (
            step == "specification"
        )
        changed = step not in ("export", "specification")
        assert all((one.largest > 0.0) == changed for one in apart.values())
        if changed:
            assert apart["value"].share is not None
            assert apart["value"].share > 0.0


def test_a_build_that_prunes_names_the_training(registry: Registry, tmp_path: Path, half: Artifact) -> None:
    spec = load(BuildSpec, half.manifest.provenance.build)
    registry.publish("trained", otherwise(half, replace(spec, training=LONGER)), job_id="trained")
    assert made_again(registry, tmp_path / "job", 1, "trained").diverged == "training"


def test_what_is_gone_is_said(registry: Registry, tmp_path: Path) -> None:
    version = publish(
        registry, load_spec("prune", {"model": "tiny", "version": 1, "pruning": PRUNING}), tmp_path / "job"
    )
    made = files.read(registry.folder("tiny", version))
    elsewhere = Registry(tmp_path / "elsewhere")
    elsewhere.publish("tiny", made, job_id="moved")
    provenance = replace(made.manifest.provenance, parent=Version(model="tiny", version=7))
    gone = replace_artifact(made, manifest=replace(made.manifest, provenance=provenance))
    elsewhere.publish("tiny", gone, job_id="gone")
    with pytest.raises(InvalidRequest, match="tiny@2 cannot be made again here: tiny has no version or alias 7"):
        made_again(elsewhere, tmp_path / "again", 2)


def test_a_teacher_of_the_same_name_that_is_another_is_named(
    registry: Registry, tmp_path: Path, tiny: dict[str, Any], half: Artifact
) -> None:
    spec = load(BuildSpec, tiny | {"name": "taught", "labels": {"model": "tiny@1", "samples": 64}})
    publish(registry, spec, tmp_path / "job", "taught")
    elsewhere = Registry(tmp_path / "elsewhere")
    elsewhere.publish("tiny", half, job_id="another")
    elsewhere.publish("taught", files.read(registry.folder("taught", 1)), job_id="copy")
    found = made_again(elsewhere, tmp_path / "again", 1, "taught")
    assert (found.same, found.diverged) == (False, "labels")
    assert any("tiny@1 in" in note and "another model" in note for note in found.notes)


def test_the_environment_is_compared_and_its_absence_said(registry: Registry, tmp_path: Path, whole: Artifact) -> None:
    assert whole.environment is not None
    other = replace(whole.environment, processor="Another", instruction_set={"torch": "AVX2"}, commit=None, threads=9)
    libraries = {**dict(whole.manifest.provenance.libraries or {}), "torch": "1.0"}
    manifest = replace(whole.manifest, provenance=replace(whole.manifest.provenance, libraries=libraries))
    registry.publish("moved", replace_artifact(whole, manifest=manifest, environment=other), job_id="moved")
    found = made_again(registry, tmp_path / "moved", 1, "moved")
    assert found.same
    then = {name: pair.then for name, pair in found.environment.items()}
    assert then["processor"] == "Another"
    assert then["instruction set of torch"] == "AVX2"
    assert then["library torch"] == "1.0"
    assert then["threads"] == "9"
    assert "python" not in then
    earlier = replace(manifest.provenance, data_sha256=UNSET, libraries=UNSET)
    bare = replace_artifact(whole, manifest=replace(manifest, provenance=earlier), environment=None)
    registry.publish("earlier", bare, job_id="earlier")
    found = made_again(registry, tmp_path / "earlier", 1, "earlier")
    assert (found.same, found.environment, found.labels.then) == (True, {}, None)
    assert [note.partition(":")[0] for note in found.notes] == [
        "the version is from before the environment was kept",
        "the version does not say what its labels were",
    ]


def test_an_order_takes_over_what_the_job_had_changed(registry: Registry, half: Artifact) -> None:
    assert isinstance(order(half.manifest, registry), BuildSpec)
    build_spec = load(BuildSpec, half.manifest.provenance.build)
    provenance = replace(half.manifest.provenance, parent=Version(model="tiny", version=1))
    prune = order(replace(half.manifest, provenance=provenance), registry)
    assert isinstance(prune, PruneJobSpec)
    assert (prune.labels, prune.dataset, prune.pruning) == (None, None, build_spec.pruning)
    moved = replace(provenance, build=json.loads(to_json(dump(replace(build_spec, labels=load(LabelSpec, LABELS))))))
    changed = order(replace(half.manifest, provenance=moved), registry)
    assert isinstance(changed, PruneJobSpec)
    assert changed.labels == load(LabelSpec, LABELS)
