"""The report of a sweep as one HTML page: no script, nothing from elsewhere, the charts drawn here as SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.pages import render
from app.sweeps.findings import (
    ExcessRow,
    FrontierRow,
    MeasuredCase,
    MissingCase,
    PotentialRow,
    PreservedRow,
    SweepReport,
)
from pruning.studies.similarity import TOLERANCE
from surrogate.artifact.sentences import show_r2

# Eight colours with a contrast of at least 3 against the light and the dark background (WCAG 1.4.11). Five shapes go
# round beside them, so that neighbours differ in both and no pair repeats before the forty-first method.
COLOURS = ("#1f77c4", "#d95f02", "#1b9e77", "#e0338c", "#8463c9", "#a0760a", "#d93636", "#0e8fa8")
# Outlines around (0, 0) within a circle of radius 5.
SHAPES = (
    "M-5 0a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z",
    "M-4.4 -4.4h8.8v8.8h-8.8z",
    "M0 -5.5L5 4H-5z",
    "M0 -6L6 0L0 6L-6 0z",
    "M0 5.5L5 -4H-5z",
)
# Sizes in pixels of the drawing.
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 760, 420, 64, 16, 28, 48
# Gammas better than the first are drawn alike, being rounding, and worse than the second too, being useless.
BEST, WORST = 1e-10, 10.0
# Steps within a decade that get a tick.
STEPS = (1, 2, 5)


# Numbers by method, then domain.
DomainTable = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One row of the frontier in a chart."""

    x: float
    y: float
    colour: str
    shape: str
    text: str
    pareto: bool


@dataclass(frozen=True, kw_only=True)
class FrontierChart:
    """1 - R2 of gamma against a size, both logarithmic."""

    name: str
    axis: str
    marks: Sequence[Mark]
    line: str
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def make_page(report: SweepReport) -> str:
    """The page of a report."""
    rows = report.frontier
    labels = list(dict.fromkeys(case.label for case in report.cases))
    styles = {label: (COLOURS[i % len(COLOURS)], SHAPES[i % len(SHAPES)]) for i, label in enumerate(labels)}
    axes = {"parameters": "weights and biases", "latency": "latency of 1,024 rows, dense network = 1"}
    return render(
        "sweep.html",
        report=report,
        styles=styles,
        charts=[chart(rows, name, axis, styles) for name, axis in axes.items()] if rows else [],
        measured=[case for case in report.cases if isinstance(case, MeasuredCase)],
        missing=[case for case in report.cases if isinstance(case, MissingCase)],
        potentials=_tables((row, [row.potential]) for row in report.potential),
        excesses=_tables((row, [row.slope, row.low, row.high]) for row in report.excess),
        preserved=_by_network(report.preserved),
        tolerance=TOLERANCE,
    )


def chart(rows: Sequence[FrontierRow], name: str, axis: str, styles: Mapping[str, tuple[str, str]]) -> FrontierChart:
    """The rows against one of their sizes, the better ones lower."""
    points = [(row.along(name), min(max(1.0 - row.gamma_r2, BEST), WORST)) for row in rows]
    x_low, x_high = _span([x for x, _ in points])
    y_low, y_high = _span([y for _, y in points])

    def across(x: float) -> float:
        return round(LEFT + (math.log10(x) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT), 1)

    def down(y: float) -> float:
        return round(TOP + (y_high - math.log10(y)) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM), 1)

    marks = [
        Mark(
            x=across(x),
            y=down(y),
            colour=styles[row.label][0],
            shape=styles[row.label][1],
            text=f"{row.label}, {row.target}: {row.parameters} parameters, {row.onnx_nodes} ONNX nodes, "
            f"gamma R2 {show_r2(row.gamma_r2)}, latency {row.latency:.3g}",
            pareto=name in row.pareto,
        )
        for row, (x, y) in zip(rows, points, strict=True)
    ]
    frontier = sorted((mark.x, mark.y) for mark in marks if mark.pareto)
    return FrontierChart(
        name=name,
        axis=axis,
        marks=marks,
        line=" ".join(f"{x},{y}" for x, y in frontier),
        x_ticks=[(across(x), f"{x:g}") for x in _ticks(x_low, x_high, STEPS)],
        y_ticks=[(down(y), f"{y:.0e}") for y in _ticks(y_low, y_high, STEPS[:1])],
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Logarithms of the ends of an axis: a tenth of a decade of room on either side."""
    return math.log10(min(values)) - 0.1, math.log10(max(values)) + 0.1


def _ticks(low: float, high: float, steps: Sequence[int]) -> list[float]:
    """Round numbers between two logarithms."""
    numbers = (step * 10.0**decade for decade in range(math.floor(low), math.ceil(high) + 1) for step in steps)
    return [number for number in numbers if low <= math.log10(number) <= high]


def _tables(rows: Iterable[tuple[PotentialRow | ExcessRow, list[float]]]) -> dict[str, DomainTable]:
    """By output one table of methods by domains; rows of the same cell lie side by side."""
    tables: dict[str, DomainTable] = {}
    for row, numbers in rows:
        methods = tables.setdefault(row.greek, {})
        domains = methods.setdefault(row.label, {})
        domains.setdefault(row.domain, []).extend(numbers)
    return tables


def _by_network(rows: Iterable[PreservedRow]) -> dict[tuple[str, str], dict[str, PreservedRow]]:
    """By method and target one row a domain."""
    networks: dict[tuple[str, str], dict[str, PreservedRow]] = {}
    for row in rows:
        networks.setdefault((row.label, row.target), {})[row.domain] = row
    return networks
