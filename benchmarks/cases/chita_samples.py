"""Accuracy and processor time of CHITA and M-FAC against the number of samples: figure 1 of the source talk.

The 64-40-20-10 ReLU classifier of scikit-learn's digits (`benchmarks.cases.library.digits`), at 90 % sparsity.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from benchmarks.cases.library import digits
from pruning.prune import prune
from pruning.spec import PruningSpec

SIZES, SPARSITY = (64, 256, 512, 1024), 0.9
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "chita": {"method": "chita"},
    "chita, no safeguard": {"method": "chita", "safeguard": False},
    "chita, no refinement": {"method": "chita", "refinement": "none"},
    "mfac": {"method": "mfac"},
}
# Fixed ridges, which nothing holds against the samples.
FIXED: Mapping[str, Mapping[str, Any]] = {
    f"chita, ridge {ridge:g}, no safeguard": {"method": "chita", "ridge": ridge, "safeguard": False}
    for ridge in (0.01, 0.1, 1.0, 10.0)
}
# What the gradient term e of b = A w - e is worth, and costs where it is left out, by rows and stages.
TERM_SAMPLES = 512
TERMS: Mapping[str, Mapping[str, Any]] = {
    f"{rows}, {'with e' if term else 'e left out'}, {stages} stage{'s' * (stages > 1)}": {
        "method": "chita", "rows": rows, "gradient_term": term, "stages": stages
    }
    for rows in ("gauss_newton", "fisher")
    for stages in (1, 15)
    for term in (True, False)
}  # fmt: skip
# The same figures give the same file.
SALT = "sobolite"

Row = dict[str, Any]


def measured(
    seeds: Sequence[int],
    *,
    smoke: bool,
    variants: Mapping[str, Mapping[str, Any]],
    sizes: Sequence[int],
) -> list[Row]:
    """A row for every seed, variant and number of samples: accuracy on held-out digits, processor seconds."""
    rows = list[Row]()
    for seed in seeds:
        case = digits(seed, smoke=smoke)
        for samples in sizes[:1] if smoke else sizes:
            for variant, options in variants.items():
                spec = PruningSpec(sparsity=SPARSITY, samples=samples, **options)
                start = time.process_time()
                pruned = prune(case.dense, case.dataset, spec, generator=torch.Generator().manual_seed(seed))
                seconds = time.process_time() - start
                accuracy = 100.0 * case.score(pruned.network)["accuracy"]
                row = {"seed": seed, "variant": variant, "samples": samples}
                rows.append({**row, "accuracy": accuracy, "seconds": seconds})
    return rows


def _of(rows: list[Row], variant: str, samples: int, key: str) -> list[float]:
    return [row[key] for row in rows if (row["variant"], row["samples"]) == (variant, samples)]


def print_samples(rows: list[Row]) -> None:
    """Medians over the seeds, in brackets the least and the largest accuracy."""
    sizes = sorted({row["samples"] for row in rows})
    print("| method | " + " | ".join(f"{size} samples" for size in sizes) + " |\n|" + "---|" * (len(sizes) + 1))
    for variant in dict.fromkeys(row["variant"] for row in rows):
        cells = []
        for size in sizes:
            hits, seconds = (_of(rows, variant, size, key) for key in ("accuracy", "seconds"))
            cells.append(f"{np.median(hits):.1f} ({min(hits):.1f} to {max(hits):.1f}), {np.median(seconds):.2f} s")
        print(f"| {variant} | " + " | ".join(cells) + " |")


def draw_samples(rows: list[Row], path: Path) -> None:
    """Medians with the range over the seeds: accuracy on the left, processor seconds on the right; an SVG."""
    sizes = sorted({row["samples"] for row in rows})
    with mpl.rc_context({"svg.hashsalt": SALT}):
        figure = Figure(figsize=(9.0, 3.6), layout="constrained")
        panels = figure.subplots(1, 2)
        for panel, key, label in zip(
            panels, ("accuracy", "seconds"), ("accuracy, %", "processor seconds"), strict=True
        ):
            for variant in VARIANTS:
                found = [_of(rows, variant, size, key) for size in sizes]
                middle = [float(np.median(values)) for values in found]
                below = [m - min(values) for m, values in zip(middle, found, strict=True)]
                above = [max(values) - m for m, values in zip(middle, found, strict=True)]
                panel.errorbar(sizes, middle, yerr=[below, above], marker="o", capsize=3, label=variant)
            panel.set(xscale="log", xlabel="samples", ylabel=label, xticks=sizes, xticklabels=map(str, sizes))
            panel.minorticks_off()
        panels[1].set_yscale("log")
        panels[0].legend()
        figure.savefig(path, format="svg", metadata={"Date": None})
