"""One picture a stage of a surrogate: predicted against true values, deltas and gammas, and the errors.

All are normalised by the mean and the standard deviation of what is true, deltas asset by asset, gammas as the parallel
gamma 1'H1: the mean square of the vertical distance from the diagonal is then 1 - R2 (`surrogate.evaluation.accuracy`).
"""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np

from pricing.types import Array
from surrogate.artifact.sentences import show_r2
from surrogate.evaluation.accuracy import Prediction, r2

mpl.use("Agg")
from matplotlib import pyplot as plt

# Points in a panel, an asset: more hide one another and only make the file larger.
POINTS = 512
# Pixels an inch; a panel is three inches wide.
RESOLUTION = 80


def draw(target: Path, title: str, predicted: Prediction, exact: Prediction) -> None:
    """Write the picture of a stage as PNG."""
    figure, axes = plt.subplots(2, 3, figsize=(9.6, 4.6), sharex="col", height_ratios=[2.2, 1.0], layout="constrained")
    for (top, bottom), (name, got, want) in zip(axes.T, columns(predicted, exact), strict=True):
        centre, spread = want.mean(axis=0), want.std(axis=0)
        x, y = (((each - centre) / spread)[:POINTS] for each in (want, got))
        ends = float(x.min()), float(x.max())
        for axis, line, points in ((top, ends, y), (bottom, (0.0, 0.0), y - x)):
            axis.plot(ends, line, color="0.6", linewidth=0.8, zorder=0)
            axis.plot(x, points, linestyle="none", marker=".", markersize=2.0, alpha=0.6)
        bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        top.set_title(f"{name}, R² {show_r2(r2(got, want))}", fontsize=10)
        bottom.set_xlabel("true")
    axes[0, 0].set_ylabel("predicted")
    axes[1, 0].set_ylabel("predicted - true")
    figure.suptitle(title)
    figure.savefig(target, dpi=RESOLUTION, metadata={"Software": None})
    plt.close(figure)


def columns(predicted: Prediction, exact: Prediction) -> list[tuple[str, Array, Array]]:
    """What the panels show, by name. Shape: -> batch column, batch column."""
    return [
        ("values", predicted.value[:, None], exact.value[:, None]),
        ("deltas", predicted.delta, exact.delta),
        ("gammas", *(np.sum(each.gamma, axis=(1, 2))[:, None] for each in (predicted, exact))),
    ]
