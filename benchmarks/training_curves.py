"""Loss curves: what training on values alone, on deltas too and on curvature too makes of each, iteration by iteration.

The seven-asset basket of "Towards Sobolev Pruning" (backup slide "Comparison of Loss Curves"): one network, one start
and one set of labels a seed, the loss of order 0 (vanilla), 1 (Sobolev) and 2, by every optimiser. The terms are those
that a build publishes in ``training.json``, on labels held out: mean squared errors in units of the labels' own mean
square, whatever the loss was made of. Rows: median of the seeds, least and largest.

With ``--cost``: processor seconds of the labels and the training of examples, and what the held-out labels and the
watching add.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import matplotlib as mpl
import numpy as np
import torch
from msgspec.structs import replace

from app.pipeline.derived import unseen_build
from app.specification.build import BuildSpec
from app.specification.smoke import few
from app.specification.smoke import smoke as cut_short
from app.specification.toml_files import read_build_spec
from pricing.labels import make_labels
from pricing.sampling import sample_features
from pricing.types import Array
from surrogate.dataset import Dataset, from_labels
from surrogate.learning.training import fit
from surrogate.learning.watching import TERMS, Log, Watch, kind_of
from surrogate.report.curves import Curve
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, Optimiser, SobolevLoss, TrainingSpec

mpl.use("Agg")
from matplotlib import pyplot as plt

EXAMPLE = Path(__file__).parent.parent / "examples" / "bachelier_basket_7.toml"
SEEDS = (0, 1, 2)
HELD_OUT = 256
COSTS, REPEATS = ("bachelier_basket_7", "black_scholes_basket_7"), 3
ORDERS: tuple[Literal[0, 1, 2], ...] = (0, 1, 2)
NAMES = ("values alone (vanilla)", "and deltas (Sobolev)", "and curvature")
COLOURS = ("tab:red", "tab:blue", "tab:green")
NETWORK = NetworkSpec(hidden=(10, 10))
OPTIMISERS: tuple[Optimiser, ...] = (
    Adam(epochs=400, batch=64, learning_rate=3e-3),
    LBFGS(iterations=400),
    LevenbergMarquardt(starts=1, short=50, finalists=1, long=150),
)
SMOKE: tuple[Optimiser, ...] = (
    Adam(epochs=2),
    LBFGS(iterations=3),
    LevenbergMarquardt(starts=1, short=2, finalists=1, long=2),
)


@dataclass(frozen=True, kw_only=True)
class Run:
    """One training: its curve on held-out and on learnt labels, and the seconds it took."""

    optimiser: str
    order: int
    seed: int
    curve: Curve
    seconds: float


def specification(seed: int, *, smoke: bool) -> BuildSpec:
    """The example with curvature along one principal axis in its labels."""
    spec = read_build_spec(EXAMPLE)
    labels = replace(spec.labels, order=2, directions=1, direction_law="pca")
    return replace(spec, seed=seed, labels=few(labels, spec.problem) if smoke else labels)


def labelled(spec: BuildSpec) -> Dataset:
    """Its labels. Shape: x (batch, feature)."""
    features = sample_features(spec.pricing, spec.labels, seed=spec.seed)
    return from_labels(make_labels(spec.pricing, features, spec.labels, seed=spec.seed))


def runs_of(seed: int, *, smoke: bool) -> list[Run]:
    """Every optimiser and order on the labels and the start of a seed."""
    spec = specification(seed, smoke=smoke)
    data, held_out = labelled(spec), labelled(unseen_build(spec, 16 if smoke else HELD_OUT))
    found = []
    for optimiser in SMOKE if smoke else OPTIMISERS:
        for order in ORDERS:
            log, training = Log(), TrainingSpec(loss=SobolevLoss(order=order), optimisers=(optimiser,))
            began = time.process_time()
            fit(
                data,
                NETWORK,
                training,
                generator=torch.Generator().manual_seed(seed),
                watch=Watch(log=log, held_out=held_out),
            )
            seconds = time.process_time() - began
            (curve,) = log.trainings("train")[0].curves
            found.append(Run(optimiser=kind_of(optimiser), order=order, seed=seed, curve=curve, seconds=seconds))
    return found


def least_seconds(work: Callable[[], object], repeats: int) -> float:
    """Processor seconds of the fastest of some repeats: whatever else runs here only adds to them."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        taken.append(time.process_time() - began)
    return min(taken)


def cost(example: str, *, smoke: bool) -> dict[str, Any]:
    """What an example's labels and training take, and what is added by looking on."""
    spec = read_build_spec(EXAMPLE.parent / f"{example}.toml")
    if smoke:
        spec = cut_short(spec)
    other = unseen_build(spec, spec.labels.unseen(fitted=False))
    data, held_out = labelled(spec), labelled(other)

    def training(watch: Watch | None) -> None:
        generator = torch.Generator().manual_seed(spec.seed)
        fit(data, spec.network, spec.training, generator=generator, watch=watch)

    repeats = 1 if smoke else REPEATS
    seconds = {
        "labels": least_seconds(lambda: labelled(spec), repeats),
        "held_out": least_seconds(lambda: labelled(other), repeats),
        "training": least_seconds(lambda: training(None), repeats),
        "watched": least_seconds(lambda: training(Watch(log=Log(), held_out=held_out)), repeats),
    }
    return {"example": example, "samples": len(data), "held_out_samples": len(held_out), **seconds}


def show_costs(costs: list[dict[str, Any]]) -> None:
    """The costs as a table."""
    print("| example | samples | held out | labels, s | held out, s | training, s | watched, s | added by watching |")
    print("|---|---|---|---|---|---|---|---|")
    for row in costs:
        sizes = f"| {row['example']} | {row['samples']} | {row['held_out_samples']} "
        seconds = " | ".join(f"{row[name]:.2f}" for name in ("labels", "held_out", "training", "watched"))
        print(f"{sizes}| {seconds} | {row['watched'] / row['training'] - 1.0:+.1%} |")


def aligned(curves: list[Curve], term: str, *, held_out: bool) -> tuple[Array, Array]:
    """Iterations of any of the curves, and the term of each, which stays where an optimiser has settled.

    Shape: -> iteration; curve iteration.
    """
    at = np.array(sorted({iteration for curve in curves for iteration in curve.iteration}), dtype=np.float64)
    rows = []
    for curve in curves:
        column = curve.held_out[term] if held_out and curve.held_out is not None else curve.terms[term]
        place = np.searchsorted(np.array(curve.iteration), at, side="right") - 1
        rows.append(np.array(column, dtype=np.float64)[place])
    return at, np.array(rows)


def draw(runs: list[Run], target: Path) -> None:
    """A row an optimiser, a column a term, a colour an order."""
    optimisers = list(dict.fromkeys(run.optimiser for run in runs))
    plt.rcParams["svg.hashsalt"] = "sobolite"  # the same picture has the same bytes
    figure, axes = plt.subplots(
        len(optimisers), len(TERMS), figsize=(10, 2.6 * len(optimisers)), layout="constrained", squeeze=False
    )
    for row, optimiser in enumerate(optimisers):
        for column, term in enumerate(TERMS):
            axis = axes[row, column]
            for order, name, colour in zip(ORDERS, NAMES, COLOURS, strict=True):
                chosen = [run.curve for run in runs if (run.optimiser, run.order) == (optimiser, order)]
                at, errors = aligned(chosen, term, held_out=True)
                axis.plot(at, np.median(errors, axis=0), color=colour, linewidth=1.4, label=name)
                axis.fill_between(at, errors.min(axis=0), errors.max(axis=0), color=colour, alpha=0.15, linewidth=0)
                at, errors = aligned(chosen, term, held_out=False)
                axis.plot(at, np.median(errors, axis=0), color=colour, linewidth=0.8, linestyle=":")
            axis.set_yscale("log")
            axis.set_xscale("symlog", linthresh=10)
            axis.set_xlim(left=0)
            if row == 0:
                axis.set_title(term)
        axes[row, 0].set_ylabel(optimiser)
    for axis in axes[-1]:
        axis.set_xlabel("epoch or iteration")
    axes[0, 0].legend(frameon=False, fontsize=8)
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def summary(runs: list[Run]) -> list[dict[str, Any]]:
    """What every optimiser and order ends with on held-out labels."""
    rows = []
    for optimiser, order in dict.fromkeys((run.optimiser, run.order) for run in runs):
        chosen = [run for run in runs if (run.optimiser, run.order) == (optimiser, order)]
        ends = {term: [run.curve.held_out[term][-1] for run in chosen if run.curve.held_out] for term in TERMS}
        spread = {term: [float(np.median(end)), min(end), max(end)] for term, end in ends.items()}  # type: ignore[arg-type, type-var]  # finite
        seconds = float(np.median([run.seconds for run in chosen]))
        rows.append({"optimiser": optimiser, "order": order, **spread, "seconds": seconds})
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    """The summary as a table."""
    print("| optimiser | loss of order | value | delta | curvature | seconds |")
    print("|---|---|---|---|---|---|")
    for row in rows:
        cells = ["{:.1e} ({:.0e} to {:.0e})".format(*row[term]) for term in TERMS]
        print("| " + " | ".join([row["optimiser"], str(row["order"]), *cells, f"{row['seconds']:.1f}"]) + " |")


def main() -> None:
    """Train, draw, show."""
    parser = argparse.ArgumentParser(description="Loss curves by order of the loss and optimiser.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="one seed and a few iterations, for CI")
    parser.add_argument("--figure", type=Path, metavar="PATH", help="also draw the curves, as SVG or PNG")
    parser.add_argument("--cost", action="store_true", help="what looking on adds to labels and training, instead")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.cost or arguments.smoke:
        costs = [cost(example, smoke=arguments.smoke) for example in (COSTS[:1] if arguments.smoke else COSTS)]
        if arguments.cost:
            print(json.dumps(costs, indent=2)) if arguments.json else show_costs(costs)
            return
    seeds = SEEDS[:1] if arguments.smoke else SEEDS
    runs = [run for seed in seeds for run in runs_of(seed, smoke=arguments.smoke)]
    if arguments.smoke:
        with tempfile.TemporaryDirectory() as folder:
            draw(runs, Path(folder) / "curves.svg")
    if arguments.figure is not None:
        draw(runs, arguments.figure)
    rows = summary(runs)
    if arguments.json:
        print(json.dumps({"seeds": seeds, "rows": rows}, indent=2))
    else:
        show(rows)


if __name__ == "__main__":
    main()
