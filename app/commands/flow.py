"""``sobolite flow``: learn where states live, from a table, and use it: density, samples, ONNX."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, TextIO, get_args

import numpy as np
import typer

from app.commands.fields import with_fields
from app.commands.progress import ProgressOption, show_progress, stopped_by_hand
from app.commands.terminal import JsonOption, read_settings, require_new, show_json, show_table
from app.errors import InvalidRequest
from app.files import replacing
from app.specification.csv_text import Columns, is_header
from app.specification.feature_files import read_features, read_lines, rows_in
from pricing.domain import Box, Feature
from pricing.specs.base import dump, load, require_range
from pricing.specs.sampler import FlowSpec
from pricing.specs.states import require_states
from pricing.types import Array
from pruning.spec import MethodName
from surrogate.artifact.flow_files import FlowFacts, draw_states, log_density, read_flow, write_flow

app = typer.Typer(help="Normalising flows of tables of states.", no_args_is_help=True)

# States that a command draws at once.
MAXIMUM_DRAWN = 1 << 22

TableArgument = Annotated[Path, typer.Argument(metavar="STATES.csv", help="One state a line, a header of names first.")]
FolderArgument = Annotated[Path, typer.Argument(metavar="FLOW", help="The folder of a learnt flow.")]
ResultOption = Annotated[Path | None, typer.Option("--output", "-o", help="CSV file; by default the terminal.")]


@app.command()
@with_fields(FlowSpec, beside=frozenset({"hidden"}), offers={"method": get_args(MethodName)})
def learn(
    states: TableArgument,
    output: Annotated[Path, typer.Option("--output", "-o", help="New folder for graphs and facts.")],
    hidden: Annotated[str, typer.Option(help="Widths of the field's layers, separated by commas.")] = "32,32",
    held_out: Annotated[float, typer.Option(help="Share of the states that it is judged on and never sees.")] = 0.2,
    seed: Annotated[int, typer.Option(help="Seed of every random number.")] = 0,
    progress: ProgressOption = "auto",
    as_json: JsonOption = False,
    **given: Any,
) -> None:
    """Learn the law of a table of states and write it as ONNX: states from normals, and log density of states."""
    require_new(output)
    require_range("held_out", held_out, 0.01, 0.5)
    spec = load(FlowSpec, given | {"hidden": read_widths(hidden)})
    columns, table = read_table(states)
    os.environ["OMP_NUM_THREADS"] = str(read_settings(None).job_threads)  # read when torch is imported
    with stopped_by_hand("nothing was written, and the same command begins anew"), show_progress(progress) as shown:
        from app.pipeline.flows import learn_flow

        graphs, facts = learn_flow(
            spec, columns, table, held_out=held_out, seed=seed, progress=lambda share: shown("learning", share)
        )
    write_flow(output, graphs, facts)
    if as_json:
        show_json(dump(facts))
    else:
        show(facts, output)


@app.command()
def sample(
    flow: FolderArgument,
    count: Annotated[int, typer.Argument(help="How many states.")],
    seed: Annotated[int, typer.Option(help="Seed of the normals.")] = 0,
    output: ResultOption = None,
) -> None:
    """Draw independent states by the law of a flow, as CSV."""
    require_range("count", count, 1, MAXIMUM_DRAWN)
    write_table(read_flow(flow).columns, draw_states(flow, count, seed=seed), output)


@app.command()
def density(flow: FolderArgument, states: TableArgument, output: ResultOption = None) -> None:
    """The log density of every state of a table, as CSV."""
    columns = read_flow(flow).columns
    table = read_features(states, box_of(columns))
    judged = log_density(flow, table)
    write_table((*columns, "log_density"), np.column_stack([table, judged]), output)


def read_widths(text: str) -> tuple[int, ...]:
    """Widths of layers."""
    try:
        return tuple(int(width) for width in text.split(","))
    except ValueError as error:
        raise InvalidRequest(f"--hidden: write widths such as 32,32, got {text!r}") from error


def read_table(source: Path) -> tuple[tuple[str, ...], Array]:
    """The names of the columns, x0, x1, ... without a header, and the rows. Shape: -> state column.

    Raises:
        InvalidRequest: names the line and column that is not a finite number.
        InvalidSpec: too few rows, or too many.
    """
    separator, lines = read_lines(source)
    if not lines:
        raise InvalidRequest(f"{source} has no rows")
    first = lines[0][1]
    header = first if is_header(first, separator) else [f"x{i}" if cell else "" for i, cell in enumerate(first)]
    box = box_of(Columns(header).names)
    _, table = rows_in(separator, lines, box)
    require_states(table.tolist())
    return box.labels, table


def box_of(columns: Sequence[str]) -> Box:
    """The columns as a Box, whose bounds say nothing."""
    return Box(features=tuple(Feature(name=name, lower=(0.0,), upper=(1.0,)) for name in columns))


def write_table(columns: tuple[str, ...], table: Array, output: Path | None) -> None:
    """Rows as CSV. Shape: table row column."""
    if output is None:
        write_rows(sys.stdout, columns, table)
        return
    with replacing(output) as partial, partial.open("w", newline="") as file:
        write_rows(file, columns, table)


def write_rows(file: TextIO, columns: tuple[str, ...], table: Array) -> None:
    """A header and rows. Shape: table row column."""
    rows = csv.writer(file)
    rows.writerow(columns)
    rows.writerows(table.tolist())


def show(facts: FlowFacts, folder: Path) -> None:
    """What was learnt, and where it is."""
    kept, whole = facts.weights
    show_table(
        (str(folder), ""),
        [
            ("states", f"{facts.learnt_from} learnt from, {facts.held_out} held out"),
            ("columns", ", ".join(facts.columns)),
            ("weights", f"{kept} of {whole}"),
            ("negative log-likelihood of a held-out state", f"{facts.nats:.4f} nats"),
            ("that of the Gaussian of the others", f"{facts.gaussian_nats:.4f} nats"),
        ],
    )
    if facts.nats >= facts.gaussian_nats:
        typer.echo("the Gaussian does as well: give more states, more epochs, or do without a flow", err=True)
