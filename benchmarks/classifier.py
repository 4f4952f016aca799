"""The tables of CHITA's talk in their form, on one classifier: single-stage, in stages, and gradually.

Per seed one dense 784-40-20-10 ReLU network of digits (`benchmarks.cases.large_digits`). Three tables:

- one-shot (the talk's table 1): magnitude, the brain surgeons, M-FAC, CHITA and CHITA++ (15 stages), nothing retrained;
- gradual (its tables 2 and 3): five stages with two epochs of Adam after each, the drop as a share of what was;
- stages: accuracy after every stage of CHITA++ along three schedules.

Medians over the seeds, in brackets half the distance of the least and the largest. Times are processor seconds.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch

from benchmarks.cases.large_digits import LargeDigits, large_digits
from pruning.driver.budget import budgets
from pruning.driver.cuts import cut_to
from pruning.driver.milestones import UNMEASURED
from pruning.driver.samples import draw_evidence, require_fit, standardisation_of
from pruning.driver.sequential import from_sequential, to_sequential
from pruning.driver.stages import Course
from pruning.driver.stages import run as walk
from pruning.prune import prune
from pruning.spec import PruningSpec, ScheduleName
from surrogate.dataset import as_dataset
from surrogate.spec import Adam, SobolevLoss, TrainingSpec

SAMPLES, STAGES = 1000, 15
ONE_SHOT = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)
GRADUAL = (0.75, 0.89, 0.9, 0.95, 0.98)
DEEP = 0.98
SCHEDULES: tuple[ScheduleName, ...] = ("exponential", "polynomial", "linear")
METHODS: Mapping[str, Mapping[str, Any]] = {
    "magnitude": {"method": "magnitude"},
    "woodfisher": {"method": "woodfisher"},
    "cbs": {"method": "cbs"},
    "obs": {"method": "obs"},
    "obs_greedy": {"method": "obs_greedy"},
    "mfac": {"method": "mfac"},
    "chita": {"method": "chita"},
    f"chita++, {STAGES} stages": {"method": "chita", "stages": STAGES},
}
GRADUALLY = ("magnitude", "woodfisher", "mfac", "chita")
FINE_TUNING = TrainingSpec(loss=SobolevLoss(order=0), optimisers=(Adam(epochs=2, batch=128, learning_rate=2e-3),))

Row = dict[str, Any]


def pruned(digits: LargeDigits, seed: int, **options: Any) -> torch.nn.Sequential:
    """The dense network after one call of `prune`."""
    spec = PruningSpec(samples=min(SAMPLES, len(digits.training[0])), **options)
    seeded = torch.Generator().manual_seed(seed)
    return prune(digits.dense, digits.training, spec, milestones=UNMEASURED, generator=seeded).network


def after_each_stage(digits: LargeDigits, seed: int, name: ScheduleName, stages: int) -> list[torch.nn.Sequential]:
    """The networks that the stages of CHITA++ leave: the loop of `prune`, with all of its stages kept."""
    spec = PruningSpec(method="chita", sparsity=DEEP, samples=SAMPLES, stages=stages, schedule=name)
    given, dataset = from_sequential(digits.dense).to(torch.float64), as_dataset(digits.training)
    seeded, standardisation = torch.Generator().manual_seed(seed), standardisation_of(dataset)
    domain = require_fit(given, dataset, spec, box=None, start=None)
    course = Course(
        look=lambda _: draw_evidence(dataset, standardisation, spec, domain=domain, generator=seeded),
        cut=cut_to,
        repair=lambda network, *_: (network, ()),
    )
    done = walk(given, budgets(given, spec), course, lambda _: None).stages
    return [to_sequential(stage.network.to(torch.float32), like=digits.dense) for stage in done]


def run(seed: int, *, smoke: bool, tables: Sequence[str]) -> list[Row]:
    """All rows of one seed."""
    digits = large_digits(seed, smoke=smoke)
    rows: list[Row] = []

    def record(table: str, variant: str, at: float | int, network: torch.nn.Sequential, since: float) -> None:
        row = {"table": table, "variant": variant, "at": at, "accuracy": digits.percent(network)}
        rows.append({"seed": seed, **row, "seconds": time.process_time() - since})

    record("dense", "dense", 0.0, digits.dense, time.process_time())
    if "one-shot" in tables:
        for variant, options in METHODS.items():
            for sparsity in ONE_SHOT[4:5] if smoke else ONE_SHOT:
                start = time.process_time()
                record("one-shot", variant, sparsity, pruned(digits, seed, sparsity=sparsity, **options), start)
    if "gradual" in tables:
        recipe = {"stages": 2 if smoke else 5, "schedule": "polynomial", "fine_tuning": FINE_TUNING}
        for variant in GRADUALLY:
            for sparsity in GRADUAL[-1:] if smoke else GRADUAL:
                start = time.process_time()
                network = pruned(digits, seed, sparsity=sparsity, **METHODS[variant], **recipe)
                record("gradual", variant, sparsity, network, start)
    if "stages" in tables:
        for name in SCHEDULES:
            start = time.process_time()
            for stage, network in enumerate(after_each_stage(digits, seed, name, 3 if smoke else STAGES), start=1):
                record("stages", name, stage, network, start)
    return rows


TITLES = {
    "one-shot": "One-shot, accuracy in %",
    "gradual": "Gradually, accuracy in % and the drop as a share of the dense accuracy",
    "stages": f"CHITA++ to {DEEP:.0%}, accuracy in % after each stage",
}


def print_tables(rows: list[Row]) -> None:
    """Variants down, sparsities or stages across."""
    dense = np.array([row["accuracy"] for row in rows if row["table"] == "dense"])
    print(f"dense: {np.median(dense):.2f} % ({np.ptp(dense) / 2:.2f}), {len(dense)} seeds")
    for table, title in TITLES.items():
        chosen = [row for row in rows if row["table"] == table]
        across = sorted({row["at"] for row in chosen})
        if chosen:
            last = "" if table == "stages" else f" seconds at {across[-1]:g} |"
            print(f"\n### {title}\n\n| | " + " | ".join(f"{at:g}" for at in across) + f" |{last}")
            print("|" + "---|" * (len(across) + (2 if last else 1)))
        for variant in dict.fromkeys(row["variant"] for row in chosen):
            groups = [[row for row in chosen if row["variant"] == variant and row["at"] == at] for at in across]
            cells = [cell(group, dense if table == "gradual" else None) for group in groups]
            seconds = "" if table == "stages" else f" {np.median([row['seconds'] for row in groups[-1]]):.2g} |"
            print(f"| {variant} | " + " | ".join(cells) + f" |{seconds}")


def cell(rows: list[Row], dense: Any = None) -> str:
    """The median and half of the range; with dense accuracies the relative drop too."""
    hits = np.array([row["accuracy"] for row in rows])
    drop = "" if dense is None else f", {np.median((hits - dense) / dense):+.1%}"
    return f"{np.median(hits):.1f} ({np.ptp(hits) / 2:.1f}){drop}"


def main() -> None:
    """Run the tables."""
    parser = argparse.ArgumentParser(description="CHITA's tables on a classifier of digits, with the other methods.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how well")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--tables", nargs="+", default=list(TITLES), choices=list(TITLES))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
    rows = [row for seed in seeds for row in run(seed, smoke=arguments.smoke, tables=arguments.tables)]
    if arguments.json:
        print(json.dumps({"rows": rows}))
    else:
        print_tables(rows)


if __name__ == "__main__":
    main()
