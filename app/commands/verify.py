"""``sobolite verify``: make a version again and say whether it is the same, and if not, why."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import typer

from app.commands.progress import ProgressOption, show_progress, stopped_by_hand
from app.commands.terminal import (
    JsonOption,
    ModelArgument,
    RegistryOption,
    find_version,
    open_registry,
    read_settings,
    show_json,
    show_table,
)
from app.pipeline.verification import Verification
from surrogate.artifact.manifest import Version

# Of a version that is not the same; 2 is that it cannot be made again here.
DIFFERS = 1


def verify(
    model: ModelArgument,
    registry: RegistryOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Build, prune or train a version again from its provenance, publish nothing, and compare the bytes.

    Exit code 0: the same bytes. 1: others; then the step that diverged, by how much the outputs differ and what is
    different in the environment. 2: it cannot be made again here, for its parent, dataset or teacher is gone.
    """
    settings = read_settings(registry)
    opened = open_registry(settings)
    folder = find_version(opened, model)
    os.environ["OMP_NUM_THREADS"] = str(settings.job_threads)  # read when torch is imported
    with stopped_by_hand("nothing was compared"), show_progress(progress) as shown, TemporaryDirectory() as work:
        from app.pipeline.verify import verify as make_again

        version = Version(model=folder.parent.name, version=int(folder.name))
        found = make_again(version, Path(work), opened, shown, shown.hear)
    if as_json:
        show_json(msgspec.to_builtins(found))
    else:
        show(found)
    if not found.same:
        raise typer.Exit(DIFFERS)


def show(found: Verification) -> None:
    """What was found, in words and tables."""
    reference = f"{found.model}@{found.version}"
    if found.same:
        typer.echo(f"{reference}: the same bytes ({', '.join(found.bytes)})")
    else:
        typer.echo(f"{reference}: other bytes; the first step with another result: {found.diverged}")
        typer.echo(f"labels: {labels(found)}")
        rows = [(name, apart.largest, apart.share) for name, apart in found.differences.items()]
        show_table(
            ("output", "largest difference", "share of its size"),
            [(name, f"{most:.2e}", "" if share is None else f"{share:.1e}") for name, most, share in rows],
        )
    if found.environment:
        facts = [(name, pair.then, pair.now) for name, pair in found.environment.items()]
        show_table(("environment", "then", "now"), facts)
    elif not found.same:
        typer.echo("nothing that is known of the environment differs")
    for note in found.notes:
        typer.echo(f"note: {note}")


def labels(found: Verification) -> str:
    """Whether they are the same."""
    if found.labels.then is None:
        return "not known"
    return "the same" if found.labels.then == found.labels.now else "others"
