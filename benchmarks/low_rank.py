"""What ALDS saves at serving time: value, delta and gamma of a dense and a factorised 7-128x6-1 graph, in turns.

onnxruntime on one thread; every round times both graphs, and the ratio of a round is of neighbours, so that other load
on the machine hits both. Random weights: the layers' ranks are those that the budget leaves, whatever the accuracy.
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
from pruning.prune import prune
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import Network, initialise, value
from surrogate.runtime import Session, open_session

EXAMPLE = Path(__file__).parent.parent / "examples" / "bachelier_basket_7.toml"
SPARSITIES, BATCH, ROUNDS, SMOKE_ROUNDS = (0.5, 0.75, 0.9), 256, 100, 3


def session(network: Network) -> Session:
    """A one-thread session of the exported graph."""
    return open_session(to_onnx(network, box=read_build_spec(EXAMPLE).pricing.box, metadata={}), threads=1)


def seconds(run: Any, features: Any) -> float:
    """One call."""
    start = time.perf_counter()
    run.run(None, {"features": features})
    return time.perf_counter() - start


def measure(*, smoke: bool, seed: int) -> list[dict[str, Any]]:
    """Dense over factorised time, per sparsity."""
    box, rounds = read_build_spec(EXAMPLE).pricing.box, SMOKE_ROUNDS if smoke else ROUNDS
    widths = (7, *(16,) * 3, 1) if smoke else (7, *(128,) * 6, 1)
    dense = initialise(widths, "silu", generator=torch.Generator().manual_seed(seed))
    features = box.from_uniforms(stream("low_rank", seed=seed).random((BATCH, 7)))
    x = torch.from_numpy(features)
    data, first = Dataset(x=x, y=value(dense, x)), session(dense)
    rows = []
    for sparsity in SPARSITIES[:1] if smoke else SPARSITIES:
        spec = PruningSpec(method="alds", sparsity=sparsity)
        pruned = prune(dense, data, spec, generator=torch.Generator().manual_seed(seed)).network
        second = session(pruned)
        seconds(first, features), seconds(second, features)
        ratios = [seconds(first, features) / seconds(second, features) for _ in range(rounds)]
        low, middle, high = np.percentile(ratios, (25, 50, 75))
        rows.append({"sparsity": sparsity, "widths": pruned.widths, "ratio": middle, "quartiles": (low, high)})
    return rows


def main() -> None:
    """Time the graphs."""
    parser = argparse.ArgumentParser(description="Time graphs with low-rank layers against the dense one.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how fast")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rows = measure(smoke=arguments.smoke, seed=arguments.seed)
    if arguments.json:
        print(json.dumps({"rows": rows}))
        return
    print("| weights removed | dense time / factorised time (quartiles) | widths |\n|---|---|---|")
    for row in rows:
        low, high = row["quartiles"]
        widths = "-".join(map(str, row["widths"]))
        print(f"| {row['sparsity']:.0%} | {row['ratio']:.2f} ({low:.2f} to {high:.2f}) | {widths} |")


if __name__ == "__main__":
    main()
