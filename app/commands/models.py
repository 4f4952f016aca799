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
from pricing.domain import Feature
from surrogate.artifact.files import ENVIRONMENT, MANIFEST, load_environment, load_manifest, load_report, verify
from surrogate.artifact.manifest import Certificate, Provenance
from surrogate.artifact.sentences import (
    few_points,
    nothing_proven,
    show_bound,
    show_gate,
    show_implied,
    show_lineage,
    show_network,
    show_offsets,
    show_r2,
)
from surrogate.report.record import known
from surrogate.report.report import AnyReport
from surrogate.report.scores import Accuracy, Bucket, OutputScore, PairScore, SampleScores

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
            *product_rows(manifest.provenance),
            *((feature.name, show_span(feature)) for feature in manifest.features),
            ("submitter", submitter_of(folder)),
            *environment_rows(folder),
            ("folder", folder),
        ],
    )
    typer.echo(show_lineage(manifest.provenance), nl=False)
    show_accuracy(load_report(folder))
    show_certificate(known(manifest.certificate))
    typer.echo(show_gate(known(manifest.gate)), nl=False)


def product_rows(provenance: Provenance) -> list[tuple[str, object]]:
    """What is priced, by the names of its specification; nothing of imported labels, of which nobody knows."""
    problem = provenance.build.get("problem")
    if not problem:
        return []
    return [("product", f"{problem['payoff']['kind']} under {problem['process']['kind']}")]


def show_span(feature: Feature) -> str:
    """The bounds of a feature in the Box, of several coordinates the outermost."""
    count = "" if feature.size == 1 else f"{feature.size} of "
    return f"{count}{min(feature.lower):g} to {max(feature.upper):g} in {feature.unit}"


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
    """What is proven of a version, or that nothing is."""
    if certificate is None or not certificate.shape:
        typer.echo(nothing_proven(certificate))
        return
    show_table(
        ("proven", "smallest eps on the whole Box", "share of the Box", "at eps"),
        [(proof.statement, proof.smallest_tolerance, proof.share, proof.tolerance) for proof in certificate.shape],
    )


def show_accuracy(report: AnyReport) -> None:
    """Errors of each output, overall and by bucket, delta and gamma by the spots, and how surely that is right."""
    accuracy, reference = report.accuracy, report.reference
    rows = score_rows("whole Box", accuracy)
    rows += [row for bucket in accuracy.parts() for row in score_rows(bucket.bucket, bucket)]
    show_table(("where", "points", "output", "R2", "1 - R2", "RMSE", "largest error", "95 % sure of"), rows)
    for sentence in (few_points(report.evaluation), *show_offsets(accuracy)):
        if sentence is not None:
            typer.echo(sentence)
    if report.noise_floor:
        sizes = ", ".join(f"{noise:.1e} in {output}" for output, noise in report.noise_floor.items())
        typer.echo(f"noise of the labels (root mean square): {sizes}")
    error = reference.relative_error
    typer.echo(f"reference: {reference.kind}" + ("" if error is None else f", relative error {error:.0e}"))
    if report.implied_volatility is not None:
        typer.echo(show_implied(report.implied_volatility).strip())
    if reference.unjudged is not None:
        typer.echo(f"unjudged, as no reference knows them: {reference.unjudged}")


def score_rows(where: str, scores: SampleScores) -> list[tuple[object, ...]]:
    """A row for each output that has errors, for gamma the other second derivatives after it; blank where unknown."""
    rows: list[tuple[object, ...]] = []
    for output, score in scores.shown():
        if score.rmse is not None:
            rows.append(score_row("" if rows else where, "" if rows else scores.samples, output, score))
    pairs = known(scores.second_order) if isinstance(scores, Accuracy | Bucket) else None
    return [*rows, *(score_row("", "", pair.pair, pair) for pair in pairs or ())]


def score_row(where: str, points: object, output: str, score: OutputScore | PairScore) -> tuple[object, ...]:
    """What is said of one output."""
    share = known(score.unexplained)
    return (
        *(where, points, output),
        None if score.r2 is None else show_r2(score.r2),
        None if share is None else f"{share:.1e}",
        *(f"{score.rmse:.2e}", f"{score.max_error:.2e}"),
        show_bound(known(score.bounds) or ()),
    )


def show_shape(report: AnyReport) -> None:
    """What was looked at of the shape at the points."""
    show_table(
        ("shape statement", "holds", "worst violation"),
        [(check.statement, "yes" if check.holds else "no", f"{check.worst_violation:.2e}") for check in report.shape],
    )


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
    force: Annotated[bool, typer.Option("--force", help="Also for a version that misses its requirement.")] = False,
) -> None:
    """Make an alias stand for a version from now on."""
    opened = open_registry(read_settings(registry))
    before = opened.aliases(model).get(name)
    number = opened.set_alias(model, name, version, force=force)
    typer.echo(f"{model}@{name} = {number}" + ("" if before in (None, number) else f", was {before}"))
