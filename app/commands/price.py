"""``sobolite price``: rows of a CSV file through a published model. Torch-free."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from contextlib import nullcontext
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
from app.encoding import gamma_form
from app.errors import InvalidRequest, NonFiniteAnswer
from app.predictor import load_predictor
from app.schemas import GammaForm
from pricing.domain import Box
from pricing.errors import OutOfDomain
from pricing.types import Array

INPUT_HELP = "CSV, one row a line; '-' reads stdin. A header with feature names is optional."
InputOption = Annotated[Path, typer.Option("--input", "-i", help=INPUT_HELP)]
GammaOption = Annotated[GammaForm, typer.Option(help="Whole matrices, their diagonals, or the sums of their entries.")]
OutsideOption = Annotated[Literal["error", "flag"], typer.Option(help="What to do with rows outside the domain.")]


def price(
    model: ModelArgument,
    source: InputOption,
    registry: RegistryOption = None,
    outside: OutsideOption = "error",
    gamma: GammaOption = "full",
    as_json: JsonOption = False,
) -> None:
    """Value, delta and gamma of every row: CSV on stdout, or JSON."""
    settings = read_settings(registry)
    predictor = load_predictor(find_version(open_registry(settings), model), provider=settings.provider)
    features = read_features(source, predictor.box)
    inside = predictor.box.contains(features).tolist()
    if outside == "error" and not all(inside):
        refuse_outside(predictor.box, features)
    answer = predictor.run(features)
    gammas = gamma_form(answer.gamma, gamma)
    rows = np.column_stack([answer.value, answer.delta, gammas.reshape(len(features), -1)])
    finite = np.isfinite(rows).all(axis=1)
    if not finite.all():
        raise NonFiniteAnswer(f"row {np.argmin(finite)}: too far outside the domain for a finite answer")
    if as_json:
        numbers = {"value": answer.value.tolist(), "delta": answer.delta.tolist(), "gamma": gammas.tolist()}
        show_json({"model": predictor.name, "version": predictor.version, **numbers, "in_domain": inside})
    else:
        writer = csv.writer(sys.stdout)
        writer.writerow(header(predictor.box.labels, gamma))
        writer.writerows([*row, known] for row, known in zip(rows.tolist(), inside, strict=True))


def refuse_outside(box: Box, features: Array) -> None:
    """Raise OutOfDomain for the first row outside, in this command's words."""
    try:
        box.check(features)
    except OutOfDomain as error:
        place = str(error).partition(";")[0]
        raise OutOfDomain(f"{place} (rows counted from 0, without header); or give --outside flag") from error


def header(labels: Sequence[str], gamma: GammaForm) -> list[str]:
    """Names of the columns: value, every delta, the gammas, in_domain."""
    pairs = [f"gamma {left} {right}" for left in labels for right in labels]
    gammas = {"full": pairs, "diagonal": [f"gamma {label}" for label in labels], "parallel": ["gamma parallel"]}
    return ["value", *(f"delta {label}" for label in labels), *gammas[gamma], "in_domain"]


def read_features(source: Path, box: Box) -> Array:
    """The rows of a CSV file, columns in the order of the Box. Shape: -> batch feature.

    Raises:
        InvalidRequest: names the line and column that is not a finite number, or what the header must name.
    """
    lines = read_lines(source)
    order: Sequence[int] = range(box.dimension)
    if lines and parse(lines[0][1][0]) is None:
        order = column_order([label.strip() for label in lines.pop(0)[1]], box)
    if not lines:
        raise InvalidRequest(f"{source} has no rows")
    return np.array([read_row(number, row, box) for number, row in lines])[:, order]


def read_lines(source: Path) -> list[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers from 1."""
    try:
        with nullcontext(sys.stdin) if str(source) == "-" else source.open(newline="", encoding="utf-8-sig") as file:
            return [(number, row) for number, row in enumerate(csv.reader(file), 1) if row]
    except OSError as error:
        raise InvalidRequest(f"cannot read {source}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InvalidRequest(f"{source} is not CSV text: {error}") from error


def column_order(header: Sequence[str], box: Box) -> list[int]:
    """The columns of the file in the order of the Box."""
    if sorted(header) != sorted(box.labels):
        raise InvalidRequest(f"the header must name {', '.join(box.labels)}, got {', '.join(header)}")
    return [header.index(label) for label in box.labels]


def read_row(line: int, cells: Sequence[str], box: Box) -> list[float]:
    """The numbers of one line."""
    if len(cells) != box.dimension:
        raise InvalidRequest(f"line {line}: need {box.dimension} columns ({', '.join(box.labels)}), got {len(cells)}")
    numbers = [parse(cell) for cell in cells]
    for column, number in enumerate(numbers):
        if number is None or not np.isfinite(number):
            raise InvalidRequest(f"line {line}, column {column + 1}: need a finite number, got {cells[column]!r}")
    return [number for number in numbers if number is not None]


def parse(cell: str) -> float | None:
    """A number, or None."""
    try:
        return float(cell)
    except ValueError:
        return None
