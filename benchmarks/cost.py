"""What jobs are estimated to take, against what they take: the examples, and specifications made for this.

Every step runs as a worker runs it, in a process of its own, whose processor seconds and largest resident memory the
system tells (`wait4`). The estimate is `app.cost`, which refuses submissions and says what a build will take. A ratio
above 1 is an estimate too large. The target is a factor of three either way, in seconds and in memory. Of jobs that end
early because they have converged the estimate is that of the whole.

Constants of `app.cost` come from here: after a change of what is counted run it on an idle machine.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

from app.cost.job import Named, cost_of
from app.pipeline.facts import order_of
from app.pipeline.folder import JobFolder
from app.pipeline.plan import plan
from app.specification.build import BuildSpec
from app.specification.smoke import smoke
from app.specification.toml_files import read_build_spec
from pricing.specs.base import dump, load

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
SMOKE_EXAMPLE = "digital"
# What is changed of which example, for sizes and methods that no example has.
LM = {"kind": "levenberg_marquardt"}
ADAM = {"kind": "adam", "epochs": 20}
WIDE = {"network": {"hidden": [128, 128]}, "training": {"loss": {"order": 1}, "optimisers": [ADAM]}}


def on_assets(count: int) -> dict[str, Any]:
    """What is changed of a basket to be one of so many assets, in a build that is short but for what judges it."""
    correlation = [[1.0 if i == j else 0.5 for j in range(count)] for i in range(count)]
    process = {"kind": "black_scholes", "volatilities": [0.2] * count, "correlation": correlation, "rate": 0.02}
    spot = {"name": "spot", "lower": [0.5] * count, "upper": [1.5] * count}
    payoff = {"kind": "call", "weights": [1.0 / count] * count, "strike": 1.0}
    problem = {"process": process, "payoff": payoff, "maturity": 1.0, "features": [spot]}
    short = {"samples": 256, "paths": 64, "order": 1, "sampler": {"kind": "uniform"}}
    return {"problem": problem, "labels": short, "training": WIDE["training"]}


GENERATED: dict[str, tuple[str, dict[str, Any]]] = {
    "wide network": ("bachelier_basket_7", {"network": {"hidden": [512, 512]}, "training": WIDE["training"]}),
    "deep network": ("bachelier_basket_7", {"network": {"hidden": [64] * 8}, "training": WIDE["training"]}),
    "curvature by adam": ("heston_call", {"training": {"loss": {"order": 2}, "optimisers": [ADAM]}}),
    "many samples": ("bachelier_basket_7", {"labels": {"samples": 1 << 16, "paths": 16, "order": 1}, **WIDE}),
    "many points": ("digital", {"evaluation": {"samples": 1 << 18}}),
    "fifty assets": ("black_scholes_basket_7", on_assets(50)),
    "a hundred assets": ("black_scholes_basket_7", on_assets(100)),
    "l-bfgs": ("digital", {"training": {"optimisers": [{"kind": "lbfgs", "iterations": 500}]}}),
    "chita": ("bachelier_basket_7", {**WIDE, "pruning": {"method": "chita", "sparsity": 0.8, "stages": 4}}),
    "obs": ("bachelier_basket_7", {**WIDE, "pruning": {"method": "obs", "sparsity": 0.8, "samples": 512}}),
    "significance": (
        "bachelier_basket_7",
        {**WIDE, "pruning": {"method": "significance", "sparsity": 0.5, "splits": 64}},
    ),
    "sipp": ("bachelier_basket_7", {**WIDE, "pruning": {"method": "sipp", "sparsity": 0.8}}),
    "ntk_sap": ("bachelier_basket_7", {**WIDE, "pruning": {"method": "ntk_sap", "sparsity": 0.8}}),
    "rigl": ("bachelier_basket_7", {**WIDE, "pruning": {"method": "rigl", "sparsity": 0.8}}),
    "alds": ("bachelier_basket_7", {**WIDE, "pruning": {"method": "alds", "sparsity": 0.5}}),
}


def specifications(names: list[str]) -> Iterator[tuple[str, BuildSpec]]:
    """Examples by the name of their file, generated ones by their own."""
    for name in names:
        if name not in GENERATED:
            yield name, read_build_spec(EXAMPLES / f"{name}.toml")
            continue
        example, changes = GENERATED[name]
        plain = dump(read_build_spec(EXAMPLES / f"{example}.toml"))
        for field, change in changes.items():
            plain[field] = {**plain[field], **change} if field in ("labels", "evaluation") else change
        yield name, load(BuildSpec, plain)


def measure(spec: BuildSpec) -> dict[str, Any]:
    """Processor seconds of every step, the largest resident memory of any, and the size of the job's folder."""
    seconds, peak = dict[str, float](), 0
    with TemporaryDirectory() as folder:
        JobFolder(Path(folder)).begin(order_of(spec))
        for step in plan(spec)[:-1]:
            command = [sys.executable, "-P", "-m", "app.jobs.child", folder, step]
            environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
            # The step ends with its stdin, which nobody closes before it is waited for.
            child = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            if child.returncode:
                raise SystemExit(f"step {step} of {spec.name} ended with exit code {child.returncode}")
            seconds[step] = usage.ru_utime + usage.ru_stime
            peak = max(peak, usage.ru_maxrss << 10)
        size = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    return {"seconds": sum(seconds.values()), "memory_bytes": peak, "disk_bytes": size, "steps": seconds}


def compared(name: str, spec: BuildSpec) -> dict[str, Any]:
    """One specification: what it was estimated at, what it took, and their ratios."""
    estimate, taken = cost_of(spec, spec, Named()).estimate, measure(spec)
    estimated = {"seconds": estimate.seconds, "memory_bytes": estimate.memory_bytes, "disk_bytes": estimate.disk_bytes}
    ratios = {field: estimated[field] / taken[field] for field in ("seconds", "memory_bytes")}
    return {"name": name, "estimated": estimated, "taken": taken, "ratios": ratios}


def spread(ratios: list[float]) -> dict[str, float]:
    """The median ratio, and the one furthest from 1 either way."""
    return {"median": median(ratios), "worst": max(ratios, key=lambda ratio: abs(math.log(ratio)))}


def main() -> None:
    """Run the specifications."""
    known = [*sorted(path.stem for path in EXAMPLES.glob("*.toml")), *GENERATED]
    parser = argparse.ArgumentParser(description="Estimated against measured seconds and memory of jobs.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="one tiny build, for CI: shows that it runs, not how well")
    parser.add_argument("--only", nargs="+", choices=known, default=known, metavar="NAME", help="specifications to run")
    arguments = parser.parse_args()
    chosen = [SMOKE_EXAMPLE] if arguments.smoke else arguments.only
    rows = list[dict[str, Any]]()
    if not arguments.json:
        print("| specification | estimated s | taken s | ratio | estimated MiB | taken MiB | ratio |")
        print("|---|---|---|---|---|---|---|")
    for name, spec in specifications(chosen):
        rows.append(compared(name, smoke(spec) if arguments.smoke else spec))
        if not arguments.json:
            print(line(rows[-1]), flush=True)
    summary = {field: spread([row["ratios"][field] for row in rows]) for field in ("seconds", "memory_bytes")}
    if arguments.json:
        print(json.dumps({"rows": rows, "ratios": summary}))
        return
    for field, ratios in summary.items():
        print(f"{field}: estimated over taken {ratios['median']:.2f} in the median, {ratios['worst']:.2f} at worst")


def line(row: dict[str, Any]) -> str:
    """A row of the table."""
    estimated, taken, ratios = row["estimated"], row["taken"], row["ratios"]
    cells = [
        row["name"],
        f"{estimated['seconds']:.0f}",
        f"{taken['seconds']:.0f}",
        f"{ratios['seconds']:.2f}",
        f"{estimated['memory_bytes'] / (1 << 20):.0f}",
        f"{taken['memory_bytes'] / (1 << 20):.0f}",
        f"{ratios['memory_bytes']:.2f}",
    ]
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
