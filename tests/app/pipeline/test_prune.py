"""The same words prune the same network: in a build, in a prune job and in a sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace

from app.datasets import store
from app.datasets.table import Limits
from app.pipeline.build import build
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.prune import recipe
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.jobs import load_spec
from app.sweeps.case import record_path, run_case
from app.sweeps.spec import Case
from pricing.specs.base import dump, load
from pruning.spec import PruningSpec
from surrogate.artifact.files import Artifact
from surrogate.artifact.manifest import plain_manifest
from surrogate.export.onnx_reader import read_network
from surrogate.functions.network import Network
from surrogate.report.report import plain_report
from surrogate.report.sources import RidgeFacts
from surrogate.spec import TrainingSpec

# One of every phase, and one that removes nodes.
METHODS = ("magnitude", "significance", "snip", "set")
TARGETS: tuple[dict[str, Any], ...] = ({"sparsity": 0.4}, {"parameters": 9})
TUNING = {"optimisers": [{"kind": "lbfgs", "iterations": 3}]}
DYNAMICS = {"optimiser": {"kind": "adam", "epochs": 2}}


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, tiny_build: BuildSpec) -> Path:
    """The folder of a sweep whose dense network is there."""
    folder = tmp_path_factory.mktemp("sweep")
    assert run_case(dump(Case(label="dense", build=tiny_build, shifts=())), folder)["status"] == "done"
    return folder


def prune_job(pruning: PruningSpec, root: Path, folder: Path, *, version: int = 1) -> Artifact:
    given = {"model": "tiny", "version": version, "seed": 1, "pruning": dump(pruning)}
    return build(load_spec("prune", given), folder, registry=root)


def assert_same(one: Network, other: Network) -> None:
    """Bit for bit."""
    assert (one.widths, one.activation, one.linear) == (other.widths, other.activation, other.linear)
    for mine, theirs in zip((*one.weights, *one.biases), (*other.weights, *other.biases), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize("tuning", [None, TUNING], ids=["as pruned", "fine-tuned"])
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: next(iter(target)))
@pytest.mark.parametrize("method", METHODS)
def test_a_build_a_prune_job_and_a_sweep_prune_alike(
    method: str,
    target: dict[str, Any],
    tuning: dict[str, Any] | None,
    tiny_build: BuildSpec,
    tiny_registry: Path,
    sweep: Path,
    tmp_path: Path,
) -> None:
    words = {"method": method, **target, "stages": 2, "fine_tuning": tuning, "dynamics": DYNAMICS}
    pruning = load(PruningSpec, words)
    built = read_network(build(replace(tiny_build, pruning=pruning), tmp_path / "build").model)
    assert built.parameters < 13
    assert_same(read_network(prune_job(pruning, tiny_registry, tmp_path / "job").model), built)
    case = Case(label=method, build=tiny_build, shifts=(), pruning=pruning)
    assert run_case(dump(case), sweep)["status"] == "done"
    assert_same(read_network(record_path(case, sweep).with_suffix(".onnx").read_bytes()), built)


def test_what_is_pruned_before_training_does_not_start_from_the_parent(
    tiny_build: BuildSpec, tiny_registry: Path, tmp_path: Path
) -> None:
    """A version of half the nodes is no smaller start for it, and nothing is proven against what was not pruned."""
    pruning = PruningSpec(method="snip", sparsity=0.4)
    built = build(replace(tiny_build, pruning=pruning), tmp_path / "build")
    job = prune_job(pruning, tiny_registry, tmp_path / "job", version=2)
    assert_same(read_network(job.model), read_network(built.model))
    assert plain_report(job.report)["pruning"] == plain_report(built.report)["pruning"]
    assert (
        plain_manifest(job.manifest)["certificate"]["pruning"]
        is None
        is plain_manifest(built.manifest)["certificate"]["pruning"]
    )


def test_what_is_pruned_after_training_goes_on_from_a_smaller_version(tiny_registry: Path, tmp_path: Path) -> None:
    whole, half = (
        read_network((tiny_registry / "tiny" / version / "model.onnx").read_bytes()) for version in ("1", "2")
    )
    job = prune_job(PruningSpec(method="magnitude", sparsity=0.3), tiny_registry, tmp_path, version=2)
    assert plain_report(job.report)["pruning"]["parameters"]["before"] == half.parameters < whole.parameters
    assert plain_manifest(job.manifest)["certificate"]["pruning"] is not None


def test_the_report_says_how_every_network_of_the_run_fits(
    tiny_build: BuildSpec, tiny_registry: Path, noisy: tuple[BuildSpec, Path], tmp_path: Path
) -> None:
    """What a version's training started from, a prune job does not know."""
    pruning = PruningSpec(method="magnitude", sparsity=0.4)
    built = build(replace(tiny_build, pruning=pruning), tmp_path / "build")
    job = prune_job(pruning, tiny_registry, tmp_path / "job")
    entries = plain_report(built.report)["pruning"]["milestones"]
    assert [entry["network"] for entry in entries] == ["init", "pre_prune", "post_prune", "final"]
    assert plain_report(job.report)["pruning"]["milestones"] == entries[1:]
    assert {"loss", "value_rmse", "delta_rmse", "gamma_rmse"} <= set(entries[0])
    assert "held_out_value_rmse" in entries[0], "labels that training does not see"
    assert "| before pruning | 13 |" in built.card
    spec, root = noisy
    imported = build(replace(spec, pruning=pruning), tmp_path / "imported", registry=root)
    entry = plain_report(imported.report)["pruning"]["milestones"][-1]
    assert entry["held_out_value_rmse"] == pytest.approx(imported.manifest.accuracy["value"].rmse)
    assert "| held out loss |" in imported.card


def test_stages_and_fine_tuning_are_the_phases_own(tiny_build: BuildSpec, tmp_path: Path) -> None:
    tuning = load(TrainingSpec, TUNING)

    def made(words: dict[str, Any]) -> PruningSpec:
        pruning = load(PruningSpec, {"sparsity": 0.4, "stages": 3} | words)
        return recipe(JobFolder(tmp_path), replace(tiny_build, pruning=pruning))

    after, before, during = (made({"method": method, "fine_tuning": TUNING}) for method in ("magnitude", "snip", "set"))
    assert (after.stages, before.stages, during.stages) == (3, 1, 1)
    assert after.fine_tuning == tuning == during.fine_tuning
    assert before.fine_tuning is not None
    assert before.fine_tuning.optimisers == (*tiny_build.training.optimisers, *tuning.optimisers)
    assert made({"method": "snip"}).fine_tuning == tiny_build.training


@pytest.fixture
def noisy(tmp_path: Path) -> tuple[BuildSpec, Path]:
    """A build from imported labels, whose ridge is chosen, and its registry."""
    generator = np.random.default_rng(1)
    x = generator.uniform(0.5, 1.5, (200, 2))
    y = x[:, 0] * x[:, 1] + 0.1 * generator.standard_normal(200)
    np.savez(tmp_path / "rows.npz", x=x, y=y)
    root = tmp_path / "noisy"
    facts, _ = store.import_file(tmp_path / "rows.npz", root, Limits(rows=1000, size=1 << 20))
    optimiser = {"kind": "levenberg_marquardt", "starts": 1, "short": 3, "finalists": 1, "long": 3}
    training = {"loss": {"order": 0}, "optimisers": [optimiser]}
    given = {"name": "tiny", "seed": 1, "dataset": {"id": facts.dataset}, "network": {"hidden": [3]}}
    return load(BuildSpec, given | {"training": training}), root


@pytest.mark.parametrize("method", ["magnitude", "snip"])
def test_imported_labels_are_fine_tuned_on_with_the_same_ridge(
    method: str, noisy: tuple[BuildSpec, Path], tmp_path: Path
) -> None:
    spec, root = noisy
    registry = Registry(root)
    registry.publish("tiny", build(spec, tmp_path / "dense", registry=root), job_id="dense")
    registry.close()
    words = {"method": method, "sparsity": 0.4, "fine_tuning": dump(spec.training)}
    pruning = load(PruningSpec, words)
    built = build(replace(spec, pruning=pruning), tmp_path / "build", registry=root)
    job = prune_job(pruning, root, tmp_path / "job")
    assert_same(read_network(job.model), read_network(built.model))
    assert plain_report(job.report).get("ridge") == plain_report(built.report).get("ridge")
    assert ("ridge" in plain_report(job.report)) == (method == "magnitude")


def test_the_ridge_of_the_training_is_for_what_was_trained(noisy: tuple[BuildSpec, Path], tmp_path: Path) -> None:
    spec, _ = noisy
    folder = JobFolder(tmp_path / "job")
    folder.begin(order_of(spec))
    folder.ridge.write(RidgeFacts(ridge=0.25))
    for method, expected in (("magnitude", 0.25), ("set", "auto")):
        words = {"method": method, "sparsity": 0.4, "fine_tuning": dump(spec.training)}
        tuning = recipe(folder, replace(spec, pruning=load(PruningSpec, words))).fine_tuning
        assert tuning is not None
        assert tuning.ridge == expected
