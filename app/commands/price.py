"""``sobolite price``: rows of a CSV file through a published model. Torch-free."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

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
from app.inference.predictor import DEFAULT_OUTPUTS, Answer, GammaForm, Predictor, gamma_form, load_predictor
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
OUTPUTS_HELP = "Comma-separated: value, delta, gamma, and where the model has them vega, theta, rho, strike, ..."
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
    answer = predictor.run(features, asked(outputs, predictor))
    if "gamma" in answer:
        answer["gamma"] = gamma_form(answer["gamma"], gamma)
    rows = np.column_stack([array.reshape(len(features), -1) for array in answer.values()])
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise NonFiniteAnswer(f"row {np.argmin(finite)}: too far outside the domain for a finite answer")
    if as_json:
        numbers = {name: array.tolist() for name, array in answer.items()}
        named = {} if ids is None else {ID: ids}
        show_json({"model": predictor.name, "version": predictor.version, **named, **numbers, "in_domain": inside})
    else:
        writer = csv.writer(sys.stdout)
        first: list[list[str]] = [[]] * len(features) if ids is None else [[name] for name in ids]
        writer.writerow([*([] if ids is None else [ID]), *header(answer, predictor.box.labels, gamma), "in_domain"])
        writer.writerows([*name, *row, known] for name, row, known in zip(first, rows.tolist(), inside, strict=True))


def asked(outputs: str, predictor: Predictor) -> list[str]:
    """The outputs that were asked for, in the model's order.

    Raises:
        InvalidRequest: one that the model does not have.
    """
    names = [name.strip() for name in outputs.split(",")]
    for name in names:
        if name not in predictor.sizes:
            raise InvalidRequest(f"--outputs: choose from {', '.join(predictor.sizes)}, got {name!r}", path="outputs")
    return [name for name in predictor.sizes if name in names]


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
