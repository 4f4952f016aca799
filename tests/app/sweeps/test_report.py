from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from msgspec import to_builtins
from msgspec.structs import replace

from app.files import read_json, write_json
from app.sweeps.findings import SIZES, MissingCase, SweepReport
from app.sweeps.record import Failed, Measured
from app.sweeps.report import make_report
from app.sweeps.run import Outcome
from app.sweeps.spec import SweepSpec
from pricing.references import reference as references
from pricing.specs.process import BlackScholes
from pruning.studies.shifts import Volatility

Sweep = tuple[SweepSpec, list[Outcome], list[dict[str, float] | None]]


@pytest.fixture
def report(sweep_of_three: Sweep) -> SweepReport:
    return make_report(*sweep_of_three, command="sobolite sweep three.toml")


def test_a_row_is_the_worst_of_the_seeds(report: SweepReport) -> None:
    rows = {row.label: row for row in report.frontier}
    assert rows["a"].gamma_r2 == 0.9999
    assert rows["b & c"].gamma_r2 == 0.9998
    assert rows["b & c"].gamma_rmse == pytest.approx(2e-4)
    assert rows["a"].seconds == 3.0
    assert rows["a"].latency == pytest.approx(0.4)


def test_what_some_seed_lacks_is_no_row_but_a_case(report: SweepReport) -> None:
    assert [row.target for row in report.frontier if row.label == "a"] == ["40 parameters"]
    assert [case.sentence for case in report.cases if isinstance(case, MissingCase)] == ["too small <for> it"]


def test_the_frontier_is_what_nothing_smaller_matches(report: SweepReport) -> None:
    # "a" has the gammas of the smaller network from scratch.
    assert {row.label for row in report.frontier if "parameters" in row.pareto} == {
        "b & c",
        "from scratch",
        "dense",
    }
    for axis in ("parameters", "onnx_nodes", "latency"):
        line = sorted((row.along(axis), row.gamma_r2) for row in report.frontier if axis in row.pareto)
        assert [r2 for _, r2 in line] == sorted(r2 for _, r2 in line)


def test_the_smallest_networks_are_told_with_and_without_those_from_scratch(report: SweepReport) -> None:
    smallest = report.smallest
    assert smallest.gamma_r2 == 0.9999
    for size in SIZES:
        overall, pruned = smallest.by(size).overall, smallest.by(size).pruned
        assert overall is not None
        assert pruned is not None
        assert (overall.label, pruned.label) == ("from scratch", "a")


def test_potentials_are_means_over_seeds(report: SweepReport) -> None:
    found = {
        (entry.label, entry.delta): entry.potential
        for entry in report.potential
        if (entry.domain, entry.greek) == ("nominal", "gamma")
    }
    assert found["a", 0.0] == 0.0
    # Seed 1 alone is within the dense error, and nobody within twice of it on seed 0.
    assert found["b & c", 0.0] == found["b & c", 1.0] == pytest.approx(0.4)


def test_excess_errors_are_slopes_over_all_networks(report: SweepReport) -> None:
    (entry,) = [e for e in report.excess if (e.label, e.greek) == ("b & c", "gamma")]
    assert entry.domain == "noise 0.01"
    # 10 % more error on the noisy domain: e = rmse / 10, at a ratio of 0.8 on both seeds.
    excess = 0.1 * np.array([2e-4 - 1e-5, 0.0])
    assert entry.slope == pytest.approx(excess.mean() / 0.8)
    assert entry.low <= entry.slope <= entry.high


def test_what_is_preserved_is_the_least_of_the_seeds_that_say(report: SweepReport) -> None:
    (row,) = report.preserved
    assert (row.label, row.target, row.domain) == ("a", "40 parameters", "nominal")
    assert row.r2 == pytest.approx(dict.fromkeys(("value", "delta", "gamma"), 0.9998))
    assert row.agreement == dict.fromkeys(("value", "delta", "gamma"), 0.25)
    assert row.overlap == 0.5


def test_a_separate_network_is_no_method(sweep_of_three: Sweep) -> None:
    spec, outcomes, latencies = sweep_of_three
    spec = replace(spec, separate=True)
    more = [Outcome(case=spec.cases(seed)[-1], record=outcomes[0].record) for seed in spec.seeds]
    told = make_report(spec, outcomes + more, latencies + latencies[:2], command="sobolite sweep")
    assert "separate" in {row.label for row in told.frontier}
    assert "separate" not in {row.label for row in told.potential} | {row.label for row in told.excess}


def test_it_names_the_reference_that_judged(report: SweepReport, sweep_of_three: Sweep) -> None:
    assert report.evaluation.reference == "closed form"
    spec, outcomes, latencies = sweep_of_three
    correlation = ((1.0, 0.5, 0.5), (0.5, 1.0, 0.5), (0.5, 0.5, 1.0))
    process = BlackScholes(volatilities=(0.2, 0.2, 0.3), correlation=correlation)
    simulated = replace(spec.build.pricing, process=process)
    shifts = (*spec.places, Volatility(factor=1.05))
    sweep = replace(spec, build=replace(spec.build, problem=simulated), shifts=shifts)
    everywhere = [
        Outcome(
            case=o.case, record=replace(o.record, shifted=dict.fromkeys([s.name for s in shifts], o.record.accuracy))
        )
        if isinstance(o.record, Measured)
        else o
        for o in outcomes
    ]
    told = make_report(sweep, everywhere, latencies, command="sobolite sweep")
    assert told.evaluation.reference == references.reference(simulated, np.ones((1, 3))).kind == "replicates"


def test_nothing_judged_what_was_not_made(sweep_of_three: Sweep) -> None:
    spec, outcomes, _ = sweep_of_three
    failed = [Outcome(case=outcome.case, record=Failed(sentence="no luck")) for outcome in outcomes]
    told = make_report(spec, failed, [None] * len(failed), command="sobolite sweep")
    assert told.evaluation.reference is None


def test_it_says_how_it_was_made_and_is_plain_data(report: SweepReport, tmp_path: Any) -> None:
    assert report.command == "sobolite sweep three.toml"
    assert report.seeds == (0, 1)
    assert {"python", "torch", "onnxruntime", "sobolite"} <= set(report.versions)
    write_json(tmp_path / "report.json", to_builtins(report))
    plain = read_json(tmp_path / "report.json")
    assert set(plain["smallest"]["parameters"]) == {"all", "pruned"}
    (skipped,) = [case for case in plain["cases"] if case["status"] != "done"]
    assert set(skipped) == {"label", "kind", "method", "target", "seed", "status", "sentence"}
