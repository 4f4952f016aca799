"""One report of a sweep: frontier, smallest networks, prune potential, excess error, every case."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from msgspec import UNSET
from msgspec.structs import asdict, replace

from app.pipeline.provenance import versions
from app.sweeps.findings import (
    SIZES,
    ExcessRow,
    FrontierRow,
    Judgement,
    Machine,
    MeasuredCase,
    Missing,
    MissingCase,
    PotentialRow,
    PreservedRow,
    Size,
    Smallest,
    SmallestBySize,
    SmallNetwork,
    SweepReport,
)
from app.sweeps.record import Measured, Preserved, Skipped
from app.sweeps.run import Latency, Outcome
from app.sweeps.spec import DENSE, SEPARATE, SweepSpec
from pricing.draws import stream
from pricing.references.reference import kind
from pricing.specs.base import dump
from pruning.studies.potential import excess_error, excess_slope, prune_potential
from pruning.studies.shifts import NOMINAL, domains
from surrogate.report.scores import OUTPUTS

# Key of the batch that ranks latencies: a call of one row is mostly the call.
BATCH = "1024"
# On what a row may be on the frontier.
AXES = (*SIZES, "latency")


def make_report(
    spec: SweepSpec, outcomes: Sequence[Outcome], latencies: Sequence[Latency | None], *, command: str
) -> SweepReport:
    """Everything that the sweep found.

    Args:
        latencies: one entry an outcome, None where there is no network.
        command: what was run, as somebody would type it.
    """
    cases = _cases(outcomes, latencies)
    done = [case for case in cases if isinstance(case, MeasuredCase)]
    frontier = _frontier(done, seeds=len(spec.seeds))
    return SweepReport(
        command=command,
        name=spec.build.name,
        seeds=spec.seeds,
        versions={"python": platform.python_version(), "onnxruntime": version("onnxruntime"), **versions()},
        machine=Machine(architecture=platform.machine(), processors=os.cpu_count()),
        evaluation=_judgement(spec, judged=bool(done)),
        spec=dump(spec),
        smallest=_smallest(frontier, spec.gamma_r2),
        frontier=tuple(frontier),
        potential=tuple(_potentials(spec, done)),
        excess=tuple(_excesses(spec, done)),
        preserved=tuple(_preserved(done)),
        cases=tuple(cases),
    )


def _judgement(spec: SweepSpec, *, judged: bool) -> Judgement:
    """How many points of every domain are judged, and by which kind of reference; a shifted market may have its own."""
    samples, problem = spec.build.evaluation.usual, spec.build.pricing
    if not judged:
        return Judgement(samples=samples, reference=None)
    none = np.empty((0, problem.box.dimension))
    places = domains(problem, spec.places, uniforms=none, noise=none)
    return Judgement(samples=samples, reference=" and ".join(dict.fromkeys(kind(place.problem) for place in places)))


def _cases(outcomes: Sequence[Outcome], latencies: Sequence[Latency | None]) -> list[MeasuredCase | MissingCase]:
    """Every case with its record and, of a network, its size and latency beside the dense network of its seed."""
    dense: dict[int, tuple[int, Latency]] = {}
    cases = list[MeasuredCase | MissingCase]()
    for outcome, latency in zip(outcomes, latencies, strict=True):
        case, record, seed = outcome.case, outcome.record, outcome.case.build.seed
        method = None if case.pruning is None else case.pruning.method
        named: dict[str, Any] = {"label": case.label, "kind": case.kind, "method": method, "target": case.target}
        named["seed"] = seed
        if not isinstance(record, Measured):
            status: Missing = "skipped" if isinstance(record, Skipped) else "failed"
            cases.append(MissingCase(**named, status=status, sentence=record.sentence))
            continue
        assert latency is not None
        if case.kind == "dense":
            dense[seed] = record.parameters, latency
        parameters, base = dense[seed]
        cases.append(
            MeasuredCase(
                **named,
                **asdict(record),
                ratio=1.0 - record.parameters / parameters,
                latency_seconds=latency,
                relative_latency={rows: latency[rows] / base[rows] for rows in latency},
            )
        )
    return cases


def _frontier(cases: Sequence[MeasuredCase], *, seeds: int) -> list[FrontierRow]:
    """A row for each method and target that came through with every seed."""
    groups: dict[tuple[str, str], list[MeasuredCase]] = {}
    for case in cases:
        groups.setdefault((case.label, case.target), []).append(case)
    rows = [_row(group) for group in groups.values() if len(group) == seeds]
    rows.sort(key=lambda row: (row.parameters, -row.gamma_r2, row.label))
    return [
        replace(row, pareto=tuple(axis for axis in AXES if not any(_dominates(other, row, axis) for other in rows)))
        for row in rows
    ]


def _row(group: Sequence[MeasuredCase]) -> FrontierRow:
    relative = _medians([case.relative_latency for case in group])
    scores: dict[str, Any] = {f"{greek}_r2": min(_r2(case, greek) for case in group) for greek in OUTPUTS}
    scores |= {f"{greek}_rmse": max(_rmse(case, NOMINAL, greek) for case in group) for greek in OUTPUTS}
    return FrontierRow(
        label=group[0].label,
        kind=group[0].kind,
        target=group[0].target,
        parameters=max(case.parameters for case in group),
        onnx_nodes=max(case.onnx_nodes for case in group),
        **scores,
        latency_seconds=_medians([case.latency_seconds for case in group]),
        relative_latency=relative,
        latency=relative[BATCH],
        seconds=float(np.median([sum(case.seconds.values()) for case in group])),
    )


def _medians(latencies: Sequence[Latency]) -> dict[str, float]:
    return {rows: float(np.median([latency[rows] for latency in latencies])) for rows in latencies[0]}


def _dominates(other: FrontierRow, row: FrontierRow, axis: str) -> bool:
    """Whether another row is at least as small and as good, and better in one of them."""
    no_worse = other.along(axis) <= row.along(axis) and other.gamma_r2 >= row.gamma_r2
    return no_worse and (other.along(axis) < row.along(axis) or other.gamma_r2 > row.gamma_r2)


def _smallest(rows: Sequence[FrontierRow], least: float) -> SmallestBySize:
    """The smallest networks, by each size, whose gammas have at least that R2 on every seed."""
    good = [row for row in rows if row.gamma_r2 >= least]

    def by(size: Size) -> Smallest:
        pruned = (row for row in good if row.kind == "pruned")
        return Smallest(overall=_least(good, size), pruned=_least(pruned, size))

    return SmallestBySize(gamma_r2=least, parameters=by("parameters"), onnx_nodes=by("onnx_nodes"))


def _least(rows: Iterable[FrontierRow], size: Size) -> SmallNetwork | None:
    """The row of the least size, of equal ones the least in the other size too, in short."""

    def order(row: FrontierRow) -> tuple[float, ...]:
        return (row.along(size), *(row.along(each) for each in SIZES), -row.gamma_r2)

    row = min(rows, key=order, default=None)
    if row is None:
        return None
    return SmallNetwork(
        label=row.label,
        target=row.target,
        parameters=row.parameters,
        onnx_nodes=row.onnx_nodes,
        gamma_r2=row.gamma_r2,
    )


def _potentials(spec: SweepSpec, cases: Sequence[MeasuredCase]) -> Iterator[PotentialRow]:
    """Prune potential by method, domain, output and delta: its mean over the seeds, in parameters removed."""
    dense, methods = _by_method(cases)
    for label, networks in methods.items():
        for domain in _domains(spec):
            for greek in OUTPUTS:
                for delta in spec.deltas:
                    potentials = [
                        prune_potential(
                            [case.ratio for case in networks if case.seed == seed],
                            [_rmse(case, domain, greek) for case in networks if case.seed == seed],
                            dense=_rmse(base, domain, greek),
                            delta=delta,
                        )
                        for seed, base in dense.items()
                    ]
                    potential = float(np.mean(potentials))
                    yield PotentialRow(label=label, domain=domain, greek=greek, delta=delta, potential=potential)


def _excesses(spec: SweepSpec, cases: Sequence[MeasuredCase]) -> Iterator[ExcessRow]:
    """Slope of e(pruned) - e(dense) on the prune ratio by method, domain and output, over all seeds and targets."""
    dense, methods = _by_method(cases)
    for label, networks in methods.items():
        smaller = [case for case in networks if case.ratio > 0.0]
        if not smaller:
            continue
        ratios, bases = [case.ratio for case in smaller], [dense[case.seed] for case in smaller]
        for domain in _domains(spec)[1:]:
            for greek in OUTPUTS:
                excess, base = (
                    excess_error(
                        [_rmse(case, domain, greek) for case in each], [_rmse(case, NOMINAL, greek) for case in each]
                    )
                    for each in (smaller, bases)
                )
                generator = stream(f"excess {label} {domain} {greek}", seed=spec.seeds[0])
                slope = excess_slope(ratios, (excess - base).tolist(), generator=generator)
                yield ExcessRow(label=label, domain=domain, greek=greek, **vars(slope))


def _preserved(cases: Sequence[MeasuredCase]) -> Iterator[PreservedRow]:
    """A row for each method, target and domain, of the seeds whose record has it."""
    groups: dict[tuple[str, str, str], list[Preserved]] = {}
    for case in cases:
        known = {} if case.preserved is UNSET else case.preserved
        for domain, found in known.items():
            groups.setdefault((case.label, case.target, domain), []).append(found)
    for (label, target, domain), group in groups.items():
        yield PreservedRow(
            label=label,
            target=target,
            domain=domain,
            r2=_least_of([found.r2 for found in group]),
            agreement=_least_of([found.agreement for found in group]),
            overlap=min(found.overlap for found in group),
        )


def _least_of(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    return {output: min(each[output] for each in scores) for output in scores[0]}


def _by_method(cases: Sequence[MeasuredCase]) -> tuple[dict[int, MeasuredCase], dict[str, list[MeasuredCase]]]:
    """The dense network of every seed, and all smaller networks by label."""
    dense: dict[int, MeasuredCase] = {}
    methods: dict[str, list[MeasuredCase]] = {}
    for case in cases:
        if case.label == DENSE:
            dense[case.seed] = case
        elif case.label != SEPARATE:
            methods.setdefault(case.label, []).append(case)
    return dense, methods


def _domains(spec: SweepSpec) -> list[str]:
    return [NOMINAL, *(shift.name for shift in spec.places)]


def _r2(case: MeasuredCase, greek: str) -> float:
    r2 = case.accuracy[greek].r2
    assert r2 is not None  # `evaluate.reference` refuses what does not know them all
    return r2


def _rmse(case: MeasuredCase, domain: str, greek: str) -> float:
    rmse = (case.accuracy if domain == NOMINAL else case.shifted[domain])[greek].rmse
    assert rmse is not None
    return rmse
