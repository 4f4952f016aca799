"""``sobolite prune``: everything that a prune job takes, by options or from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.build import OutputOption, run
from app.commands.fields import with_fields
from app.commands.progress import ProgressOption
from app.commands.terminal import (
    JsonOption,
    ModelArgument,
    RegistryOption,
    find_version,
    open_registry,
    read_settings,
    read_tables,
)
from app.errors import InvalidRequest
from app.pipeline.provenance import read_origin
from app.specification.name import split_reference
from app.specification.prune_job import PruneJobSpec
from pricing.specs.base import dump, load
from pruning.spec import PruningSpec

# Fields of which a run has one.
TARGETS = frozenset({"sparsity", "parameters", "relative_error"})

FileOption = Annotated[
    Path | None,
    typer.Option("--file", metavar="JOB.toml", help="A prune job but for its model: pruning, labels, dataset, seed."),
]
FineTuningOption = Annotated[
    bool | None,
    typer.Option(help="Train again after each step as the model was trained; by default so, or as the file says."),
]
SeedOption = Annotated[int | None, typer.Option(help="Seed of every random number; by default 0 or the file's.")]


@with_fields(PruningSpec, beside=frozenset({"fine_tuning", "dynamics"}))
def prune(
    model: ModelArgument,
    fine_tuning: FineTuningOption = None,
    file: FileOption = None,
    seed: SeedOption = None,
    registry: RegistryOption = None,
    output: OutputOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
    **given: Any,
) -> None:
    """Prune a published version and publish the result as the next version of its name.

    `sobolite methods` says what each method does; options stand above a file.
    """
    name, version = split_reference(model)
    job = {} if file is None else read_tables(file, registry)
    if "model" in job and job["model"] != name:
        raise InvalidRequest(f"model: the command says {name!r}, the file {job['model']!r}; leave it out of the file")
    version = job.get("version", version) if "@" not in model else version
    pruning = {**with_target(job.get("pruning", {}), given), **given}
    if fine_tuning is False:
        pruning["fine_tuning"] = None
    elif fine_tuning or file is None:
        parent = find_version(open_registry(read_settings(registry)), f"{name}@{version}")
        pruning["fine_tuning"] = dump(read_origin(parent).build.training)
    chosen = {} if seed is None else {"seed": seed}
    data = {**job, **chosen, "model": name, "version": version, "pruning": pruning}
    run(load(PruneJobSpec, data), registry, output, progress=progress, as_json=as_json)


def with_target(pruning: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of the pruning, but for its target where another is given."""
    return {name: value for name, value in pruning.items() if not (TARGETS & given.keys() and name in TARGETS)}
