"""How many numbers of a simulation to hold at once, and how many threads: seconds of labels by the size of a batch.

Labels of examples, fewer of them, as `pricing.monte_carlo` makes them: in batches whose tensors hold 2^18 numbers, as
once, by the rule of today (`pricing.specs.memory`), and by that with two threads. Every round times all three, one
after the other; seconds of the clock, median of the rounds, and ratios to today's on one thread. Run it on an idle
machine.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import torch
from msgspec.structs import replace

from app.pipeline.derived import canonical
from app.specification.toml_files import read_build_spec
from pricing import monte_carlo
from pricing.labels import make_labels
from pricing.sampling import sample_uniform
from pricing.specs.memory import batch_numbers

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = (
    "bachelier_basket_7",
    "black_scholes_basket_7",
    "asian_arithmetic",
    "barrier_discrete",
    "autocall_5",
    "bermudan_max_call_5",
    "heston_call",
    "heston_basket",
    "local_volatility_call",
)
SMOKE = NAMES[0]
ONCE = 1 << 18
REPLICATES = 2
SIZES, SMOKE_SIZES = ({"samples": 128, "paths": 1024, "rounds": 3}, {"samples": 16, "paths": 64, "rounds": 1})


def measure(name: str, *, samples: int, paths: int, rounds: int) -> dict[str, Any]:
    """Seconds of an example's labels in every way."""
    spec = read_build_spec(EXAMPLES / f"{name}.toml")
    problem = canonical(spec)
    paths = min(paths, spec.labels.paths)
    labels = replace(spec.labels, samples=samples, paths=paths, replicates=REPLICATES)
    features, taken = sample_uniform(problem.box, samples, seed=0), list[tuple[float, ...]]()

    def seconds(numbers: int, threads: int) -> float:
        began = time.perf_counter()
        with patch.object(monte_carlo, "batch_numbers", lambda *_: numbers):
            make_labels(problem, features, labels, seed=0, threads=threads)
        return time.perf_counter() - began

    today = batch_numbers(problem.process.facts, labels.order)
    make_labels(problem, features[:2], labels, seed=0)  # what is worked out once
    for _ in range(rounds):
        taken.append((seconds(ONCE, 1), seconds(today, 1), seconds(today, 2)))
    once, alone, together = (median(column) for column in zip(*taken, strict=True))
    return {"name": name, "order": labels.order, "once": once, "today": alone, "two_threads": together}


def main() -> None:
    """Time the examples."""
    parser = argparse.ArgumentParser(description="Seconds of labels by the size of a batch and threads.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="one example, few paths: shows that it runs, not how fast")
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME", help="examples to time")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = SMOKE_SIZES if arguments.smoke else SIZES
    rows = list[dict[str, Any]]()
    if not arguments.json:
        print("| labels | order | 2^18 numbers, s | today, s | two threads, s | 2^18 / today | today / two threads |")
        print("|---|---|---|---|---|---|---|")
    for name in [SMOKE] if arguments.smoke else arguments.only:
        rows.append(measure(name, **sizes))
        if not arguments.json:
            print(line(rows[-1]), flush=True)
    if arguments.json:
        print(json.dumps({"rows": rows}))


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    once, today, together = row["once"], row["today"], row["two_threads"]
    cells = [row["name"], str(row["order"]), *(f"{seconds:.2f}" for seconds in (once, today, together))]
    return "| " + " | ".join([*cells, f"{once / today:.1f}", f"{today / together:.1f}"]) + " |"


if __name__ == "__main__":
    main()
