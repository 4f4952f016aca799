"""The examples as a user builds them: R2 of every Greek against an independent reference, worst of three seeds.

Every example is built by the pipeline of `sobolite build` from Monte Carlo labels only. The reference is a closed form,
a Fourier, quadrature or PDE solution, or replicated Monte Carlo with error bars, whichever the product has; what the
truth would score against those error bars is a column of its own. Buckets, of 8 points or more, are those of terminal
standard deviations to the strike, trigger or barrier. Exit status 1 says that a target is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch
from msgspec import to_builtins
from msgspec.structs import replace

from app.pipeline.build import build
from app.specification.build import BuildSpec
from app.specification.smoke import smoke
from app.specification.toml_files import read_build_spec
from benchmarks.cases.clock import processor_seconds
from surrogate.artifact.sentences import show_r2
from surrogate.report.record import known
from surrogate.report.sources import SimulatedLabels

EXAMPLES = Path(__file__).parent.parent / "examples"
# Not products of their own: the same basket pruned, and one path a sample, which benchmarks/datasets.py judges.
OTHERS = ("bachelier_basket_7_pruned", "least_squares_basket_7")
SMOKE_EXAMPLE = "digital"
SEEDS = (0, 1, 2)
HEADLINES = ("value", "delta", "gamma")
BUCKETS = {"delta, worst bucket": "delta", "gamma, worst bucket": "gamma"}
# Least R2 of the worst seed; "parameters" and "seconds" are the most. By bucket where a trigger is near.
TRIGGER = {"delta, worst bucket": 0.999, "gamma, worst bucket": 0.99}
TARGETS: dict[str, dict[str, float]] = {
    "black_scholes_basket_7": {"value": 0.99999, "delta": 0.9999, "gamma": 0.999, "seconds": 120.0},
    "black_scholes_basket_50": {"gamma": 0.9999, "gamma, worst bucket": 0.999, "seconds": 600.0},
    "bachelier_parametric_7": {
        "value": 0.999999,
        "delta": 0.999999,
        "gamma": 0.9999,
        "volatility_scale": 0.9999,
        "theta": 0.9999,
        "parameters": 40.0,
    },
    "heston_basket": {"gamma": 0.9999},
    "heston_call": {
        "gamma": 0.9999,
        "gamma, worst bucket": 0.999,
        "initial_variance": 0.9995,
        "mean_reversion": 0.9995,
        "long_variance": 0.9995,
        "variance_volatility": 0.9995,
        "spot_variance_correlation": 0.9995,
    },
    "digital": TRIGGER,
    "barrier_down_out": TRIGGER,
    "barrier_discrete": TRIGGER | {"gamma, worst bucket": 0.9998},
    "worst_of_put": TRIGGER,
    "autocall_5": TRIGGER,
    "bermudan_max_call_5": {"delta": 0.9999, "gamma": 0.998},
}


def run(spec: BuildSpec) -> dict[str, Any]:
    """One build: its scores, its cost and how its labels and its reference were made."""
    with TemporaryDirectory() as folder:
        wall, processor = time.perf_counter(), processor_seconds()
        made = build(spec, Path(folder))
        seconds, spent = time.perf_counter() - wall, processor_seconds() - processor
    accuracy, labels = made.report.accuracy, made.report.labels
    assert isinstance(labels, SimulatedLabels)
    scores = {name: score.r2 for name, score in accuracy.outputs.items() if score.r2 is not None}
    regions = [*accuracy.buckets, *(accuracy.triggers or ())]
    for name, greek in BUCKETS.items():
        r2s = [r2 for region in regions if (r2 := region[greek].r2) is not None]
        if r2s:
            scores[name] = min(r2s)
    return {
        "seed": spec.seed,
        "parameters": made.manifest.network.parameters,
        "scores": scores,
        "estimator": (known(labels.estimator) or {}).get("kind"),
        "simulated_paths": labels.simulated_paths,
        "label_bias": labels.bias,
        "label_error": labels.standard_error,
        "reference": to_builtins(made.report.reference),
        "points": accuracy.samples,
        "seconds": seconds,
        "processor_seconds": spent,
    }


def summary(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The worst seed of every score, the median of the times, and which targets are missed."""
    names = {score: None for found in runs for score in found["scores"]}
    worst = {score: min(found["scores"][score] for found in runs if score in found["scores"]) for score in names}
    times = {part: float(np.median([found[part] for found in runs])) for part in ("seconds", "processor_seconds")}
    parameters = max(found["parameters"] for found in runs)
    most = {"parameters": parameters, "seconds": times["seconds"]}
    missed = [
        target
        for target, bound in TARGETS.get(name, {}).items()
        if not (most[target] <= bound if target in most else worst.get(target, -np.inf) >= bound)
    ]
    return {"product": name, "parameters": parameters, **times, "worst": worst, "missed": missed, "runs": runs}


def print_table(rows: list[dict[str, Any]]) -> None:
    """One row a product."""
    columns = [*HEADLINES, *BUCKETS]
    head = [
        "product",
        "parameters",
        *columns,
        "other Greeks",
        "bias of gamma labels",
        "error of delta labels",
        "reference",
        "gamma of the truth",
    ]
    print("| " + " | ".join([*head, "points", "processor s", "s"]) + " |")
    print("|" + "---|" * (len(head) + 3))
    for row in rows:
        worst, first = row["worst"], row["runs"][0]
        named = [f"{name} {show_r2(score)}" for name, score in worst.items() if name not in columns]
        error, perfect = first["label_error"].get("delta"), first["reference"]["perfect_r2"].get("gamma")
        cells = [
            row["product"],
            str(row["parameters"]),
            *(show_r2(worst[name]) if name in worst else "-" for name in columns),
            ", ".join(named) or "-",
            f"{first['label_bias']['relative_gamma']:.0e}",
            "-" if error is None else f"{error:.1e}",
            first["reference"]["kind"],
            "-" if perfect is None else show_r2(perfect),
            str(first["points"]),
            f"{row['processor_seconds']:.1f}",
            f"{row['seconds']:.1f}",
        ]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Build the examples."""
    known = sorted(path.stem for path in EXAMPLES.glob("*.toml") if path.stem not in OTHERS)
    parser = argparse.ArgumentParser(description="Accuracy of every example against an independent reference.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="one tiny build, for CI: shows that it runs, not how well")
    parser.add_argument("--products", nargs="+", choices=known, default=known, metavar="NAME", help="examples to build")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the same bits on any machine, and faster for networks this small
    rows = []
    for name in (SMOKE_EXAMPLE,) if arguments.smoke else arguments.products:
        spec = read_build_spec(EXAMPLES / f"{name}.toml")
        given = smoke(spec) if arguments.smoke else spec
        seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
        rows.append(summary(name, [run(replace(given, seed=seed)) for seed in seeds]))
    if arguments.json:
        print(json.dumps({"rows": rows, "targets": TARGETS}))
    else:
        print_table(rows)
    missed = {row["product"]: row["missed"] for row in rows if row["missed"]}
    if missed and not arguments.smoke:
        sys.exit("missed: " + "; ".join(f"{name}: {', '.join(parts)}" for name, parts in missed.items()))


if __name__ == "__main__":
    main()
