"""The closed form that is taken off labels and added in the graph: how near it is, and what it costs when it is served.

For examples that have one: 1 - R2 of the formula alone against the independent reference at points of the Box, nodes of
the graph with and without it, and how much longer one row and 1,024 rows take in onnxruntime on one thread, with value,
delta and gamma; every round times both graphs, median of the rounds. The networks are random, of the examples'
sizes. What is learnt beside it: `benchmarks/products.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import onnx
import torch

from app.specification.build import BuildSpec
from app.specification.toml_files import read_build_spec
from pricing.draws import stream
from pricing.references.reference import reference
from pricing.types import Array
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import Network, initialise
from surrogate.reductions.choice import reduce
from surrogate.reductions.expressions import constant
from surrogate.reductions.reduction import Reduction, derivatives
from surrogate.runtime import Session, open_session

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("black_scholes_basket_7", "black_scholes_basket_50", "heston_call", "heston_basket")
SMOKE = "black_scholes_basket_7"
POINTS, BATCH, ROUNDS = 64, 1024, 30
OUTPUTS = ["value", "delta", "gamma"]


def network_for(spec: BuildSpec, reduction: Reduction | None) -> Network:
    """A random one of the example's size."""
    inputs = spec.pricing.box.dimension if reduction is None else reduction.box.dimension
    return initialise((inputs, *spec.network.hidden, 1), "silu", generator=torch.Generator().manual_seed(0))


def graph(spec: BuildSpec, *, controlled: bool) -> bytes:
    """The file, with the closed form or without."""
    reduction = reduce(spec.pricing, controlled=controlled)
    return to_onnx(network_for(spec, reduction), box=spec.pricing.box, metadata={}, reduction=reduction)


def alone(spec: BuildSpec, *, points: int, seed: int) -> dict[str, float]:
    """1 - R2 of the closed form by itself, gamma over whole Hessians of the spots."""
    problem, spots = spec.pricing, spec.pricing.box.columns("spot")
    reduction = reduce(problem)
    assert reduction is not None
    x = problem.box.from_uniforms(stream("control", seed=seed).random((points, problem.box.dimension)))
    exact = reference(problem, x, seed=seed)
    nothing = replace(reduction, amplitude=constant(0.0))
    value, slope, bend = derivatives(nothing, network_for(spec, reduction), torch.from_numpy(x))
    pairs = {
        "value": (value.numpy()[:, None], exact.value[:, None]),
        "delta": (slope.numpy()[:, spots], exact.gradient[:, spots]),
        "gamma": (bend.numpy()[:, spots, spots], exact.hessian[:, spots, spots]),
    }
    return {
        name: float(((mine - right) ** 2).sum() / ((right - right.mean(axis=0)) ** 2).sum())
        for name, (mine, right) in pairs.items()
    }


def seconds(session: Session, features: Array) -> float:
    """One call."""
    start = time.perf_counter()
    session.run(OUTPUTS, {"features": features})
    return time.perf_counter() - start


def measure(name: str, *, points: int, rounds: int, seed: int) -> dict[str, Any]:
    """One example."""
    spec = read_build_spec(EXAMPLES / f"{name}.toml")
    files = [graph(spec, controlled=controlled) for controlled in (True, False)]
    sessions = [open_session(file, threads=1) for file in files]
    row: dict[str, Any] = {"example": name, "nodes": [len(onnx.load_from_string(file).graph.node) for file in files]}
    box = spec.pricing.box
    for count in (1, BATCH):
        features = box.from_uniforms(stream("rows", seed=seed).random((count, box.dimension)))
        turns = [[seconds(session, features) for session in sessions] for _ in range(rounds + 1)][1:]
        row[f"{count} rows"] = float(np.median([with_it / without for with_it, without in turns]))
    return row | alone(spec, points=points, seed=seed)


def main() -> None:
    """Measure the examples."""
    parser = argparse.ArgumentParser(description="How near the closed form is, and what it costs when it is served.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="one example, few points, for CI: shows that it runs")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    names, points, rounds = ((SMOKE,), 4, 2) if given.smoke else (NAMES, POINTS, ROUNDS)
    rows = [measure(name, points=points, rounds=rounds, seed=given.seed) for name in names]
    if given.json:
        print(json.dumps({"rows": rows}))
        return
    print("| example | C alone: value | delta | gamma | nodes | without | times as long: 1 row | 1,024 rows |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        errors = " | ".join(f"{row[output]:.1e}" for output in OUTPUTS)
        more, fewer = row["nodes"]
        print(f"| {row['example']} | {errors} | {more} | {fewer} | {row['1 rows']:.1f} | {row[f'{BATCH} rows']:.1f} |")


if __name__ == "__main__":
    main()
