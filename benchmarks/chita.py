"""CHITA on a classifier: accuracy and processor time of single-stage, refined, multi-stage and whole-path pruning.

Per seed one dense 784-40-20-10 ReLU network of digits (`benchmarks.cases.large_digits`). "published settings"
are those of the paper in this code, not its authors' program: empirical Fisher rows in raw units, damping 1e-4 a row,
thresholding for the support and a direct solve on it, with the gradient term e of b = A w - e and without. Times are
processor seconds of one thread, row build included.

``--figure PATH`` draws accuracy and time against the number of samples, M-FAC beside, ``--terms`` compares models with
and without the gradient term, ``--ridges`` fixed ridges, all on a smaller network (`benchmarks.cases.chita_samples`).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch

from benchmarks.cases.chita_samples import (
    FIXED,
    SIZES,
    TERM_SAMPLES,
    TERMS,
    VARIANTS,
    draw_samples,
    measured,
    print_samples,
)
from benchmarks.cases.large_digits import Samples, large_digits
from pruning.driver.milestones import UNMEASURED
from pruning.driver.sequential import from_sequential, to_sequential
from pruning.path import prune_path
from pruning.prune import prune
from pruning.quadratic.factored import factored
from pruning.quadratic.line_search import descend
from pruning.quadratic.problem import Quadratic
from pruning.quadratic.regression import back_solve
from pruning.rows import model_rows
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset

PATH = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
COMPARED = (0.9, 0.98)
SCHEDULES = ("exponential", "polynomial", "linear")
STAGES, SAMPLES, DAMPING = 15, 1000, 1e-4


def reference(
    network: torch.nn.Sequential, samples: Samples, sparsity: float, seed: int, *, gradient_term: bool
) -> torch.nn.Sequential:
    """The published recipe in raw units, float64: Fisher rows, n lambda = n DAMPING."""
    ours = from_sequential(network).to(torch.float64)
    pick = torch.randperm(len(samples[0]), generator=torch.Generator().manual_seed(seed))[:SAMPLES]
    spec = PruningSpec(method="chita", sparsity=sparsity, rows="fisher", gradient_term=gradient_term)
    rows = model_rows(ours, Dataset(x=samples[0][pick].double(), y=samples[1][pick]), spec, torch.Generator())
    anchor = torch.cat([weight.flatten() for weight in ours.weights])
    live = torch.cat([layer.flatten() for layer in rows.squares()]) > 0
    problem = Quadratic(
        rows=factored(rows, torch.arange(len(anchor)), torch.ones_like(anchor), torch.float64),
        anchor=anchor,
        residual=rows.residual,
        damping=len(pick) * DAMPING,
        sizes=[weight.numel() for weight in ours.weights],
        priority=torch.zeros_like(anchor).masked_fill(~live, -torch.inf),
    )
    count = int((1.0 - sparsity) * len(anchor) + 1e-6)
    near, _ = descend(problem, problem.threshold(anchor, count), count, 50)
    parts = torch.split(back_solve(problem, problem.support(near, count)), problem.sizes)
    weights = tuple(layer.view_as(weight) for layer, weight in zip(parts, ours.weights, strict=True))
    pruned = type(ours)(weights=weights, biases=ours.biases, activation=ours.activation)
    return to_sequential(pruned.to(torch.float32), like=network)


def run(seed: int, *, smoke: bool) -> list[dict[str, Any]]:
    """All rows of one seed."""
    digits = large_digits(seed, smoke=smoke)
    dense, training = digits.dense, digits.training
    rows = [{"seed": seed, "variant": "dense", "sparsity": 0.0, "accuracy": digits.percent(dense), "seconds": 0.0}]

    def timed(variant: str, sparsities: tuple[float, ...], make: Callable[[], list[torch.nn.Sequential]]) -> None:
        start = time.process_time()
        networks = make()
        seconds = time.process_time() - start
        rows.extend(
            {"seed": seed, "variant": variant, "sparsity": s, "accuracy": digits.percent(network), "seconds": seconds}
            for s, network in zip(sparsities, networks, strict=True)
        )

    def pruned(sparsity: float, **options: Any) -> list[torch.nn.Sequential]:
        spec = PruningSpec(sparsity=sparsity, samples=SAMPLES, **options)
        seeded = torch.Generator().manual_seed(seed)
        return [prune(dense, training, spec, milestones=UNMEASURED, generator=seeded).network]

    pruned(0.9, method="chita")  # once before the clock counts
    for sparsity in COMPARED:
        at = (sparsity,)
        timed("magnitude", at, lambda s=sparsity: pruned(s, method="magnitude"))  # type: ignore[misc]
        for term, name in ((True, "published settings"), (False, "published settings, e left out")):
            make = partial(reference, dense, training, sparsity, seed, gradient_term=term)
            timed(name, at, lambda make=make: [make()])  # type: ignore[misc]
        for options in variants(smoke=smoke):
            name = "chita" + "".join(f", {key if value is True else value}" for key, value in options.items())
            timed(name, at, lambda s=sparsity, o=options: pruned(s, method="chita", **o))  # type: ignore[misc]
    spec = PruningSpec(method="chita", sparsity=0.9, samples=SAMPLES)
    at_once = partial(prune_path, milestones=UNMEASURED, generator=torch.Generator().manual_seed(seed))
    timed("path", PATH, lambda: [pruned.network for pruned in at_once(dense, training, spec, PATH)])
    return rows


def variants(*, smoke: bool) -> list[dict[str, Any]]:
    """Options of CHITA that are compared."""
    options: list[dict[str, Any]] = [{}, {"rows": "fisher"}, {"rows": "fisher", "gradient_term": True}]
    options += [{"refinement": name} for name in (("none",) if smoke else ("none", "swap", "elimination"))]
    return options + [{"schedule": name, "stages": 2 if smoke else STAGES} for name in SCHEDULES]


def print_table(rows: list[dict[str, Any]]) -> None:
    """Mean accuracy with its largest distance over the seeds, and mean seconds."""
    print("| sparsity | method | accuracy, % | processor seconds |\n|---|---|---|---|")
    for sparsity, variant in sorted({(row["sparsity"], row["variant"]) for row in rows}):
        group = [row for row in rows if (row["sparsity"], row["variant"]) == (sparsity, variant)]
        hits = np.array([row["accuracy"] for row in group])
        seconds = np.mean([row["seconds"] for row in group])
        print(f"| {sparsity:.0%} | {variant} | {hits.mean():.1f} ({np.ptp(hits) / 2:.1f}) | {seconds:.2f} |")
    path = np.mean([row["seconds"] for row in rows if row["variant"] == "path"])
    single = np.mean([row["seconds"] for row in rows if row["variant"] == "chita" and row["sparsity"] == 0.9])
    print(f"\nA path of {len(PATH)} sparsities takes {path / single:.2f} times as long as one at 90 %.")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Accuracy and speed of CHITA on a classifier of digits.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how well")
    parser.add_argument("--seeds", type=int, nargs="+", help="by default three, six of the figure")
    parser.add_argument("--figure", type=Path, help="draw accuracy and time against samples to this SVG instead")
    parser.add_argument("--terms", action="store_true", help="compare with and without the gradient term instead")
    parser.add_argument("--ridges", action="store_true", help="compare fixed ridges instead")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    small = arguments.figure or arguments.terms or arguments.ridges
    seeds = (arguments.seeds or range(6 if small else 3))[: 1 if arguments.smoke else None]
    if small or arguments.smoke:
        compared, sizes = (
            (TERMS, (TERM_SAMPLES,)) if arguments.terms else (FIXED if arguments.ridges else VARIANTS, SIZES)
        )
        swept = measured(seeds, smoke=arguments.smoke, variants=compared, sizes=sizes)
        if arguments.figure:
            draw_samples(swept, arguments.figure)
        if small:
            print(json.dumps({"rows": swept})) if arguments.json else print_samples(swept)
            return
    rows = [row for seed in seeds for row in run(seed, smoke=arguments.smoke)]
    if arguments.json:
        print(json.dumps({"rows": rows}))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
