"""What a retrain from the weights of a version saves: seconds, and the label paths that its accuracy takes.

A version is built, its market moves a little, and it is trained again from its weights and from scratch, with all of
the label paths and with a share of them. Errors are 1 - R2 against the reference, the worst of the seeds; processor
seconds are medians, of training alone and of the whole job with labels, certificate, evaluation and export.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch
from msgspec.structs import replace

from app.pipeline.build import build
from app.registry.registry import Registry
from app.specification.build import BuildSpec
from app.specification.retrain_job import RetrainJobSpec
from app.specification.smoke import smoke
from app.specification.toml_files import read_build_spec
from surrogate.artifact.files import Artifact

EXAMPLES = Path(__file__).parent.parent / "examples"
SEEDS = (0, 1, 2)
# Shares of the label paths.
PATHS = (1.0, 0.25, 0.0625)
OUTPUTS = ("value", "delta", "gamma")


def moves(spec: BuildSpec) -> dict[str, dict[str, Any]]:
    """Small moves of the market by name: volatilities up by 5 %, the rate by 50 basis points, correlations by .05."""
    process = spec.pricing.process
    correlation = np.array(process.correlation)
    nearer = (1.0 - 0.05) * correlation + 0.05  # towards one driver for all, which keeps it positive definite
    changes: dict[str, dict[str, Any]] = {
        "volatility": {"problem.process.volatilities": [1.05 * sigma for sigma in process.parameters["volatility"]]},
        "correlation": {"problem.process.correlation": nearer.tolist()},
    }
    if process.rate:
        changes["rate"] = {"problem.process.rate": process.rate + 0.005}
    return changes


def fewer_paths(spec: BuildSpec, share: float) -> dict[str, Any]:
    """The change that leaves a share of the label paths."""
    paths = max(1, round(share * spec.labels.paths))
    return {"labels.paths": paths, "labels.draws.pilot": min(spec.labels.draws.pilot, paths)}


def timed(spec: BuildSpec | RetrainJobSpec, registry: Registry) -> tuple[Artifact, dict[str, float]]:
    """What a job makes, and the seconds of its steps and of all of it."""
    seconds, begun = dict[str, float](), time.process_time()
    step, since = "", begun

    def tell(name: str, _: float) -> None:
        nonlocal step, since
        if name != step:
            now = time.process_time()
            seconds[step] = now - since
            step, since = name, now

    with TemporaryDirectory() as folder:
        made = build(spec, Path(folder), tell, registry=registry.root)
    seconds[step] = time.process_time() - since
    return made, {"training": seconds["train"], "job": time.process_time() - begun}


def errors(made: Artifact) -> dict[str, float]:
    """1 - R2 by output."""
    scores = made.report.accuracy
    return {output: 1.0 - r2 for output in OUTPUTS if (r2 := scores[output].r2) is not None}


def measure(spec: BuildSpec, seeds: tuple[int, ...], shares: tuple[float, ...]) -> list[dict[str, Any]]:
    """A row for every move, start and share of the label paths."""
    runs: dict[tuple[str, str, float], list[dict[str, float]]] = {}
    for seed in seeds:
        with TemporaryDirectory() as root:
            registry = Registry(Path(root))
            version = replace(spec, seed=seed)
            registry.publish(spec.name, timed(version, registry)[0], job_id="parent")
            for move, changes in moves(version).items():
                for share in shares:
                    for start in ("weights", "scratch"):
                        asked = changes | fewer_paths(version, share)
                        job = RetrainJobSpec(model=spec.name, version=1, changes=asked, start=start)
                        made, seconds = timed(job, registry)
                        runs.setdefault((move, start, share), []).append(seconds | errors(made))
            registry.close()
    return [row(*case, found) for case, found in runs.items()]


def row(move: str, start: str, share: float, runs: list[dict[str, float]]) -> dict[str, Any]:
    """Median seconds and the worst errors of the seeds."""
    return {
        "move": move,
        "start": start,
        "paths": share,
        **{name: median(run[name] for run in runs) for name in ("training", "job")},
        **{output: max(run[output] for run in runs) for output in OUTPUTS if output in runs[0]},
        "least_training": min(run["training"] for run in runs),
        "most_training": max(run["training"] for run in runs),
    }


def show(name: str, rows: list[dict[str, Any]]) -> None:
    """The table in Markdown."""
    print(f"### {name}\n")
    print("| move | start | label paths | training, s | whole job, s | value | delta | gamma |")
    print("|---|---|---|---|---|---|---|---|")
    for found in rows:
        scores = " | ".join(f"{found[output]:.1e}" if output in found else "-" for output in OUTPUTS)
        spread = f"{found['training']:.2f} ({found['least_training']:.2f} to {found['most_training']:.2f})"
        print(f"| {found['move']} | {found['start']} | {found['paths']:g} | {spread} | {found['job']:.2f} | {scores} |")
    print()


def main() -> None:
    """Build, move, train again."""
    parser = argparse.ArgumentParser(description="Retraining after small moves of the market, from weights or scratch.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="tiny builds, for CI: shows that it runs, not how well")
    parser.add_argument("--examples", nargs="+", default=["bachelier_basket_7", "black_scholes_basket_7"])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    tables = {}
    for name in given.examples[:1] if given.smoke else given.examples:
        spec = read_build_spec(EXAMPLES / f"{name}.toml")
        if given.smoke:
            tables[name] = measure(smoke(spec), (0,), (1.0,))
        else:
            tables[name] = measure(spec, tuple(given.seeds), PATHS)
    if given.json:
        print(json.dumps(tables))
        return
    for name, rows in tables.items():
        show(name, rows)


if __name__ == "__main__":
    main()
