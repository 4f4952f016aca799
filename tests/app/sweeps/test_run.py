from __future__ import annotations

import os
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app.errors import Unavailable
from app.pipeline.executor import open_executor
from app.sweeps.case import record_path, start_path
from app.sweeps.findings import MeasuredCase
from app.sweeps.record import Failed, Measured, Skipped
from app.sweeps.report import make_report
from app.sweeps.run import Outcome, measure_latencies, run_cases
from app.sweeps.spec import DENSE, Case, SweepSpec
from pricing.errors import InvalidSpec
from surrogate.export.onnx_reader import read_network
from tests.app.sweeping import IMPOSSIBLE, NETWORKS, run_here, written


@pytest.fixture(scope="module")
def one_seed(sweep_spec: SweepSpec) -> SweepSpec:
    """The part of the sweep that other executors run too."""
    return replace(sweep_spec, seeds=(0,), methods=("magnitude",))


@pytest.fixture
def outcomes(swept: tuple[list[Outcome], Path]) -> list[Outcome]:
    return swept[0]


def networks(outcomes: list[Outcome], folder: Path) -> dict[Case, bytes]:
    paths = {o.case: record_path(o.case, folder).with_suffix(".onnx") for o in outcomes if o.done}
    return {case: path.read_bytes() for case, path in paths.items()}


def test_every_case_is_measured_or_says_why_not(outcomes: list[Outcome], sweep_folder: Path) -> None:
    done = [outcome for outcome in outcomes if outcome.done]
    skipped = [outcome.record for outcome in outcomes if isinstance(outcome.record, Skipped)]
    assert (len(done), len(skipped), len(outcomes)) == (NETWORKS, IMPOSSIBLE, NETWORKS + IMPOSSIBLE)
    assert all("parameters = 2" in record.sentence for record in skipped)
    for outcome in done:
        record = outcome.record
        assert isinstance(record, Measured)
        network = read_network(record_path(outcome.case, sweep_folder).with_suffix(".onnx").read_bytes())
        assert (network.parameters, list(network.widths)) == (record.parameters, record.widths)
        assert set(record.shifted) == {"noise 0.01", "upper corner 0.2"}
        assert (record.accuracy["gamma"].rmse or 0.0) > 0.0
        assert (record.sparsity is None) == (outcome.case.kind != "pruned")
        assert all(seconds >= 0.0 for seconds in record.seconds.values())
        assert outcome.case.kind != "pruned" or record.seconds["fine_tuning"] > 0.0


def test_the_spec_decides_every_network(
    one_seed: SweepSpec, outcomes: list[Outcome], sweep_folder: Path, tmp_path: Path
) -> None:
    first = networks(outcomes, sweep_folder)
    assert len(set(first.values())) == NETWORKS
    again = networks(run_here(one_seed, tmp_path / "again"), tmp_path / "again")
    assert len(again) == 3
    assert all(first[case] == model for case, model in again.items())


def test_what_has_finished_is_not_run_again(sweep_spec: SweepSpec, outcomes: list[Outcome], sweep_folder: Path) -> None:
    before = written(sweep_folder)
    assert len(before) == NETWORKS + IMPOSSIBLE
    lost = [record_path(outcome.case, sweep_folder) for outcome in outcomes[3:6]]
    for path in lost:
        path.unlink()
    assert [outcome.case for outcome in run_here(sweep_spec, sweep_folder)] == [outcome.case for outcome in outcomes]
    after = written(sweep_folder)
    assert set(after) == set(before)
    assert {path for path in after if after[path] != before[path]} == set(lost)


def test_a_network_whose_graph_is_gone_is_made_again(
    one_seed: SweepSpec, outcomes: list[Outcome], sweep_folder: Path
) -> None:
    before = networks(outcomes, sweep_folder)
    lost = next(outcome.case for outcome in outcomes if outcome.case.kind == "pruned" and outcome.done)
    record_path(lost, sweep_folder).with_suffix(".onnx").unlink()
    again = run_here(one_seed, sweep_folder)
    assert networks(again, sweep_folder)[lost] == before[lost]
    latencies = measure_latencies(again, sweep_folder, progress=lambda step, share: None)
    assert [latency is not None for latency in latencies] == [outcome.done for outcome in again]


def test_a_change_runs_only_what_it_changes(sweep_spec: SweepSpec, sweep_folder: Path) -> None:
    before, starts = written(sweep_folder), set((sweep_folder / "starts").iterdir())
    run_here(replace(sweep_spec, methods=(*sweep_spec.methods, "random"), deltas=(0.1,)), sweep_folder)
    added = set(written(sweep_folder)) - set(before)
    assert len(added) == 2 * 2
    renamed = replace(sweep_spec, methods=({"method": "magnitude", "label": "smallest"}, *sweep_spec.methods[1:]))
    assert "smallest" in {outcome.case.label for outcome in run_here(renamed, sweep_folder)}
    run_here(replace(sweep_spec, shifts=(), seeds=(1,), methods=("random",)), sweep_folder)
    after = written(sweep_folder)
    assert all(after[path] == when for path, when in before.items())
    # The dense network, one from scratch and two targets of the one method are judged on other domains.
    assert len(after) == len(before) + 4 + 4
    assert set((sweep_folder / "starts").iterdir()) == starts


def test_methods_before_and_during_training_start_from_the_untrained_network(
    sweep_spec: SweepSpec, tmp_path: Path
) -> None:
    short = replace(sweep_spec, methods=("set", "snip"), parameters=(), seeds=(0,))
    twice = replace(sweep_spec.build.training, optimisers=sweep_spec.build.training.optimisers * 2)
    longer = replace(short, build=replace(sweep_spec.build, training=twice))
    one, two = (
        {o.case.label: o.record.accuracy for o in run_here(each, tmp_path) if isinstance(o.record, Measured)}
        for each in (short, longer)
    )
    assert one[DENSE] != two[DENSE]
    # SET has a training of its own; what is pruned at the start is then trained as the dense network is.
    assert one["set"] == two["set"]
    assert one["snip"] != two["snip"]


def test_what_cannot_be_combined_is_skipped(one_seed: SweepSpec, sweep_folder: Path) -> None:
    with pytest.raises(InvalidSpec, match="'rewind' needs a method that removes weights"):
        replace(one_seed, methods=("significance",), pruning={"retraining": "rewind"})
    curved = replace(one_seed.build, labels=replace(one_seed.build.labels, order=1))
    asked = replace(one_seed, build=curved, pruning={"fine_tuning": {"loss": {"order": 2}}}, parameters=())
    records = {o.case.kind: o.record for o in run_here(asked, sweep_folder)}
    assert isinstance(records["dense"], Measured)
    assert isinstance(records["pruned"], Skipped)
    assert "labels of order 2" in records["pruned"].sentence


def test_a_failure_is_told_and_tried_again(one_seed: SweepSpec, outcomes: list[Outcome], sweep_folder: Path) -> None:
    case = next(o.case for o in outcomes if o.case.kind == "pruned" and o.done)
    path, network = record_path(case, sweep_folder), start_path(case, sweep_folder) / "trained.onnx"
    path.unlink()
    good = network.read_bytes()
    network.write_bytes(b"no network")
    failed = {o.case: o.record.sentence for o in run_here(one_seed, sweep_folder) if isinstance(o.record, Failed)}
    assert list(failed) == [case]
    assert "not an ONNX file" in failed[case]
    assert not path.exists()
    network.write_bytes(good)
    assert not any(isinstance(o.record, Failed) for o in run_here(one_seed, sweep_folder))


def test_what_needs_a_network_that_could_not_be_made_fails_with_it(one_seed: SweepSpec, tmp_path: Path) -> None:
    labels = replace(one_seed.build.labels, directions=5)
    outcomes = run_here(replace(one_seed, build=replace(one_seed.build, labels=labels)), tmp_path)
    dense, *others = outcomes
    assert "directions must be at most 2" in str(dense.record.sentence)
    assert all(isinstance(o.record, Failed) and "of seed 0" in o.record.sentence for o in others)


def test_processes_give_the_same_networks(
    one_seed: SweepSpec, outcomes: list[Outcome], sweep_folder: Path, tmp_path: Path
) -> None:
    with open_executor(2) as executor:
        parallel = run_cases(one_seed, tmp_path / "two", executor=executor, progress=lambda step, share: None)
    expected = networks(outcomes, sweep_folder)
    assert all(expected[case] == model for case, model in networks(parallel, tmp_path / "two").items())


def test_a_dask_cluster_gives_the_same_networks(
    one_seed: SweepSpec, outcomes: list[Outcome], sweep_folder: Path, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        open_executor(1, cluster.scheduler_address) as executor,
    ):
        remote = run_cases(one_seed, tmp_path / "far", executor=executor, progress=lambda step, share: None)
    expected = networks(outcomes, sweep_folder)
    assert all(expected[case] == model for case, model in networks(remote, tmp_path / "far").items())


def test_a_dead_worker_is_told_as_such(one_seed: SweepSpec, tmp_path: Path) -> None:
    class Dying(Executor):
        """Hands every case to a process that ends at once."""

        def __init__(self, inner: Executor) -> None:
            self.inner = inner

        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            return self.inner.submit(os._exit, 9)

    with pytest.raises(Unavailable, match="worker died"), open_executor(1) as executor:
        run_cases(one_seed, tmp_path, executor=Dying(executor), progress=lambda step, share: None)


def test_latencies_are_of_every_network_and_against_its_dense_one(
    sweep_spec: SweepSpec, outcomes: list[Outcome], sweep_folder: Path
) -> None:
    latencies = measure_latencies(outcomes, sweep_folder, progress=lambda step, share: None)
    assert [latency is not None for latency in latencies] == [outcome.done for outcome in outcomes]
    report = make_report(sweep_spec, outcomes, latencies, command="sobolite sweep")
    dense = [case for case in report.cases if isinstance(case, MeasuredCase) and case.kind == "dense"]
    assert len(dense) == len(sweep_spec.seeds)
    assert all(set(case.relative_latency.values()) == {1.0} for case in dense)
