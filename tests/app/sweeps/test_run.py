from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from app import cli
from app.errors import Unavailable
from app.files import read_json
from app.sweeps.case import CASES, record_path, start_path
from app.sweeps.executor import open_executor
from app.sweeps.findings import MeasuredCase
from app.sweeps.record import Failed, Measured, Skipped
from app.sweeps.report import make_report
from app.sweeps.run import Outcome, measure_latencies, run_cases
from app.sweeps.spec import DENSE, Case, SweepSpec, read_sweep_spec
from surrogate.export.onnx_reader import read_network

PATIENCE_SECONDS = 60.0
SWEEP = """
build = "tiny.toml"
methods = ["magnitude", { method = "significance", label = "by intervals" }, "snip", "set"]
sparsities = [0.5]
parameters = [2]
seeds = [0, 1]
shifts = [{ kind = "noise", level = 0.01 }, { kind = "corner", side = "upper" }]
gamma_r2 = 0.0

[pruning]
stages = 2
fine_tuning = { optimisers = [{ kind = "lbfgs", iterations = 3 }] }
dynamics = { optimiser = { kind = "adam", epochs = 2 } }

[from_scratch]
hidden = [[2]]
"""
# Per seed: the dense network, one from scratch, and every method at the target that can be met.
NETWORKS, IMPOSSIBLE = 2 * (2 + 4), 2 * 4


def run_here(spec: SweepSpec, folder: Path) -> list[Outcome]:
    """The cases one by one in this process."""
    with ThreadPoolExecutor(1) as executor:
        return run_cases(spec, folder, executor=executor, progress=lambda step, share: None)


def write(folder: Path, build: str) -> Path:
    """The sweep as files."""
    (folder / "tiny.toml").write_text(build)
    (folder / "sweep.toml").write_text(SWEEP)
    return folder / "sweep.toml"


@pytest.fixture(scope="module")
def spec(tmp_path_factory: pytest.TempPathFactory, tiny_text: str) -> SweepSpec:
    return read_sweep_spec(write(tmp_path_factory.mktemp("spec"), tiny_text))


@pytest.fixture(scope="module")
def one_seed(spec: SweepSpec) -> SweepSpec:
    """The part of the sweep that other executors run too."""
    return replace(spec, seeds=(0,), methods=("magnitude",))


@pytest.fixture(scope="module")
def swept(spec: SweepSpec, tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Outcome], Path]:
    """A finished sweep, not to be changed."""
    folder = tmp_path_factory.mktemp("swept")
    return run_here(spec, folder), folder


@pytest.fixture
def outcomes(swept: tuple[list[Outcome], Path]) -> list[Outcome]:
    return swept[0]


@pytest.fixture
def folder(swept: tuple[list[Outcome], Path], tmp_path: Path) -> Path:
    """A copy of the finished sweep's folder."""
    return Path(shutil.copytree(swept[1], tmp_path / "sweep"))


def written(folder: Path) -> dict[Path, int]:
    """The records with the time that they were written."""
    return {path: path.stat().st_mtime_ns for path in (folder / CASES).glob("*.json")}


def networks(outcomes: list[Outcome], folder: Path) -> dict[Case, bytes]:
    paths = {o.case: record_path(o.case, folder).with_suffix(".onnx") for o in outcomes if o.done}
    return {case: path.read_bytes() for case, path in paths.items()}


def test_every_case_is_measured_or_says_why_not(outcomes: list[Outcome], folder: Path) -> None:
    done = [outcome for outcome in outcomes if outcome.done]
    skipped = [outcome.record for outcome in outcomes if isinstance(outcome.record, Skipped)]
    assert (len(done), len(skipped), len(outcomes)) == (NETWORKS, IMPOSSIBLE, NETWORKS + IMPOSSIBLE)
    assert all("parameters = 2" in record.sentence for record in skipped)
    for outcome in done:
        record = outcome.record
        assert isinstance(record, Measured)
        network = read_network(record_path(outcome.case, folder).with_suffix(".onnx").read_bytes())
        assert (network.parameters, list(network.widths)) == (record.parameters, record.widths)
        assert set(record.shifted) == {"noise 0.01", "upper corner 0.2"}
        assert (record.accuracy["gamma"].rmse or 0.0) > 0.0
        assert (record.sparsity is None) == (outcome.case.kind != "pruned")
        assert all(seconds >= 0.0 for seconds in record.seconds.values())
        assert outcome.case.kind != "pruned" or record.seconds["fine_tuning"] > 0.0


def test_the_spec_decides_every_network(
    one_seed: SweepSpec, outcomes: list[Outcome], folder: Path, tmp_path: Path
) -> None:
    first = networks(outcomes, folder)
    assert len(set(first.values())) == NETWORKS
    again = networks(run_here(one_seed, tmp_path / "again"), tmp_path / "again")
    assert len(again) == 3
    assert all(first[case] == model for case, model in again.items())


def test_what_has_finished_is_not_run_again(spec: SweepSpec, outcomes: list[Outcome], folder: Path) -> None:
    before = written(folder)
    assert len(before) == NETWORKS + IMPOSSIBLE
    lost = [record_path(outcome.case, folder) for outcome in outcomes[3:6]]
    for path in lost:
        path.unlink()
    assert [outcome.case for outcome in run_here(spec, folder)] == [outcome.case for outcome in outcomes]
    after = written(folder)
    assert set(after) == set(before)
    assert {path for path in after if after[path] != before[path]} == set(lost)


def test_a_network_whose_graph_is_gone_is_made_again(
    one_seed: SweepSpec, outcomes: list[Outcome], folder: Path
) -> None:
    before = networks(outcomes, folder)
    lost = next(outcome.case for outcome in outcomes if outcome.case.kind == "pruned" and outcome.done)
    record_path(lost, folder).with_suffix(".onnx").unlink()
    again = run_here(one_seed, folder)
    assert networks(again, folder)[lost] == before[lost]
    latencies = measure_latencies(again, folder, progress=lambda step, share: None)
    assert [latency is not None for latency in latencies] == [outcome.done for outcome in again]


def test_a_change_runs_only_what_it_changes(spec: SweepSpec, folder: Path) -> None:
    before, starts = written(folder), set((folder / "starts").iterdir())
    run_here(replace(spec, methods=(*spec.methods, "random"), deltas=(0.1,)), folder)
    added = set(written(folder)) - set(before)
    assert len(added) == 2 * 2
    renamed = replace(spec, methods=({"method": "magnitude", "label": "smallest"}, *spec.methods[1:]))
    assert "smallest" in {outcome.case.label for outcome in run_here(renamed, folder)}
    run_here(replace(spec, shifts=(), seeds=(1,), methods=("random",)), folder)
    after = written(folder)
    assert all(after[path] == when for path, when in before.items())
    # The dense network, one from scratch and two targets of the one method are judged on other domains.
    assert len(after) == len(before) + 4 + 4
    assert set((folder / "starts").iterdir()) == starts


def test_methods_before_and_during_training_start_from_the_untrained_network(spec: SweepSpec, tmp_path: Path) -> None:
    short = replace(spec, methods=("set", "snip"), parameters=(), seeds=(0,))
    twice = replace(spec.build.training, optimisers=spec.build.training.optimisers * 2)
    longer = replace(short, build=replace(spec.build, training=twice))
    one, two = (
        {o.case.label: o.record.accuracy for o in run_here(each, tmp_path) if isinstance(o.record, Measured)}
        for each in (short, longer)
    )
    assert one[DENSE] != two[DENSE]
    # SET has a training of its own; what is pruned at the start is then trained as the dense network is.
    assert one["set"] == two["set"]
    assert one["snip"] != two["snip"]


def test_what_cannot_be_combined_is_skipped(one_seed: SweepSpec, folder: Path) -> None:
    rewound = replace(one_seed, methods=("significance",), pruning={"retraining": "rewind"})
    assert any("rewind" in str(o.record.sentence) for o in run_here(rewound, folder) if o.case.kind == "pruned")
    curved = replace(one_seed.build, labels=replace(one_seed.build.labels, order=1))
    asked = replace(one_seed, build=curved, pruning={"fine_tuning": {"loss": {"order": 2}}}, parameters=())
    records = {o.case.kind: o.record for o in run_here(asked, folder)}
    assert isinstance(records["dense"], Measured)
    assert isinstance(records["pruned"], Skipped)
    assert "labels of order 2" in records["pruned"].sentence


def test_a_failure_is_told_and_tried_again(one_seed: SweepSpec, outcomes: list[Outcome], folder: Path) -> None:
    case = next(o.case for o in outcomes if o.case.kind == "pruned" and o.done)
    path, network = record_path(case, folder), start_path(case, folder) / "trained.onnx"
    path.unlink()
    good = network.read_bytes()
    network.write_bytes(b"no network")
    failed = {o.case: o.record.sentence for o in run_here(one_seed, folder) if isinstance(o.record, Failed)}
    assert list(failed) == [case]
    assert "not an ONNX file" in failed[case]
    assert not path.exists()
    network.write_bytes(good)
    assert not any(isinstance(o.record, Failed) for o in run_here(one_seed, folder))


def test_what_needs_a_network_that_could_not_be_made_fails_with_it(one_seed: SweepSpec, tmp_path: Path) -> None:
    labels = replace(one_seed.build.labels, directions=5)
    outcomes = run_here(replace(one_seed, build=replace(one_seed.build, labels=labels)), tmp_path)
    dense, *others = outcomes
    assert "directions must be at most 2" in str(dense.record.sentence)
    assert all(isinstance(o.record, Failed) and "of seed 0" in o.record.sentence for o in others)


def test_processes_give_the_same_networks(
    one_seed: SweepSpec, outcomes: list[Outcome], folder: Path, tmp_path: Path
) -> None:
    with open_executor(2) as executor:
        parallel = run_cases(one_seed, tmp_path / "two", executor=executor, progress=lambda step, share: None)
    expected = networks(outcomes, folder)
    assert all(expected[case] == model for case, model in networks(parallel, tmp_path / "two").items())


def test_a_dask_cluster_gives_the_same_networks(
    one_seed: SweepSpec, outcomes: list[Outcome], folder: Path, tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None) as cluster,
        open_executor(1, cluster.scheduler_address) as executor,
    ):
        remote = run_cases(one_seed, tmp_path / "far", executor=executor, progress=lambda step, share: None)
    expected = networks(outcomes, folder)
    assert all(expected[case] == model for case, model in networks(remote, tmp_path / "far").items())


def test_a_cluster_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(Unavailable, match="cluster"), open_executor(1, "tcp://127.0.0.1:1"):
        pass


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
    spec: SweepSpec, outcomes: list[Outcome], folder: Path
) -> None:
    latencies = measure_latencies(outcomes, folder, progress=lambda step, share: None)
    assert [latency is not None for latency in latencies] == [outcome.done for outcome in outcomes]
    report = make_report(spec, outcomes, latencies, command="sobolite sweep")
    dense = [case for case in report.cases if isinstance(case, MeasuredCase) and case.kind == "dense"]
    assert len(dense) == len(spec.seeds)
    assert all(set(case.relative_latency.values()) == {1.0} for case in dense)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    """The exit code of a command line in this process."""
    monkeypatch.setattr(sys, "argv", ["sobolite", "sweep", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    return int(stop.value.code or 0)


def test_the_command_writes_report_and_page(
    folder: Path, tmp_path: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, tiny_text)
    assert command(monkeypatch, path, "--folder", folder, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    report = read_json(Path(answer["report"]))
    assert report["command"].startswith("sobolite sweep")
    assert answer["smallest"] == report["smallest"]
    assert len(answer["missing"]) == IMPOSSIBLE
    assert "by intervals" in Path(answer["page"]).read_text(encoding="utf-8")
    assert command(monkeypatch, path, "--folder", folder) == 0
    said = capsys.readouterr()
    assert "fewest parameters with gamma R2 >= 0.0 on every seed" in said.out
    assert f"{IMPOSSIBLE} impossible cases skipped" in said.err


def test_a_failed_case_fails_the_command_and_a_wrong_one_is_bad_usage(
    tmp_path: Path, tiny_text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path, tiny_text.replace("samples = 32", "samples = 32\ndirections = 5"))
    assert command(monkeypatch, path, "--folder", tmp_path / "sweep", "--workers", "1") == 1
    said = capsys.readouterr()
    assert "failed: from scratch 2 seed 1: the dense network of seed 1" in said.err
    assert "none" in said.out
    path.write_text(SWEEP.replace("magnitude", "magnitud"))
    assert command(monkeypatch, path) == 2
    assert "methods[0].method" in capsys.readouterr().err


def test_an_interrupted_command_keeps_what_has_finished_and_goes_on(
    spec: SweepSpec, tmp_path: Path, tiny_text: str
) -> None:
    write(tmp_path, tiny_text)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "app.cli", "sweep", "sweep.toml", "--workers", "1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
        start_new_session=True,
    )
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not written(tmp_path / "sweep") and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130, said
    assert "the same command goes on" in said
    kept = written(tmp_path / "sweep")
    assert 0 < len(kept) < NETWORKS + IMPOSSIBLE
    run_here(spec, tmp_path / "sweep")
    after = written(tmp_path / "sweep")
    assert len(after) == NETWORKS + IMPOSSIBLE
    assert all(after[path] == when for path, when in kept.items())
