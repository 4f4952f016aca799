"""``sobolite models``: list, show, pull, alias."""

from __future__ import annotations

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from app.commands.completion import offer_models, offer_versions
from app.commands.terminal import (
    JsonOption,
    ModelArgument,
    RegistryOption,
    find_version,
    open_registry,
    read_settings,
    require_new,
    show_json,
    show_table,
)
from app.files import read_json
from app.registry.recovery import submitter_of
from surrogate.artifact.files import ENVIRONMENT, MANIFEST, load_environment, load_manifest, load_report, verify
from surrogate.artifact.manifest import Certificate
from surrogate.artifact.sentences import show_implied, show_lineage, show_network, show_r2
from surrogate.report.record import known
from surrogate.report.report import AnyReport
from surrogate.report.scores import SampleScores

app = typer.Typer(help="Published models.", no_args_is_help=True)


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
    if as_json:
        made = read_json(folder / ENVIRONMENT) if (folder / ENVIRONMENT).exists() else None
        origin = {"submitter": submitter_of(folder), "environment": made}
        show_json({"version": int(folder.name), **origin, **read_json(folder / MANIFEST)})
        return
    manifest = load_manifest(folder)
    show_table(
        (f"{manifest.name}@{folder.name}", ""),
        [
            ("network", show_network(manifest.network)),
            ("parameters", manifest.network.parameters),
            ("simulated paths", manifest.provenance.simulated_paths),
            *((feature.name, f"{feature.size} in {feature.unit}") for feature in manifest.features),
            ("submitter", submitter_of(folder)),
            *environment_rows(folder),
            ("folder", folder),
        ],
    )
    typer.echo(show_lineage(manifest.provenance), nl=False)
    show_accuracy(load_report(folder))
    show_certificate(known(manifest.certificate))


def environment_rows(folder: Path) -> list[tuple[str, object]]:
    """On what a version was made, none of one from before this was kept."""
    if not (folder / ENVIRONMENT).exists():
        return []
    made = load_environment(folder)
    commit = "" if made.commit is None else f"{made.commit}{' with changes' if made.changed else ''}"
    sets = ", ".join(f"{library} {extensions}" for library, extensions in made.instruction_set.items())
    return [
        ("processor", f"{made.processor} ({made.architecture}; {sets}), threads {made.threads}"),
        ("system", f"{made.system}, {made.python}"),
        ("commit", commit),
    ]


def show_certificate(certificate: Certificate | None) -> None:
    """What is proven of a version; one from before there were certificates, or of unknown payoff, has nothing."""
    if certificate is None or certificate.shape is None:
        return
    show_table(
        ("proven", "smallest eps on the whole Box", "share of the Box", "at eps"),
        [(proof.statement, proof.smallest_tolerance, proof.share, proof.tolerance) for proof in certificate.shape],
    )


def show_accuracy(report: AnyReport) -> None:
    """R2, RMSE and largest error of each output, overall and by bucket; of delta and gamma by the spots."""
    accuracy, reference = report.accuracy, report.reference
    rows = score_rows("whole Box", accuracy)
    rows += [row for bucket in accuracy.parts() for row in score_rows(bucket.bucket, bucket)]
    show_table(("where", "output", "R2", "RMSE", "largest error"), rows)
    error = reference.relative_error
    typer.echo(f"reference: {reference.kind}" + ("" if error is None else f", relative error {error:.0e}"))
    if report.implied_volatility is not None:
        typer.echo(show_implied(report.implied_volatility).strip())
    if reference.unjudged is not None:
        typer.echo(f"unjudged, as no reference knows them: {reference.unjudged}")


def score_rows(where: str, scores: SampleScores) -> list[tuple[object, ...]]:
    """A row for each output that has errors; R2 is left blank where there is none."""
    rows: list[tuple[object, ...]] = []
    for output, score in scores.shown():
        if score.rmse is not None:
            r2 = None if score.r2 is None else show_r2(score.r2)
            rows.append(("" if rows else where, output, r2, f"{score.rmse:.2e}", f"{score.max_error:.2e}"))
    return rows


@app.command()
def pull(
    model: ModelArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for the files.")],
    registry: RegistryOption = None,
) -> None:
    """Copy a version's files into a folder and check them against their hashes."""
    folder = find_version(open_registry(read_settings(registry)), model)
    require_new(output)
    output.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=output.parent) as temporary:
        copy = Path(temporary) / "copy"
        shutil.copytree(folder, copy)
        verify(copy)
        copy.rename(output)
    typer.echo(f"{folder.parent.name}@{folder.name} -> {output}")


@app.command()
def alias(
    model: Annotated[str, typer.Argument(help="Name of the model.", autocompletion=offer_models)],
    name: Annotated[str, typer.Argument(metavar="ALIAS")],
    version: Annotated[
        str, typer.Argument(help="A number, or another alias such as latest.", autocompletion=offer_versions)
    ],
    registry: RegistryOption = None,
) -> None:
    """Make an alias stand for a version from now on."""
    opened = open_registry(read_settings(registry))
    before = opened.aliases(model).get(name)
    number = opened.set_alias(model, name, version)
    typer.echo(f"{model}@{name} = {number}" + ("" if before in (None, number) else f", was {before}"))
