"""``sobolite dataset``: import, list, show, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from msgspec.structs import astuple

from app.commands.jobs import ask
from app.commands.terminal import JsonOption, RegistryOption, read_settings, show_json, show_table
from app.datasets import store
from app.datasets.facts import StoredDataset
from app.jobs.ended import delete_dataset
from pricing.specs.base import dump

app = typer.Typer(help="Labels from somebody else's pricer.", no_args_is_help=True)


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(help="CSV, Parquet or NPZ (docs/datasets.md); '-' reads stdin.")],
    name: Annotated[str | None, typer.Option(help="What listings call it from now on.")] = None,
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Store the labels of a file under their content hash."""
    settings = read_settings(registry)
    facts, _ = store.import_file(file, settings.registry, store.limits_of(settings), name=name)
    show_facts(facts, as_json)


@app.command("list")
def list_datasets(registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """Every dataset, the newest first."""
    datasets = store.catalogue(read_settings(registry).registry)
    if as_json:
        show_json([dump(summary) for summary in datasets])
        return
    show_table(
        ("dataset", "name", "rows", "features", "derivatives", "imported"),
        [
            (
                summary.dataset,
                summary.name,
                summary.rows,
                ", ".join(f"{feature.name} ({feature.size})" for feature in summary.features),
                "yes" if summary.derivatives else "no",
                summary.imported[:19],
            )
            for summary in datasets
        ],
    )


@app.command()
def show(
    dataset: Annotated[str, typer.Argument(help="The dataset's id.")],
    registry: RegistryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rows, inferred Box and statistics of one dataset."""
    show_facts(store.find(read_settings(registry).registry, dataset), as_json)


@app.command()
def delete(dataset: Annotated[str, typer.Argument(help="The dataset's id.")], registry: RegistryOption = None) -> None:
    """Delete a dataset that no version and no job refers to."""
    root = read_settings(registry).registry
    ask(registry, lambda jobs: delete_dataset(jobs, root, dataset))
    typer.echo(f"deleted dataset {dataset}")


def show_facts(facts: StoredDataset, as_json: bool) -> None:
    """Everything that is known of a dataset."""
    if as_json:
        show_json(dump(facts))
        return
    repeated = f"; {facts.copies} are copies of others and tell nothing of noise" if facts.copies else ""
    typer.echo(f"dataset {facts.dataset}: {facts.rows} rows at {facts.distinct_rows} points{repeated}")
    typer.echo(f"features: {', '.join(facts.columns)}")
    show_table(
        ("column", "least", "largest", "mean", "deviation"),
        [(name, *(f"{number:.6g}" for number in astuple(column))) for name, column in facts.statistics.items()],
    )
