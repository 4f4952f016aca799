"""What `benchmarks/lost.py` found, drawn: potentials and excess errors of both baskets, what is preserved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.cases.lost_tables import DELTAS, Row, different, excesses, methods, only, potentials
from surrogate.report.scores import OUTPUTS

mpl.use("Agg")
from matplotlib import pyplot as plt

# Pixels an inch: a panel of three inches is read without a magnifier.
RESOLUTION = 65
# Excess errors within one dense error are drawn linearly, beyond on a logarithmic axis.
LINEAR = 1.0
# Losses of R2 below it are drawn alike.
LEAST_LOSS = 1e-7


def draw(folder: Path, rows: list[Row]) -> None:
    """Write all pictures as PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    usual = only(rows, training="as usual")
    for name, picture in (("potential", draw_potentials), ("excess", draw_excesses), ("preserved", draw_preserved)):
        save(picture(usual), folder / f"lost_{name}.png")
    save(draw_mixed(rows), folder / "lost_mixed.png")


def save(figure: Any, target: Path) -> None:
    """Without the date and the version, so that the same numbers are the same file."""
    figure.savefig(target, dpi=RESOLUTION, metadata={"Software": None})
    plt.close(figure)


def name_series(figure: Any, axis: Any) -> None:
    """One legend for all panels, where it hides nothing."""
    figure.legend(*axis.get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize=8)


def panels(rows: list[Row], title: str, *, sharey: bool) -> tuple[Any, list[tuple[Any, str, str, list[Row]]]]:
    """A panel a basket and Greek, with its rows."""
    baskets = different(rows, "basket")
    size = (12.0, 0.6 + 2.7 * len(baskets))
    figure, axes = plt.subplots(
        len(baskets), len(OUTPUTS), figsize=size, squeeze=False, sharex=True, sharey=sharey, layout="constrained"
    )
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    found = []
    for basket, line in zip(baskets, axes, strict=True):
        for greek, axis in zip(OUTPUTS, line, strict=True):
            axis.set_title(f"{basket}, {greek}", fontsize=10)
            found.append((axis, basket, greek, only(rows, basket=basket)))
    return figure, found


def bars(axis: Any, series: dict[str, list[list[float]]], names: list[str]) -> None:
    """Grouped bars of means, with a line from the least to the most."""
    width = 0.8 / len(series)
    for i, (label, values) in enumerate(series.items()):
        x = np.arange(len(names)) + (i - 0.5 * (len(series) - 1)) * width
        mean, least, most = (np.array([f(each) for each in values]) for f in (np.mean, min, max))
        axis.bar(x, mean, width, yerr=(mean - least, most - mean), label=label, error_kw={"linewidth": 0.7})
    axis.set_xticks(np.arange(len(names)), names, rotation=40, ha="right", fontsize=8)
    axis.set_ylim(0.0, 1.0)


def draw_potentials(rows: list[Row]) -> Any:
    """Bars by domain and method."""
    title = f"Prune potential at {100 * DELTAS[0]:g} %: mean, least and most of the seeds"
    figure, found = panels(rows, title, sharey=True)
    domains = list(rows[0]["errors"])
    for axis, _, greek, own in found:
        series = {
            method: [
                potentials(only(own, method=method), domain, greek, delta=DELTAS[0], bases=own) for domain in domains
            ]
            for method in methods(own)
        }
        bars(axis, series, domains)
    name_series(figure, found[0][0])
    return figure


def draw_excesses(rows: list[Row]) -> Any:
    """Lines along the prune ratio, averaged over all shifts, a method each; the band is that of the seeds."""
    title = "Excess error of the pruned less that of the dense network, mean of all shifts; dense error on the Box = 1"
    figure, found = panels(rows, title, sharey=False)
    shifts = list(rows[0]["errors"])[1:]
    for axis, _, greek, own in found:
        for method in methods(own):
            targets = different(only(own, method=method), "target")
            by_target = [
                np.mean(
                    [excesses(only(own, method=method, target=t), shift, greek, bases=own) for shift in shifts], axis=0
                )
                for t in targets
            ]
            (line,) = axis.plot(targets, [each.mean() for each in by_target], marker=".", label=method)
            low, high = ([f(each) for each in by_target] for f in (np.min, np.max))
            axis.fill_between(targets, low, high, alpha=0.2, color=line.get_color())
        axis.axhline(0.0, color="0.6", linewidth=0.8)
        axis.set_yscale("symlog", linthresh=LINEAR)
        axis.set_xlabel("share of the parameters that is pruned", fontsize=8)
    name_series(figure, found[0][0])
    return figure


def draw_preserved(rows: list[Row]) -> Any:
    """1 - R2 of delta and gamma, and the overlap of informative features, along the prune ratio."""
    baskets = different(rows, "basket")
    figure, axes = plt.subplots(
        len(baskets), 3, figsize=(12.0, 0.6 + 2.7 * len(baskets)), squeeze=False, sharex=True, layout="constrained"
    )
    title = "Like the dense network, on the Box (line) and under 5 % of noise (dots); dashed: a separate network"
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    for basket, line in zip(baskets, axes, strict=True):
        own = [row for row in only(rows, basket=basket) if "alike" in row]
        for axis, what in zip(line, ("delta", "gamma", "informative features"), strict=True):
            axis.set_title(f"{basket}, {what}", fontsize=10)
            for method in methods(own):
                pruned = only(own, method=method)
                targets = different(pruned, "target")
                lines = [
                    [loss(only(pruned, target=target), place, what) for target in targets]
                    for place in ("nominal", "noise 0.05")
                ]
                (drawn,) = axis.plot(targets, lines[0], marker=".", label=method)
                axis.plot(targets, lines[1], linestyle=":", color=drawn.get_color())
            axis.axhline(loss(only(own, method="separate"), "nominal", what), color="0.3", linestyle="--", linewidth=1)
            if what != "informative features":
                axis.set_yscale("log")
                axis.set_ylabel("1 - R²", fontsize=8)
            axis.set_xlabel("share of the parameters that is pruned", fontsize=8)
    name_series(figure, axes[0, 0])
    return figure


def loss(rows: list[Row], place: str, what: str) -> float:
    """1 - R2 of a Greek, or the overlap; mean of the seeds."""
    alike = [row["alike"][place] for row in rows]
    if what == "informative features":
        return float(np.mean([each["overlap"] for each in alike]))
    return max(LEAST_LOSS, float(np.mean([1.0 - each["r2"][what] for each in alike])))


def draw_mixed(rows: list[Row]) -> Any:
    """Bars by domain and training, against the dense network that was trained as usual."""
    method = next(row["method"] for row in rows if row["training"] != "as usual" and row["method"] != "dense")
    title = f"Prune potential of {method} at {100 * DELTAS[0]:g} % of the usual dense network's error, by training"
    figure, found = panels(rows, title, sharey=True)
    domains = list(rows[0]["errors"])
    for axis, _, greek, own in found:
        usual = only(own, training="as usual")
        series = {
            training: [
                potentials(only(own, training=training, method=method), domain, greek, delta=DELTAS[0], bases=usual)
                for domain in domains
            ]
            for training in different(own, "training")
        }
        bars(axis, series, domains)
    name_series(figure, found[0][0])
    return figure
