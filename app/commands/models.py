"""``sobolite models``: list, show, pull, alias."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

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
from app.errors import InvalidRequest
from app.files import read_json
from surrogate.artifact.files import MANIFEST, REPORT, show_network, show_r2, verify

app = typer.Typer(help="Published models.", no_args_is_help=True)

# What every model has, in the order of its card.
OUTPUTS = ("value", "delta", "gamma")
# What parts of the Box a report scores by themselves.
REGIONS = ("buckets", "triggers", "maturities")


@app.command("list")
def list_models(registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """Every model with its versions and aliases."""
    opened = open_registry(read_settings(registry))
    models = opened.catalogue()
    if as_json:
        show_json(models)
        return
    show_table(
        ("model", "versions", "aliases"),
        [
            (
                model["name"],
                len(model["versions"]),
                ", ".join(f"{alias} = {n}" for alias, n in sorted(model["aliases"].items())),
            )
            for model in models
        ],
    )


@app.command()
def show(model: ModelArgument, registry: RegistryOption = None, as_json: JsonOption = False) -> None:
    """Size, domain, accuracy and certificate of a version; with --json its whole manifest."""
    folder = find_version(open_registry(read_settings(registry)), model)
    manifest = read_json(folder / MANIFEST)
    if as_json:
        show_json({"version": int(folder.name), **manifest})
        return
    network = manifest["network"]
    show_table(
        (f"{manifest['name']}@{folder.name}", ""),
        [
            ("network", show_network(network)),
            ("parameters", network["parameters"]),
            ("simulated paths", manifest["provenance"]["simulated_paths"]),
            *((feature["name"], f"{len(feature['lower'])} in {feature['unit']}") for feature in manifest["features"]),
            ("folder", folder),
        ],
    )
    show_accuracy(read_json(folder / REPORT))
    show_certificate(manifest.get("certificate"))


def show_certificate(certificate: Mapping[str, Any] | None) -> None:
    """What is proven of a version; one from before there were certificates, or of unknown payoff, has nothing."""
    if certificate is None or certificate["shape"] is None:
        return
    show_table(
        ("proven", "smallest eps on the whole Box", "share of the Box", "at eps"),
        [
            (part["statement"], part["smallest_tolerance"], part["share"], part["tolerance"])
            for part in certificate["shape"]
        ],
    )


def show_accuracy(report: Mapping[str, Any]) -> None:
    """R2, RMSE and largest error of each output, overall and by bucket; of delta and gamma by the spots."""
    accuracy = report["accuracy"]
    parts = [("whole Box", accuracy)]
    parts += [(part["bucket"], part) for region in REGIONS for part in accuracy.get(region, [])]
    show_table(
        ("where", "output", "R2", "RMSE", "largest error"), [row for name, part in parts for row in scores(name, part)]
    )
    reference = report["reference"]
    error = reference["relative_error"]
    typer.echo(f"reference: {reference['kind']}" + ("" if error is None else f", relative error {error:.0e}"))
    if "unjudged" in reference:
        typer.echo(f"unjudged, as no reference knows them: {reference['unjudged']}")


def scores(name: str, part: Mapping[str, Any]) -> list[tuple[object, ...]]:
    """A row for each output that has errors, the named Greeks last; R2 is left blank where there is none."""
    found = [output for output, score in part.items() if isinstance(score, Mapping) and score["rmse"] is not None]
    outputs = [*(output for output in OUTPUTS if output in found), *sorted(set(found) - set(OUTPUTS))]
    rows: list[tuple[object, ...]] = []
    for output in outputs:
        score, where = part[output], "" if rows else name
        r2 = None if score["r2"] is None else show_r2(score["r2"])
        rows.append((where, output, r2, f"{score['rmse']:.2e}", f"{score['max_error']:.2e}"))
    return rows


@app.command()
def pull(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the files.")],
    registry: RegistryOption = None,
) -> None:
    """Copy a version's files into a folder and check them against their hashes."""
    folder = find_version(open_registry(read_settings(registry)), model)
    if output.exists():
        raise InvalidRequest(f"{output} exists; give a folder that does not")
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent) as temporary:
        copy = Path(temporary) / "copy"
        shutil.copytree(folder, copy)
        verify(copy)
        copy.rename(output)
    typer.echo(f"{folder.parent.name}@{folder.name} -> {output}")


@app.command()
def alias(
    model: Annotated[str, typer.Argument(help="Name of the model.")],
    name: Annotated[str, typer.Argument(metavar="ALIAS")],
    version: Annotated[str, typer.Argument(help="A number, or another alias such as latest.")],
    registry: RegistryOption = None,
) -> None:
    """Make an alias stand for a version from now on."""
    number = open_registry(read_settings(registry)).set_alias(model, name, version)
    typer.echo(f"{model}@{name} = {number}")
