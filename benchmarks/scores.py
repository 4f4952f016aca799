"""Processor seconds of one round of scores, and of the whole step, on an untrained 7-128x6-1 network.

One thread, 1,024 samples, half of what the method removes. Methods that go in rounds are timed for one round. Methods
that hold all rows as a matrix are not listed: benchmarks/pruning.py and benchmarks/chita.py have their times.
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

from app.specification.toml_files import read_build_spec
from pricing.draws import stream
from pruning.driver.milestones import UNMEASURED
from pruning.methods import METHODS
from pruning.prune import prune
from pruning.spec import MethodName, PruningSpec
from surrogate.dataset import Dataset
from surrogate.evaluation.evaluate import reference
from surrogate.learning.training import draw
from surrogate.spec import NetworkSpec

EXAMPLE = Path(__file__).parent.parent / "examples" / "bachelier_basket_7.toml"
SAMPLES, REPEATS, HIDDEN = 1024, 5, (128,) * 6
TIMED: tuple[MethodName, ...] = (
    "magnitude",
    "salience",
    "salience_per_sample",
    "significance",
    "obd",
    "sipp",
    "sipp_random",
    "sipp_hybrid",
    "pfp",
    "pfp_top",
    "pfp_random",
    "alds",
    "snip",
    "snip_iterative",
    "grasp",
    "synflow",
    "ntk_sap",
    "ntk_sap_exact",
)


def measure(*, smoke: bool, seed: int) -> list[dict[str, Any]]:
    """Median processor seconds of every method."""
    problem, samples = read_build_spec(EXAMPLE).pricing, 64 if smoke else SAMPLES
    features = problem.box.from_uniforms(stream("scores", seed=seed).random((samples, 7)))
    exact = reference(problem, features)
    data = Dataset(
        x=torch.from_numpy(features), y=torch.from_numpy(exact.value), gradient=torch.from_numpy(exact.delta)
    )
    shape = NetworkSpec(hidden=(8, 8) if smoke else HIDDEN)
    network = draw(data, shape, generator=torch.Generator().manual_seed(seed))
    rows = []
    for name in TIMED:
        spec, seconds = PruningSpec(method=name, sparsity=0.5, samples=samples, rounds=1), []
        for _ in range(1 if smoke else REPEATS):
            start = time.process_time()
            prune(
                network,
                data,
                spec,
                box=problem.box,
                milestones=UNMEASURED,
                generator=torch.Generator().manual_seed(seed),
            )
            seconds.append(time.process_time() - start)
        rows.append({"method": name, "phase": METHODS[name].phase, "seconds": float(np.median(seconds))})
    return rows


def main() -> None:
    """Time the scores."""
    parser = argparse.ArgumentParser(description="Time one round of scores of every pruning method.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how fast")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    rows = measure(smoke=arguments.smoke, seed=arguments.seed)
    if arguments.json:
        print(json.dumps({"rows": rows}))
        return
    print("| method | processor seconds |\n|---|---|")
    for row in rows:
        print(f"| {row['method']} | {row['seconds']:.3f} |")


if __name__ == "__main__":
    main()
