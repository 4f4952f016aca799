"""NTK-SAP by its options: perturbation, rounds, draws, inputs, weights, as on the source talk's page.

A 64-40-20-10 ReLU classifier of digits and a 7-32-32-32-1 SiLU surrogate of the seven-asset basket, drawn at random,
pruned by NTK-SAP before training and then trained by the recipe of the dense network. The rows "initial", "before
pruning", "after pruning" and "final" are the milestones of the pruning report, held-out ones of samples that training
does not see. Beside the options: SynFlow, random weights, and no pruning.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch

from app.specification.toml_files import read_build_spec
from benchmarks.cases.case import BenchmarkCase
from benchmarks.cases.library import CASES, EXAMPLE
from pruning.driver.milestones import Milestones
from pruning.prune import prune
from pruning.spec import PruningSpec
from surrogate.artifact.sentences import MILESTONES
from surrogate.dataset import Dataset
from surrogate.evaluation.evaluate import reference

# At 0.98 NTK-SAP leaves the surrogate a gamma R2 below 0 (benchmarks/pruning.py).
SPARSITIES = {"digits": (0.9, 0.98), "seven_assets": (0.9,)}
# The last samples of a case are held out; digits have 1,200 to train on, the surrogate 1,024.
HELD_OUT = 0.2
# The page has 0.01, 0.02 and 3 and 7 iterations; ours are 20 by default.
VARIANTS: dict[str, dict[str, Any]] = {
    "ntk_sap": {},
    "epsilon 0.001": {"epsilon": 0.001},
    "epsilon 0.02": {"epsilon": 0.02},
    "epsilon 0.1": {"epsilon": 0.1},
    "epsilon 1": {"epsilon": 1.0},
    "1 round": {"rounds": 1},
    "3 rounds": {"rounds": 3},
    "7 rounds": {"rounds": 7},
    "100 rounds": {"rounds": 100},
    "5 draws": {"draws": 5},
    "new weights for every input": {"kernel_sharing": 1},
    "one set of weights a draw": {"kernel_sharing": 1024},
    "inputs from the data": {"kernel_inputs": "data"},
    "the given weights": {"kernel_weights": "given"},
    "the given weights on data": {"kernel_weights": "given", "kernel_inputs": "data"},
    "exact trace": {"method": "ntk_sap_exact"},
    "exact trace, given weights on data": {
        "method": "ntk_sap_exact",
        "kernel_weights": "given",
        "kernel_inputs": "data",
    },
    "synflow": {"method": "synflow"},
    "random": {"method": "random"},
}
# What is shown of each problem: name in the report, heading, factor, form.
SHOWN: dict[str, tuple[tuple[str, str, float, str], ...]] = {
    "digits": (
        ("loss", "training loss", 1.0, ".4f"),
        ("held_out_loss", "held-out loss", 1.0, ".4f"),
        ("held_out_top1", "top-1, %", 100.0, ".2f"),
        ("held_out_top5", "top-5, %", 100.0, ".2f"),
    ),
    "seven assets": (
        ("loss", "training loss", 1.0, ".1e"),
        ("held_out_loss", "held-out loss", 1.0, ".1e"),
        ("held_out_value_rmse", "value error", 1.0, ".1e"),
        ("held_out_delta_rmse", "delta error", 1.0, ".1e"),
        ("held_out_gamma_rmse", "gamma error", 1.0, ".1e"),
    ),
}

Row = dict[str, Any]


def split(case: BenchmarkCase, share: float) -> tuple[Dataset, Dataset]:
    """Samples to learn from, and samples to judge by, with the whole Hessian where a closed form knows it."""
    first = round((1.0 - share) * len(case.dataset))
    learnt, held_out = case.dataset.rows(slice(first)), case.dataset.rows(slice(first, None))
    if held_out.has_classes:
        return learnt, held_out
    gamma = torch.from_numpy(reference(read_build_spec(EXAMPLE).pricing, held_out.x.numpy()).gamma)
    axes = torch.eye(gamma.shape[1], dtype=gamma.dtype).expand_as(gamma)
    return learnt, replace(held_out, directions=axes, curvature=gamma)


def measure(case: BenchmarkCase, options: dict[str, Any], sparsity: float, seed: int) -> tuple[list[Row], float]:
    """The milestones of one run, and its processor seconds up to the first step of training."""
    learnt, held_out = split(case, HELD_OUT)
    spec = PruningSpec(
        sparsity=sparsity, samples=len(learnt), fine_tuning=case.training, **{"method": "ntk_sap", **options}
    )
    times = [time.process_time()]
    pruned = prune(
        case.start,
        learnt,
        spec,
        start=case.start,
        milestones=Milestones(held_out=held_out),
        generator=torch.Generator().manual_seed(seed),
        progress=lambda _: times.append(time.process_time()),
    )
    milestones: list[Row] = pruned.report["milestones"]
    return milestones, times[1] - times[0]


def run(name: str, seed: int, *, smoke: bool, chosen: Sequence[str]) -> list[Row]:
    """All rows of one problem and seed."""
    case, rows = CASES[name](seed, smoke=smoke), list[Row]()
    small = {"rounds": 2} if smoke else {}
    wanted = [("no pruning", {"method": "random"}, 0.0)]
    wanted += [
        (variant, options, sparsity)
        for sparsity in (SPARSITIES[name][:1] if smoke else SPARSITIES[name])
        for variant, options in VARIANTS.items()
        if not chosen or variant in chosen
    ]
    for variant, options, sparsity in wanted:
        milestones, seconds = measure(case, {**small, **options}, sparsity, seed)
        about = {"case": case.name, "seed": seed, "variant": variant, "sparsity": sparsity, "seconds": seconds}
        rows += [{**about, **milestone} for milestone in milestones]
    return rows


def cell(rows: Sequence[Row], name: str, factor: float, form: str) -> str:
    """Mean over seeds and its standard error."""
    numbers = [factor * row[name] for row in rows if row.get(name) is not None]
    if len(numbers) < len(rows):
        return "-"
    spread = float(np.std(numbers, ddof=1)) / math.sqrt(len(numbers)) if len(numbers) > 1 else 0.0
    return f"{np.mean(numbers):{form}} (±{spread:{form}})"


def print_tables(rows: Sequence[Row]) -> None:
    """For every problem the page's table of one run, then the final networks by option."""
    for case, columns in SHOWN.items():
        chosen = [row for row in rows if row["case"] == case]
        if not chosen:
            continue
        for sparsity in sorted({row["sparsity"] for row in chosen} - {0.0}):
            here = [row for row in chosen if row["sparsity"] == sparsity]
            print(f"\n### {case}, sparsity {sparsity:g}: one run\n")
            first = [row for row in here if row["variant"] == here[0]["variant"]]
            print_grid(first, "network", columns, MILESTONES)
            print(f"\n### {case}, sparsity {sparsity:g}: final networks\n")
            dense = [row for row in chosen if row["sparsity"] == 0.0]
            final = [row for row in (*here, *dense) if row["network"] == "final"]
            print_grid(final, "variant", (*columns, ("seconds", "s, without training", 1.0, ".2f")), {})


def print_grid(
    rows: Sequence[Row], by: str, columns: Sequence[tuple[str, str, float, str]], shown: dict[str, str]
) -> None:
    """A row for every value of ``by``."""
    print(f"| {by} | " + " | ".join(heading for _, heading, _, _ in columns) + " |")
    print("|" + "---|" * (len(columns) + 1))
    for key in dict.fromkeys(row[by] for row in rows):
        group = [row for row in rows if row[by] == key]
        print(f"| {shown.get(key, key)} | " + " | ".join(cell(group, n, f, form) for n, _, f, form in columns) + " |")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="NTK-SAP by its options.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how well")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cases", nargs="+", default=["digits", "seven_assets"], choices=["digits", "seven_assets"])
    parser.add_argument("--variants", nargs="+", default=[], help="some of them; all by default")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
    rows = [
        row
        for name in arguments.cases
        for seed in seeds
        for row in run(name, seed, smoke=arguments.smoke, chosen=arguments.variants)
    ]
    if arguments.json:
        print(json.dumps({"rows": rows}))
    else:
        print_tables(rows)


if __name__ == "__main__":
    main()
