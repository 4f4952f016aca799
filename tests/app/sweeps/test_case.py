from __future__ import annotations

from pathlib import Path

import pytest
import torch
from msgspec import UNSET
from msgspec.structs import replace

from app.files import read_json
from app.pipeline.build import build
from app.pipeline.folder import JobFolder
from app.specification.build import BuildSpec
from app.sweeps.case import GREEKS, record_path, run_case, start_path
from app.sweeps.record import Measured
from app.sweeps.spec import SEPARATE, Case
from pricing.specs.base import dump, load
from pruning.spec import PruningSpec
from pruning.studies.shifts import Corner, InputNoise, Volatility
from surrogate.artifact.manifest import plain_manifest
from surrogate.export.onnx_reader import read_network
from surrogate.spec import NetworkSpec


@pytest.fixture
def dense(tiny_build: BuildSpec) -> Case:
    """The dense network of a sweep."""
    return Case(label="dense", build=tiny_build, shifts=(InputNoise(level=0.01),))


def measured(case: Case, folder: Path) -> Measured:
    record = run_case(dump(case), folder)
    assert read_json(record_path(case, folder)) == record
    return load(Measured, record)


def test_the_dense_network_is_that_of_the_build(dense: Case, tmp_path: Path) -> None:
    record, made = measured(dense, tmp_path / "sweep"), build(dense.build, tmp_path / "build")
    case, built = (read_network(model) for model in (model_of(dense, tmp_path / "sweep"), made.model))
    assert all(torch.equal(one, other) for one, other in zip(case.weights, built.weights, strict=True))
    assert {greek: score.r2 for greek, score in record.accuracy.items()} == pytest.approx(
        {greek: plain_manifest(made.manifest)["accuracy"][greek]["r2"] for greek in GREEKS}, rel=1e-9
    )
    assert set(record.seconds) == {"labels", "training"}
    assert record.sparsity is None


def model_of(case: Case, folder: Path) -> bytes:
    return record_path(case, folder).with_suffix(".onnx").read_bytes()


def test_all_cases_of_a_seed_start_from_one_folder(dense: Case, tmp_path: Path) -> None:
    measured(dense, tmp_path)
    start = JobFolder(start_path(dense, tmp_path))
    before = {path: path.stat().st_mtime_ns for path in start.path.iterdir()}
    small = replace(dense, label="from scratch", network=NetworkSpec(hidden=(2,)))
    pruned = replace(dense, label="magnitude", pruning=PruningSpec(method="magnitude", sparsity=0.5))
    records = [measured(case, tmp_path) for case in (small, pruned)]
    assert [start_path(case, tmp_path) for case in (small, pruned)] == [start.path] * 2
    assert {path: path.stat().st_mtime_ns for path in start.path.iterdir()} == before
    assert [set(record.seconds) for record in records] == [{"training"}, {"pruning", "fine_tuning"}]
    assert records[1].sparsity == pytest.approx(5 / 9)
    assert records[0].widths == [2, 2, 1]


def test_a_label_decides_nothing_and_everything_else_does(dense: Case, tmp_path: Path) -> None:
    same = replace(dense, label="another")
    others = [replace(dense, shifts=()), replace(dense, build=replace(dense.build, seed=7))]
    assert record_path(same, tmp_path) == record_path(dense, tmp_path)
    assert len({record_path(case, tmp_path) for case in (dense, *others)}) == 3
    assert [start_path(case, tmp_path) == start_path(dense, tmp_path) for case in others] == [True, False]


def test_what_is_preserved_is_measured_against_the_dense_network(dense: Case, tmp_path: Path) -> None:
    shifts = (InputNoise(level=0.01), Corner(side="upper"), Volatility(factor=1.1))
    dense = replace(dense, shifts=shifts)
    assert measured(dense, tmp_path).preserved is UNSET
    whole = replace(dense, label="whole", pruning=PruningSpec(method="magnitude", sparsity=0.0))
    half = replace(dense, label="half", pruning=PruningSpec(method="magnitude", sparsity=0.5))
    kept, cut = (measured(case, tmp_path).preserved for case in (whole, half))
    assert kept is not UNSET
    assert cut is not UNSET
    # Another market shows both networks the same points again.
    assert set(kept) == set(cut) == {"nominal", "noise 0.01", "upper corner 0.2"}
    for domain, alike in kept.items():
        assert alike.r2 == pytest.approx(dict.fromkeys(GREEKS, 1.0), abs=1e-9)
        assert alike.agreement == dict.fromkeys(GREEKS, 1.0)
        assert alike.overlap == 1.0
        assert all(cut[domain].r2[greek] < 1.0 - 1e-6 for greek in GREEKS)
        assert 0.0 <= cut[domain].overlap <= 1.0


def test_a_separate_network_starts_from_other_weights(dense: Case, tmp_path: Path) -> None:
    measured(dense, tmp_path)
    spec = dense.build
    same = replace(dense, label="from scratch", network=spec.network, training=spec.training)
    again = replace(same, label=SEPARATE, separate=True)
    for case, equal in ((same, True), (again, False)):
        preserved = measured(case, tmp_path).preserved
        assert preserved is not UNSET
        assert (preserved["nominal"].r2["value"] > 1.0 - 1e-9) == equal


def test_only_tuning_takes_the_time_of_tuning(dense: Case, tmp_path: Path) -> None:
    measured(dense, tmp_path)
    for method, tuned in (("magnitude", False), ("snip", True)):
        case = replace(dense, label=method, pruning=load(PruningSpec, {"method": method, "sparsity": 0.5}))
        assert (measured(case, tmp_path).seconds["fine_tuning"] > 0.0) == tuned
