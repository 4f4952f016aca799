"""Every pruning method at equal sparsity, without fine-tuning: what each leaves of value, delta and gamma.

Per seed one dense 7-32-32-1 SiLU network, fitted to closed-form values and deltas of the seven-asset basket call (no
simulation: what is compared is the pruning, not the labels); every method prunes that same network once. Methods that
remove weights are compared at equal shares of weights, methods that remove nodes at equal shares of nodes.
Uniform test points in the Box, the closed form judges.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from app.spec import read_build_spec
from pricing.draws import stream
from pricing.spec import PricingProblem
from pruning.methods import METHODS
from pruning.prune import prune
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset
from surrogate.evaluation import accuracy, predict, reference
from surrogate.network import Network
from surrogate.spec import LBFGS, NetworkSpec, SobolevLoss, TrainingSpec
from surrogate.training import fit

EXAMPLE = Path(__file__).parent.parent / "examples" / "bachelier_basket_7.toml"
WEIGHT_SPARSITIES = (0.3, 0.5, 0.7, 0.8, 0.9)
NODE_SPARSITIES = (0.1, 0.3, 0.5, 0.7)
TRAINING_SAMPLES, TEST_SAMPLES = 1024, 16_384
GREEKS = ("value", "delta", "gamma")

Variant = dict[str, Any]


def variants(granularity: str) -> dict[str, Variant]:
    """What is compared: every method of a granularity with its options."""
    found: dict[str, Variant] = {
        name: {"method": name} for name, method in METHODS.items() if method.granularity == granularity
    }
    if granularity == "weights":
        found["chita, sobolev rows"] = {"method": "chita", "rows": "sobolev", "samples": 256}
        found["chita, fisher rows"] = {"method": "chita", "rows": "fisher"}
    else:
        found["significance, mean folded"] = {"method": "significance", "fold": "mean"}
    return found


def labelled(problem: PricingProblem, samples: int, *, seed: int, name: str) -> Dataset:
    """Uniform features with closed-form value and delta."""
    features = problem.box.from_uniforms(stream(name, seed=seed).random((samples, problem.box.dimension)))
    exact = reference(problem, features)
    return Dataset(
        x=torch.from_numpy(features), y=torch.from_numpy(exact.value), gradient=torch.from_numpy(exact.delta)
    )


def score(network: Network, problem: PricingProblem, test: Dataset) -> dict[str, float]:
    """RMSE and R2 of every Greek."""
    features = test.x.numpy()
    found = accuracy(predict(network, features), reference(problem, features))
    return {f"{greek}_{key}": found[greek][key] for greek in GREEKS for key in ("rmse", "r2")}


def run(seed: int, *, smoke: bool) -> list[dict[str, Any]]:
    """All rows of one seed."""
    problem = read_build_spec(EXAMPLE).problem
    training = labelled(problem, 128 if smoke else TRAINING_SAMPLES, seed=seed, name="one_shot/training")
    test = labelled(problem, 256 if smoke else TEST_SAMPLES, seed=seed, name="one_shot/test")
    recipe = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=5 if smoke else 200),))
    shape = NetworkSpec(hidden=(8, 8) if smoke else (32, 32))
    dense = fit(training, shape, recipe, generator=torch.Generator().manual_seed(seed)).network
    rows = [{"variant": "dense", "granularity": "", "sparsity": 0.0, "seed": seed, **score(dense, problem, test)}]
    for granularity, sparsities in (("weights", WEIGHT_SPARSITIES), ("nodes", NODE_SPARSITIES)):
        for name, options in variants(granularity).items():
            for sparsity in sparsities:
                spec = PruningSpec(sparsity=sparsity, **options)
                start = time.perf_counter()
                generator = torch.Generator().manual_seed(seed)
                pruned = prune(dense, training, spec, box=problem.box, generator=generator)
                rows.append(
                    {
                        "variant": name,
                        "granularity": granularity,
                        "sparsity": sparsity,
                        "seed": seed,
                        "seconds": time.perf_counter() - start,
                        "bound": pruned.report["bound"],
                        **score(pruned.network, problem, test),
                    }
                )
    return rows


def cell(rows: list[dict[str, Any]], key: str) -> str:
    """Mean over the seeds and, in brackets, the largest distance from it."""
    values = np.array([row[key] for row in rows])
    if key.endswith("rmse"):
        return f"{values.mean():.1e} ({np.abs(values - values.mean()).max():.0e})"
    return f"{values.mean():.4f} ({np.abs(values - values.mean()).max():.0e})"


def print_table(rows: list[dict[str, Any]], granularity: str) -> None:
    """RMSE and R2 of value, delta and gamma for every variant and sparsity."""
    keys = [f"{greek}_{kind}" for greek in GREEKS for kind in ("rmse", "r2")]
    print(f"\n| {granularity} removed | method | " + " | ".join(key.replace("_", " ") for key in keys) + " | bound |")
    print("|" + "---|" * (len(keys) + 3))
    chosen = [row for row in rows if row["granularity"] in ("", granularity)]
    for sparsity in sorted({row["sparsity"] for row in chosen}):
        for name in dict.fromkeys(row["variant"] for row in chosen if row["sparsity"] == sparsity):
            group = [row for row in chosen if row["variant"] == name and row["sparsity"] == sparsity]
            bounds = [row["bound"] for row in group if row.get("bound") is not None]
            cells = [f"{sparsity:.0%}", name, *(cell(group, key) for key in keys)]
            print("| " + " | ".join(cells) + f" | {f'{np.mean(bounds):.2f}' if bounds else '-'} |")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Compare pruning methods at equal sparsity without fine-tuning.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how well")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the same bits on any machine
    start = time.perf_counter()
    seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
    rows = [row for seed in seeds for row in run(seed, smoke=arguments.smoke)]
    if arguments.json:
        print(json.dumps({"rows": rows, "seconds": time.perf_counter() - start}))
    else:
        for granularity in ("weights", "nodes"):
            print_table(rows, granularity)


if __name__ == "__main__":
    main()
