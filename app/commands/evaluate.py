"""``sobolite evaluate``: a published version against a reference on fresh points, as many as are asked and paid for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from msgspec import UNSET
from msgspec.structs import replace

from app.commands.models import show_accuracy, show_shape
from app.commands.progress import ProgressOption, Standing, show_progress, stopped_by_hand
from app.commands.terminal import (
    JsonOption,
    ModelArgument,
    RegistryOption,
    find_version,
    open_registry,
    read_settings,
    show_json,
)
from app.errors import InvalidRequest
from app.files import write_json
from app.pipeline.executor import ONE_THREAD, open_map
from app.pipeline.provenance import read_origin
from app.processors import processors
from app.specification.build import BuildSpec
from surrogate.artifact.files import MODEL, load_manifest, load_report
from surrogate.report.report import AnyReport, plain_report
from surrogate.spec import EvaluationSpec

SamplesOption = Annotated[
    int | None, typer.Option(help="Points; by default as the specification says, with --seconds as many as they buy.")
]
SecondsOption = Annotated[
    float | None, typer.Option(help="Seconds that the reference may take; fewer points than asked come with a warning.")
]
SeedOption = Annotated[
    int, typer.Option(help="Seed of the points and of what is simulated; another buys other points.")
]
WorkersOption = Annotated[int | None, typer.Option(min=1, help="Processes; by default one a processor.")]
OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="FILE.json", help="Also write the report to this new file.")
]


def evaluate(
    model: ModelArgument,
    samples: SamplesOption = None,
    seconds: SecondsOption = None,
    seed: SeedOption = 0,
    workers: WorkersOption = None,
    out: OutOption = None,
    registry: RegistryOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Measure a published version against an independent reference, on fresh points.

    The version stays as it is; --json prints and --out keeps the whole report.
    """
    if out is not None and out.exists():
        raise InvalidRequest(f"--out: {out} exists; name a new file")
    folder = find_version(open_registry(read_settings(registry)), model)
    build = read_origin(folder).build
    spec = chosen(build.evaluation, samples, seconds)
    os.environ.update(ONE_THREAD)  # read when torch is imported
    with stopped_by_hand("the version is as it was"), show_progress(progress) as shown:
        report = measured(folder, build, spec, seed=seed, workers=workers or processors(), shown=shown)
    if out is not None:
        write_json(out, plain_report(report))
    if as_json:
        show_json(plain_report(report))
        return
    show_accuracy(report)
    show_shape(report)


def chosen(spec: EvaluationSpec, samples: int | None, seconds: float | None) -> EvaluationSpec:
    """What is asked for on the command line, else what the specification says."""
    if samples is not None:
        spec = replace(spec, samples=samples, seconds=UNSET)
    if seconds is not None:
        spec = replace(spec, seconds=seconds, samples=UNSET if samples is None else samples)
    return spec


def measured(
    folder: Path, build: BuildSpec, spec: EvaluationSpec, *, seed: int, workers: int, shown: Standing
) -> AnyReport:
    """The report of what a folder holds."""
    from app.pipeline.derived import as_learnt, reduction_of
    from surrogate.evaluation.evaluate import evaluate as evaluate_network
    from surrogate.evaluation.points import Ears
    from surrogate.export.onnx_reader import read_surrogate

    problem = build.pricing
    with open_map(workers) as mapper:
        return evaluate_network(
            read_surrogate((folder / MODEL).read_bytes()),
            problem,
            spec,
            seed=seed,
            label_error=load_report(folder).noise_floor,
            reduction=reduction_of(as_learnt(build, load_manifest(folder))),
            ears=Ears(
                progress=lambda share: shown("evaluate", share), noted=shown.take_note, mapper=mapper, abreast=workers
            ),
        )
