"""``sobolite price``: rows of a CSV file through a published model. Torch-free."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from app.commands.terminal import (
    JsonOption,
    ModelArgument,
    RegistryOption,
    find_version,
    open_registry,
    read_settings,
    show_json,
)
from app.errors import InvalidRequest, NonFiniteAnswer
from app.inference.derived import Column, Derived
from app.inference.predictor import (
    DEFAULT_OUTPUTS,
    Answer,
    GammaForm,
    Predictor,
    first_infinite,
    gamma_form,
    load_predictor,
)
from app.specification.csv_text import ID
from app.specification.feature_files import read_rows
from pricing.domain import Box
from pricing.errors import OutOfDomain
from pricing.types import Array

INPUT_HELP = (
    "CSV, one row a line, by commas, semicolons or tabs; '-' reads stdin. A header with feature names is optional; "
    "with one, a column id stays with its rows."
)
InputOption = Annotated[Path, typer.Option("--input", "-i", help=INPUT_HELP)]
GammaOption = Annotated[GammaForm, typer.Option(help="Whole matrices, their diagonals, or the sums of their entries.")]
OUTPUTS_HELP = (
    "Comma-separated: value, delta, gamma, and where the model has them vega, theta, rho, strike, ..., vanna, volga, "
    "charm, ..., gamma.spot.strike for the block by any two features, implied_volatility."
)
OutputsOption = Annotated[str, typer.Option("--outputs", help=OUTPUTS_HELP)]
DEFAULT = ",".join(DEFAULT_OUTPUTS)
OutsideOption = Annotated[Literal["error", "flag"], typer.Option(help="What to do with rows outside the domain.")]


def price(
    model: ModelArgument,
    source: InputOption,
    registry: RegistryOption = None,
    outside: OutsideOption = "error",
    gamma: GammaOption = "full",
    outputs: OutputsOption = DEFAULT,
    as_json: JsonOption = False,
) -> None:
    """Value, delta, gamma and other Greeks of every row: CSV on stdout, or JSON."""
    settings = read_settings(registry)
    predictor = load_predictor(find_version(open_registry(settings), model), provider=settings.provider)
    ids, features = read_rows(source, predictor.box)
    inside = predictor.box.contains(features).tolist()
    if outside == "error" and not all(inside):
        refuse_outside(predictor.box, features)
    names, derived = asked(outputs, predictor)
    computed = predictor.run(features, predictor.needed(names, derived))
    require_finite(list(computed.values()))
    answer = {name: gamma_form(computed[name], gamma) if name == "gamma" else computed[name] for name in names}
    with np.errstate(over="ignore"):
        made = {key: column for one in derived for key, column in one.make(computed[one.source], features).items()}
    require_finite(
        [*answer.values(), *(np.asarray(made[key]) for one in derived if not one.partial for key in one.keys)]
    )
    if as_json:
        named = {} if ids is None else {ID: ids}
        numbers = {name: plain(column) for name, column in {**answer, **made}.items()}
        units = {"units": {one.name: one.unit for one in derived}} if derived else {}
        answered = {**named, **numbers, **units, "in_domain": inside}
        show_json({"model": predictor.name, "version": predictor.version, **answered})
        return
    titles = [
        *header(answer, predictor.box.labels, gamma),
        *(title for one in derived for title in derived_header(one)),
    ]
    columns = [*answer.values(), *made.values()]
    writer = csv.writer(sys.stdout)
    first: list[list[str]] = [[]] * len(features) if ids is None else [[name] for name in ids]
    writer.writerow([*([] if ids is None else [ID]), *titles, "in_domain"])
    for row, (name, known) in enumerate(zip(first, inside, strict=True)):
        writer.writerow([*name, *(cell for column in columns for cell in cells(column, row)), known])


def asked(outputs: str, predictor: Predictor) -> tuple[list[str], list[Derived]]:
    """The outputs of the graph that were asked for, in the model's order, and what is to be made of them, as asked.

    Raises:
        InvalidRequest: one that the model does not have.
    """
    names = list(dict.fromkeys(name.strip() for name in outputs.split(",")))
    try:
        derived = [predictor.further.find(name) for name in names if name not in predictor.sizes]
    except InvalidRequest as error:
        raise InvalidRequest(f"--{error}", path="outputs") from error
    return [name for name in predictor.sizes if name in names], derived


def require_finite(arrays: Sequence[Array]) -> None:
    """Raise NonFiniteAnswer for the first row that is not finite everywhere. Shape: batch, and what each has."""
    if (row := first_infinite(arrays)) is not None:
        raise NonFiniteAnswer(f"row {row}: too far outside the domain for a finite answer")


def plain(column: Column) -> list[Any]:
    """A column as JSON has it, null where a row has none. Shape: batch, and what it has."""
    numbers = column.tolist() if isinstance(column, np.ndarray) else list(column)
    return [None if cell is None or cell != cell else cell for cell in numbers]


def cells(column: Column, row: int) -> list[Any]:
    """A row of a column, blank where it has none. Shape: batch, and what the column has."""
    numbers = column[row].ravel().tolist() if isinstance(column, np.ndarray) else [column[row]]
    return ["" if cell is None or cell != cell else cell for cell in numbers]


def derived_header(derived: Derived) -> list[str]:
    """Names of the columns: by the features where there are several."""
    if derived.size == 1 or not derived.labels:
        return list(derived.keys)
    return [f"{derived.name} {label}" for label in derived.labels]


def refuse_outside(box: Box, features: Array) -> None:
    """Raise OutOfDomain for the first row outside, in this command's words. Shape: features batch feature."""
    try:
        box.check(features)
    except OutOfDomain as error:
        place = str(error).partition(";")[0]
        raise OutOfDomain(f"{place} (rows counted from 0, without header); or give --outside flag") from error


def header(answer: Answer, labels: Sequence[str], gamma: GammaForm) -> list[str]:
    """Names of the columns: deltas by their feature, gammas by two, other outputs numbered where they have several."""
    pairs = [f"gamma {left} {right}" for left in labels for right in labels]
    gammas = {"full": pairs, "diagonal": [f"gamma {label}" for label in labels], "parallel": ["gamma parallel"]}
    columns = {"delta": [f"delta {label}" for label in labels], "gamma": gammas[gamma]}
    several = {
        name: [name] if array.ndim == 1 else [f"{name}[{i}]" for i in range(array.shape[1])]
        for name, array in answer.items()
    }
    return [column for name in answer for column in (several | columns)[name]]
