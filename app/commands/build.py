"""``sobolite build``, ``train``, ``methods``: the work that needs torch, in this process.

Torch is imported when a command runs, so that ``sobolite --help`` and the other commands do not wait for it.
"""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from app.commands.models import show_accuracy
from app.commands.progress import ProgressMode, ProgressOption, Standing, show_progress, stopped_by_hand
from app.commands.terminal import (
    JsonOption,
    RegistryOption,
    open_registry,
    read_settings,
    read_tables,
    require_new,
    show_json,
    show_table,
)
from app.cost.limits import require_affordable
from app.cost.work import in_words, total
from app.errors import NotPublished, TooCostly
from app.files import read_json
from app.pipeline.cost import job_cost
from app.pipeline.publish import require_met
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.build import BuildSpec, require_points
from app.specification.jobs import JobSpec, model_name
from app.specification.smoke import smoke as cut_short
from app.specification.state_files import with_states
from pricing.specs.base import load
from surrogate.artifact.files import MANIFEST, Artifact, write
from surrogate.report.record import known

SpecArgument = Annotated[Path, typer.Argument(metavar="SPEC.toml", help="See examples/ for one per product.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Also write the files to this new folder.")]


# Of processor time; on an idle machine start, imports and the operation that runs at the end make 20 seconds of it.
SMOKE_SECONDS = 14
SMOKE_HELP = (
    f"Cut every budget: does the specification run? Ends after {SMOKE_SECONDS} s of processor time at the latest, "
    "about 20 s on an idle machine, and publishes nothing."
)
SmokeOption = Annotated[bool, typer.Option("--smoke", help=SMOKE_HELP)]

ANYWAY_HELP = "Publish, marked as such, what misses its requirement (`accuracy`) too."
AnywayOption = Annotated[bool, typer.Option("--publish-anyway", help=ANYWAY_HELP)]

# Under the registry: the last artifact of each name that missed its requirement.
REFUSED = ".refused"
NOTHING_KEPT = "no version was published and nothing is kept; a job (POST /v1/jobs) keeps its finished steps"


def build(
    spec: SpecArgument,
    registry: RegistryOption = None,
    output: OutputOption = None,
    smoke: SmokeOption = False,
    publish_anyway: AnywayOption = False,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Label, train, prune, evaluate, export and publish a new version, if it is as good as required."""
    given = read_spec(spec, registry, anyway=publish_anyway)
    if smoke:
        try_out(spec, given, registry, progress)
    else:
        run(given, registry, output, progress=progress, as_json=as_json)


def try_out(path: Path, spec: BuildSpec, registry: Path | None, mode: ProgressMode) -> None:
    """A smoke build, which ends when its time is over, and how far it came."""
    with stopped_by_hand(NOTHING_KEPT), show_progress(mode) as shown, TemporaryDirectory() as folder:
        try:
            with time_limit(SMOKE_SECONDS):
                made = carry_out(cut_short(spec), Path(folder), registry, shown)
        except TimeIsOver:
            reached = (
                f"{path} runs as far as the step {shown.step!r}, where {SMOKE_SECONDS} s of processor time were over"
            )
            typer.echo(f"{reached}; what comes after is not tried, and the full build may take long")
            return
    typer.echo(f"{path} runs; a smoke build of {len(made.model)} bytes, not published")


class TimeIsOver(BaseException):
    """A smoke build is to end now; no error that anything on the way may handle."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeIsOver in the block when this process has worked for so many seconds and its operation has ended."""

    def stop(*_: object) -> None:
        raise TimeIsOver

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)


def read_spec(path: Path, registry: Path | None, *, anyway: bool) -> BuildSpec:
    """The build in a TOML file; a dataset that it names as a file is imported.

    Args:
        anyway: to be published whatever it misses.
    """
    tables = with_states(read_tables(path, registry), path.parent)
    return load(BuildSpec, tables | ({"publish_anyway": True} if anyway else {}))


def train(
    spec: SpecArgument,
    registry: RegistryOption = None,
    output: OutputOption = None,
    publish_anyway: AnywayOption = False,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Build, but leave out the pruning."""
    given = replace(read_spec(spec, registry, anyway=publish_anyway), pruning=None)
    run(given, registry, output, progress=progress, as_json=as_json)


def run(spec: JobSpec, registry: Path | None, output: Path | None, *, progress: ProgressMode, as_json: bool) -> None:
    """Build, publish and show."""
    require_new(output)
    if isinstance(spec, BuildSpec):
        require_points(spec)
    settings = read_settings(registry)
    opened = open_registry(settings)
    if progress != "none":
        typer.echo(foretold(spec, opened, settings), err=True)
    with stopped_by_hand(NOTHING_KEPT), show_progress(progress) as shown, TemporaryDirectory() as folder:
        artifact = carry_out(spec, Path(folder), registry, shown)
    name = model_name(spec)
    kept = output or opened.root / REFUSED / name
    try:
        require_met(spec, artifact.manifest, f"its files, with the report, are in {kept}")
    except NotPublished:
        shutil.rmtree(opened.root / REFUSED / name, ignore_errors=True)
        kept.mkdir(parents=True)
        write(artifact, kept)
        show_accuracy(artifact.report)
        raise
    with stopped_by_hand(f"'sobolite models show {name}' says whether the new version is there"):
        number = opened.publish(name, artifact, job_id=f"command-{uuid.uuid4().hex}", submitter=user())
    if output is not None:
        output.mkdir(parents=True)
        write(artifact, output)
    show_published(name, number, artifact, opened.folder(name, number), as_json)


def user() -> str:
    """Who has given this command: the name by which the system knows them, or their number."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # of Python before 3.13; in a container nobody may have named the number
        name = str(os.getuid())
    return f"user {name}, command line"


def foretold(spec: JobSpec, registry: Registry, settings: Settings) -> str:
    """What the work will take; a machine of one's own may be given as much as one likes, so nothing is refused."""
    cost = job_cost(spec, registry)
    rounds = isinstance(spec, BuildSpec) and spec.chooses
    said = f"estimate: {'at most ' if rounds else ''}{in_words(total(cost.parts, processes=1))}"
    try:
        require_affordable(cost, settings)
    except TooCostly:
        return f"{said}; a server would refuse it as a job"
    return said


def carry_out(spec: JobSpec, folder: Path, registry: Path | None, shown: Standing) -> Artifact:
    """Every step but publishing."""
    settings = read_settings(registry)
    os.environ["OMP_NUM_THREADS"] = str(settings.job_threads)  # read when torch is imported
    from app.pipeline.build import build as build_here

    return build_here(spec, folder, shown, heard=shown.hear, noted=shown.take_note, registry=settings.registry)


def show_published(name: str, number: int, artifact: Artifact, folder: Path, as_json: bool) -> None:
    """What was published, where, and how good it is."""
    if as_json:
        manifest = read_json(folder / MANIFEST)
        summary = {key: manifest[key] for key in ("network", "accuracy", "hashes")}
        show_json({"model": name, "version": number, "folder": str(folder), **summary})
        return
    typer.echo(f"published {name}@{number} ({artifact.manifest.network.parameters} parameters) in {folder}")
    gate = known(artifact.manifest.gate)
    if gate is not None and gate.missed:
        typer.echo(f"warning: it misses what was required of it: {gate.missed[0]}; no alias takes it without --force")
    show_accuracy(artifact.report)


def methods(as_json: JsonOption = False) -> None:
    """The pruning methods with their papers, options and phase: whether they prune before, during or after training."""
    from pruning.methods import METHODS

    rows: list[dict[str, Any]] = [
        {
            "method": name,
            "phase": method.phase,
            "summary": method.summary,
            "paper": method.paper,
            "options": list(method.options),
        }
        for name, method in METHODS.items()
    ]
    if as_json:
        show_json(rows)
        return
    show_table(
        ("method", "phase", "summary", "paper", "options"),
        [(*(row[name] for name in ("method", "phase", "summary", "paper")), ", ".join(row["options"])) for row in rows],
    )
