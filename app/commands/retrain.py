"""``sobolite retrain``: a published version again, after changes of its specification."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from app.commands.build import AnywayOption, OutputOption, run
from app.commands.progress import ProgressOption
from app.commands.terminal import JsonOption, ModelArgument, RegistryOption, read_settings, read_tables
from app.datasets.store import import_file, limits_of
from app.errors import InvalidRequest
from app.specification.name import split_reference
from app.specification.retrain_job import RetrainJobSpec
from pricing.specs.base import load

# A name, a reference, the path of a file.
WORD = re.compile(r"[A-Za-z_/.~][\w./@+~ -]*")

SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="PATH=VALUE",
        help="A change, as often as needed: problem.process.rate=0.03, problem.features.spot.upper=[130, 130], "
        "labels.sampler.kind=uniform, dataset.file=new.csv. VALUE is TOML, or text.",
    ),
]
FileOption = Annotated[
    Path | None, typer.Option("--file", metavar="CHANGES.toml", help="Changes as tables; --set stands above them.")
]
ScratchOption = Annotated[
    bool, typer.Option("--from-scratch", help="Train as the build did, not from the version's weights.")
]


def retrain(
    model: ModelArgument,
    changes: SetOption = None,
    file: FileOption = None,
    from_scratch: ScratchOption = False,
    publish_anyway: AnywayOption = False,
    registry: RegistryOption = None,
    output: OutputOption = None,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Train a published version again after changes, as the next version of its name."""
    name, version = split_reference(model)
    given = ({} if file is None else read_tables(file, registry)) | read_changes(changes or (), registry)
    if publish_anyway:
        given["publish_anyway"] = True
    start = "scratch" if from_scratch else "weights"
    data = {"model": name, "version": version, "changes": given, "start": start}
    run(load(RetrainJobSpec, data), registry, output, progress=progress, as_json=as_json)


def read_changes(pairs: Sequence[str], registry: Path | None) -> dict[str, Any]:
    """Changes by path; a dataset that is named as a file is imported.

    Raises:
        InvalidRequest: no ``=``, or a file that is no dataset.
    """
    changes = dict[str, Any]()
    for pair in pairs:
        path, equals, value = pair.partition("=")
        if not equals or not path.strip():
            raise InvalidRequest(f"--set: write PATH=VALUE, such as problem.process.rate=0.03, got {pair!r}")
        changes[path.strip()] = read_value(value.strip())
    if "dataset.file" in changes:
        settings = read_settings(registry)
        facts, _ = import_file(Path(str(changes.pop("dataset.file"))), settings.registry, limits_of(settings))
        changes["dataset.id"] = facts.dataset
    return changes


def read_value(text: str) -> Any:
    """A TOML value, None for null; a word or a path of a file needs no quotes.

    Raises:
        InvalidRequest: it is neither.
    """
    if text == "null":
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError as error:
        if WORD.fullmatch(text):
            return text
        raise InvalidRequest(f"--set: {text[:80]!r} is neither a TOML value nor a word: {error}") from error
