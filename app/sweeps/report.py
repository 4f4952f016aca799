"""One report of a sweep as plain data: frontier, smallest networks, prune potential, excess error, every case."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np

from app.pipeline.provenance import versions
from app.sweeps.case import GREEKS
from app.sweeps.run import Outcome
from app.sweeps.spec import DENSE, SweepSpec
from pricing.draws import stream
from pricing.specs.base import dump
from pruning.studies.potential import excess_error, excess_slope, prune_potential
from pruning.studies.shifts import NOMINAL

Latency = Mapping[str, float] | None
# Key of the batch that ranks latencies: a call of one row is mostly the call.
BATCH = "1024"
SIZES = ("parameters", "onnx_nodes")


def make_report(
    spec: SweepSpec, outcomes: Sequence[Outcome], latencies: Sequence[Latency], *, command: str
) -> dict[str, Any]:
    """Everything that the sweep found.

    Args:
        latencies: seconds by rows, one entry an outcome, None where there is no network.
        command: what was run, as somebody would type it.
    """
    cases = _cases(outcomes, latencies)
    rows = _rows(cases, seeds=len(spec.seeds))
    return {
        "command": command,
        "name": spec.build.name,
        "seeds": list(spec.seeds),
        "versions": {"python": platform.python_version(), "onnxruntime": version("onnxruntime"), **versions()},
        "machine": {"architecture": platform.machine(), "processors": os.cpu_count()},
        "evaluation": {"samples": spec.build.evaluation.samples, "reference": "closed form"},
        "spec": dump(spec),
        "smallest": _smallest(rows, spec.gamma_r2),
        "frontier": rows,
        "potential": list(_potentials(spec, cases)),
        "excess": list(_excesses(spec, cases)),
        "cases": cases,
    }


def _cases(outcomes: Sequence[Outcome], latencies: Sequence[Latency]) -> list[dict[str, Any]]:
    """Every case with its record, its prune ratio, and its latency by rows in seconds and against its dense network."""
    dense: dict[int, tuple[int, Latency]] = {}
    cases = []
    for outcome, latency in zip(outcomes, latencies, strict=True):
        case, record = outcome.case, dict(outcome.record)
        seed = case.build.seed
        if outcome.done and latency is not None:
            if case.kind == "dense":
                dense[seed] = record["parameters"], latency
            parameters, base = dense[seed]
            assert base is not None
            record["ratio"] = 1.0 - record["parameters"] / parameters
            record["latency_seconds"] = dict(latency)
            record["relative_latency"] = {rows: latency[rows] / base[rows] for rows in latency}
        method = case.pruning.method if case.pruning is not None else None
        named = {"label": case.label, "kind": case.kind, "method": method, "target": case.target, "seed": seed}
        cases.append({**named, **record})
    return cases


def _done(cases: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [case for case in cases if case["status"] == "done"]


def _rows(cases: Sequence[Mapping[str, Any]], *, seeds: int) -> list[dict[str, Any]]:
    """Worst of the seeds by method and target: the claim that a user can rely on; latencies are medians.

    Only what came through with every seed is compared; ``pareto`` names the axes on which nothing smaller is as good.
    """
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for case in _done(cases):
        groups.setdefault((case["label"], case["target"]), []).append(case)
    rows = [_row(group) for group in groups.values() if len(group) == seeds]
    rows.sort(key=lambda row: (row["parameters"], -row["gamma_r2"], row["label"]))
    for axis in ("parameters", "onnx_nodes", "latency"):
        for row in rows:
            if not any(_dominates(other, row, axis) for other in rows):
                row["pareto"].append(axis)
    return rows


def _row(group: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def latency(kind: str) -> dict[str, float]:
        return {rows: float(np.median([case[kind][rows] for case in group])) for rows in group[0][kind]}

    relative = latency("relative_latency")
    return {
        "label": group[0]["label"],
        "kind": group[0]["kind"],
        "target": group[0]["target"],
        "parameters": max(case["parameters"] for case in group),
        "onnx_nodes": max(case["onnx_nodes"] for case in group),
        **{f"{greek}_r2": min(case["accuracy"][greek]["r2"] for case in group) for greek in GREEKS},
        **{f"{greek}_rmse": max(case["accuracy"][greek]["rmse"] for case in group) for greek in GREEKS},
        "latency_seconds": latency("latency_seconds"),
        "relative_latency": relative,
        "latency": relative[BATCH],
        "seconds": float(np.median([sum(case["seconds"].values()) for case in group])),
        "pareto": [],
    }


def _dominates(other: Mapping[str, Any], row: Mapping[str, Any], axis: str) -> bool:
    """Whether another row is at least as small and as good, and better in one of them."""
    no_worse = other[axis] <= row[axis] and other["gamma_r2"] >= row["gamma_r2"]
    return bool(no_worse and (other[axis] < row[axis] or other["gamma_r2"] > row["gamma_r2"]))


def _smallest(rows: Sequence[Mapping[str, Any]], least: float) -> dict[str, Any]:
    """The smallest networks, by each size, whose gammas have at least that R2 on every seed, of all and of the pruned.

    None where no network has.
    """
    good = [row for row in rows if row["gamma_r2"] >= least]
    pruned = [row for row in good if row["kind"] == "pruned"]
    found = {size: {"all": _least(good, size), "pruned": _least(pruned, size)} for size in SIZES}
    return {"gamma_r2": least, "seeds": "worst of all", **found}


def _least(rows: Sequence[Mapping[str, Any]], size: str) -> dict[str, Any] | None:
    """The row of the least size, of equal ones the least in the other size too, in short."""
    found = min(rows, key=lambda row: (row[size], *(row[each] for each in SIZES), -row["gamma_r2"]), default=None)
    return None if found is None else {name: found[name] for name in ("label", "target", *SIZES, "gamma_r2")}


def _potentials(spec: SweepSpec, cases: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Prune potential by method, domain, output and delta: its mean over the seeds, in parameters removed."""
    dense, methods = _by_method(cases)
    for label, networks in methods.items():
        for domain in _domains(spec):
            for greek in GREEKS:
                for delta in spec.deltas:
                    found = [
                        prune_potential(
                            [case["ratio"] for case in networks if case["seed"] == seed],
                            [_rmse(case, domain, greek) for case in networks if case["seed"] == seed],
                            dense=_rmse(base, domain, greek),
                            delta=delta,
                        )
                        for seed, base in dense.items()
                    ]
                    named = {"label": label, "domain": domain, "greek": greek, "delta": delta}
                    yield {**named, "potential": float(np.mean(found))}


def _excesses(spec: SweepSpec, cases: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Slope of e(pruned) - e(dense) on the prune ratio by method, domain and output, over all seeds and targets."""
    dense, methods = _by_method(cases)
    for label, networks in methods.items():
        smaller = [case for case in networks if case["ratio"] > 0.0]
        if not smaller:
            continue
        ratios, bases = [case["ratio"] for case in smaller], [dense[case["seed"]] for case in smaller]
        for domain in _domains(spec)[1:]:
            for greek in GREEKS:
                excess, base = (
                    excess_error(
                        [_rmse(case, domain, greek) for case in each], [_rmse(case, NOMINAL, greek) for case in each]
                    )
                    for each in (smaller, bases)
                )
                generator = stream(f"excess {label} {domain} {greek}", seed=spec.seeds[0])
                slope = excess_slope(ratios, (excess - base).tolist(), generator=generator)
                yield {"label": label, "domain": domain, "greek": greek, **vars(slope)}


def _by_method(
    cases: Sequence[Mapping[str, Any]],
) -> tuple[dict[int, Mapping[str, Any]], dict[str, list[Mapping[str, Any]]]]:
    """The dense network of every seed, and all other networks by label."""
    dense: dict[int, Mapping[str, Any]] = {}
    methods: dict[str, list[Mapping[str, Any]]] = {}
    for case in _done(cases):
        if case["label"] == DENSE:
            dense[case["seed"]] = case
        else:
            methods.setdefault(case["label"], []).append(case)
    return dense, methods


def _domains(spec: SweepSpec) -> list[str]:
    return [NOMINAL, *(shift.name for shift in spec.shifts)]


def _rmse(case: Mapping[str, Any], domain: str, greek: str) -> float:
    place = case["accuracy"] if domain == NOMINAL else case["shifted"][domain]
    return float(place[greek]["rmse"])
