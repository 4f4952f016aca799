"""``sobolite sweep``: pruning methods x targets x seeds in parallel, and one report."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

import typer
from msgspec import to_builtins

from app.commands.progress import ProgressOption, show_progress, stopped_by_hand
from app.commands.terminal import JsonOption, read_settings, show_json, show_table
from app.files import replacing, write_json
from app.pipeline.executor import ONE_THREAD, open_executor
from app.sweeps.findings import SIZES, MissingCase, SweepReport
from app.sweeps.spec import read_sweep_spec
from surrogate.artifact.sentences import show_r2

REPORT, PAGE = "report.json", "report.html"

SpecArgument = Annotated[Path, typer.Argument(metavar="SPEC.toml", help="See examples/sweeps.")]
FolderOption = Annotated[Path | None, typer.Option(help="Cases and report; the same folder again goes on.")]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Cases at a time [$SOBOLITE_SWEEP_WORKERS].")]


def sweep(
    spec: SpecArgument,
    folder: FolderOption = None,
    workers: WorkersOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Prune by many methods, to many targets, with many seeds; report what each costs.

    Cases that have finished are kept: the same command goes on where it was stopped.
    """
    asked, settings = read_sweep_spec(spec), read_settings(None)
    place = folder or Path(asked.folder or spec.stem)
    os.environ.update(ONE_THREAD)  # read when torch is imported
    from app.sweeps.page import make_page
    from app.sweeps.report import make_report
    from app.sweeps.run import measure_latencies, run_cases

    with (
        stopped_by_hand(f"what has finished is in {place}, and the same command goes on"),
        show_progress(progress) as shown,
    ):
        with open_executor(workers or settings.sweep_workers, settings.dask) as executor:
            outcomes = run_cases(asked, place, executor=executor, progress=shown)
        latencies = measure_latencies(outcomes, place, progress=shown)
    report = make_report(asked, outcomes, latencies, command=shlex.join(["sobolite", *sys.argv[1:]]))
    write_json(place / REPORT, to_builtins(report))
    with replacing(place / PAGE) as partial:
        partial.write_text(make_page(report), encoding="utf-8")
    show(report, place, as_json)
    if any(case.status == "failed" for case in report.cases):
        raise typer.Exit(1)


def show(report: SweepReport, place: Path, as_json: bool) -> None:
    """The frontier, the smallest networks, what is missing, and where the whole report is."""
    missing = [case for case in report.cases if isinstance(case, MissingCase)]
    frontier = [row for row in report.frontier if row.pareto]
    if as_json:
        files = {"report": str(place / REPORT), "page": str(place / PAGE)}
        show_json(files | to_builtins({"smallest": report.smallest, "frontier": frontier, "missing": missing}))
        return
    show_table(
        ("method", "target", "parameters", "ONNX nodes", "gamma R2", "latency / dense", "best of"),
        [
            (
                row.label,
                row.target,
                row.parameters,
                row.onnx_nodes,
                show_r2(row.gamma_r2),
                f"{row.latency:.2f}",
                ", ".join(row.pareto).replace("_", " "),
            )
            for row in frontier
        ],
    )
    smallest = report.smallest
    for size in SIZES:
        network = smallest.by(size).overall
        answer = "none" if network is None else f"{network.label} {network.target}, {getattr(network, size)}"
        typer.echo(f"fewest {size.replace('_', ' ')} with gamma R2 >= {smallest.gamma_r2} on every seed: {answer}")
    for case in (case for case in missing if case.status == "failed"):
        typer.echo(f"failed: {case.label} {case.target} seed {case.seed}: {case.sentence}", err=True)
    skipped = sum(case.status == "skipped" for case in missing)
    if skipped:
        typer.echo(f"{skipped} impossible cases skipped; the report says why", err=True)
    typer.echo(f"report: {place / REPORT}, {place / PAGE}")
