"""CHITA's line search: two trial supports a step against the exact piecewise search, on random problems.

Gaussian rows, weights and small residuals; half of the problems have columns of lengths e^N(0, 1), as rows in raw
units have. Q, the objective, after one step from magnitude pruning, after the descent, fitted on its support, and after
either refinement of that: lower is better.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch

from pruning.quadratic.breakpoints import exact_step
from pruning.quadratic.chita import STEPS
from pruning.quadratic.line_search import at, descend, step
from pruning.quadratic.problem import Quadratic
from pruning.quadratic.refine import ROUNDS, eliminate, exchange
from pruning.quadratic.regression import back_solve
from pruning.spec import LineSearchName

PROBLEMS = 200
WEIGHTS, DAMPING, RESIDUAL = (12, 40), 0.1, 0.1
SEARCHES: tuple[LineSearchName, ...] = ("trial", "exact")
TAKES = {"trial": step, "exact": exact_step}
# Losses closer than this are the same solution.
SAME = 1e-9

Row = dict[str, Any]


def drawn(seed: int) -> tuple[Quadratic, int]:
    """A problem with a number of weights to keep, between a twentieth and a half of them."""
    generator = torch.Generator().manual_seed(seed)
    weights = int(torch.randint(*WEIGHTS, (1,), generator=generator))
    rows = max(2, int(weights * (0.2 + 1.3 * float(torch.rand(1, generator=generator)))))
    matrix = torch.randn(rows, weights, generator=generator, dtype=torch.float64)
    if seed % 2:
        matrix = matrix * torch.randn(weights, generator=generator, dtype=torch.float64).exp()
    problem = Quadratic(
        rows=matrix,
        anchor=torch.randn(weights, generator=generator, dtype=torch.float64),
        residual=RESIDUAL * torch.randn(rows, generator=generator, dtype=torch.float64),
        damping=DAMPING,
        sizes=[weights],
        priority=torch.zeros(weights, dtype=torch.float64),
    )
    return problem, max(2, int(weights * (0.05 + 0.45 * float(torch.rand(1, generator=generator)))))


def run(seed: int) -> Row:
    """Q of either search after one step, after the descent, fitted, and refined."""
    problem, count = drawn(seed)
    start = problem.threshold(problem.anchor, count)
    row: Row = {"seed": seed, "weights": len(start), "count": count, "start": problem.loss(start)}
    eliminated = problem.loss(eliminate(problem, problem.anchor, count, ROUNDS))
    for search in SEARCHES:
        row[f"{search}, one step"] = TAKES[search](problem, at(problem, start), count).loss
        began = time.process_time()
        near, _ = descend(problem, start, count, STEPS, take=TAKES[search])
        row[f"{search}, seconds"] = time.process_time() - began
        support = problem.support(near, count)
        fitted = back_solve(problem, support)
        row[f"{search}, descent"], row[f"{search}, fitted"] = problem.loss(near), problem.loss(fitted)
        row[f"{search}, elimination"] = min(eliminated, row[f"{search}, fitted"])
        row[f"{search}, swap"] = problem.loss(exchange(problem, support, fitted)[0])
    return row


def print_table(rows: list[Row]) -> None:
    """How often the trial search ends lower or higher, and by how much in the median."""
    falls = np.array(
        [(row["start"] - row["trial, one step"]) / (row["start"] - row["exact, one step"]) for row in rows]
    )
    print(f"One step: median {np.median(falls):.1%}, least {falls.min():.1%} of the exact decrease.\n")
    print(
        "| Q after | trial lower | same | exact lower | trial / exact: median | 10 % | 90 % |\n"
        "|---|---|---|---|---|---|---|"
    )
    for name in ("one step", "descent", "fitted", "elimination", "swap"):
        ratio = np.array([row[f"trial, {name}"] / row[f"exact, {name}"] for row in rows])
        lower, higher = (ratio < 1.0 - SAME).mean(), (ratio > 1.0 + SAME).mean()
        low, middle, high = np.quantile(ratio, (0.1, 0.5, 0.9))
        print(
            f"| {name} | {lower:.0%} | {1 - lower - higher:.0%} | {higher:.0%} | "
            f"{middle:.4f} | {low:.3f} | {high:.3f} |"
        )
    seconds = [sum(row[f"{search}, seconds"] for row in rows) for search in SEARCHES]
    print(f"\nThe exact descent takes {seconds[1] / seconds[0]:.1f} times as long.")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Trial and exact line search of CHITA on random problems.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="few problems, for CI: shows that it runs, not how well")
    parser.add_argument("--problems", type=int, default=PROBLEMS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = [run(seed) for seed in range(4 if arguments.smoke else arguments.problems)]
    if arguments.json:
        print(json.dumps({"rows": rows}))
    else:
        print_table(rows)


if __name__ == "__main__":
    main()
