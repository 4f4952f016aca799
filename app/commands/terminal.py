"""What every command shares: its options, the registry, and how answers are shown."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import MutableMapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
from rich.console import Console
from rich.table import Table

from app.commands.completion import offer_references
from app.datasets.lookup import import_named
from app.datasets.store import limits_of
from app.errors import InvalidRequest
from app.registry.registry import Registry
from app.settings import Settings
from app.specification.client_text import printable
from app.specification.name import split_reference
from app.specification.toml_files import read_toml

# Columns of a table that goes to a file or another program.
FILE_WIDTH = 160

RegistryOption = Annotated[
    Path | None, typer.Option("--registry", help="Folder of models and jobs [$SOBOLITE_REGISTRY].")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ModelArgument = Annotated[
    str,
    typer.Argument(metavar="MODEL[@VERSION]", help="VERSION: a number or an alias.", autocompletion=offer_references),
]


def log_for_people() -> None:
    """What a server logs as JSON is a line on stderr here: what is rebuilt, passed over or not kept."""

    def line(_: object, level: str, event: MutableMapping[str, Any]) -> str:
        name = event.pop("event")
        return f"{level}: {name}: " + ", ".join(f"{key} {value}" for key, value in event.items())

    structlog.configure(
        processors=[line],
        wrapper_class=structlog.make_filtering_bound_logger("warning"),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def read_settings(registry: Path | None) -> Settings:
    """Settings from the environment; ``registry`` goes into it, so that processes started from here agree."""
    if registry is not None:
        os.environ["SOBOLITE_REGISTRY"] = str(registry)
    return Settings()


def open_registry(settings: Settings) -> Registry:
    """The registry with the bundled models in it."""
    registry = Registry(settings.registry)
    registry.seed(settings.bundled)
    return registry


def read_tables(path: Path, registry: Path | None) -> dict[str, Any]:
    """The tables of a TOML file; a dataset that they name as a file beside it is imported.

    Raises:
        InvalidSpec, InvalidRequest: the file is no TOML, or the dataset none.
    """
    settings = read_settings(registry)
    return import_named(read_toml(path), path.parent, settings.registry, limits_of(settings))


def require_new(output: Path | None) -> None:
    """Raise InvalidRequest for a folder to write to that is there."""
    if output is not None and output.exists():
        raise InvalidRequest(f"{output} exists; give a folder that does not")


def find_version(registry: Registry, reference: str) -> Path:
    """The folder of ``MODEL[@VERSION]``.

    Raises:
        InvalidSpec, UnknownModel, UnknownVersion: it names nothing.
    """
    name, version = split_reference(reference)
    return registry.folder(name, registry.resolve(name, version))


def show_json(data: Any) -> None:
    """Plain data on stdout."""
    typer.echo(json.dumps(data, indent=2))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout, its first column (names and ids) never cut; None is left blank, and text is but text."""
    table = Table(*columns, box=None)
    table.columns[0].no_wrap = True
    for row in rows:
        table.add_row(*("" if cell is None else printable(str(cell)) for cell in row))
    Console(width=None if sys.stdout.isatty() else FILE_WIDTH, markup=False, emoji=False).print(table)
