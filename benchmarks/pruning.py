"""All pruning methods side by side, before and after fine-tuning, at sparsities .5 to .99.

Three problems: an oversized seven-asset network, a Black-Scholes basket network, a classifier of digits. Per problem
and seed one dense network; every method prunes that same network. Methods that remove weights keep (1 - s) of them;
methods that remove nodes get the same budget of parameters, the biases of the dense network counted on both sides.
Methods that prune before or while they train start from the random network and train by the dense network's recipe.
"from scratch" is a dense network of at most as many parameters, trained directly on the same samples.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch

from benchmarks.cases.case import SMALL, BenchmarkCase
from benchmarks.cases.library import CASES
from benchmarks.cases.memory import peak_memory
from pricing.errors import InvalidSpec
from pruning.compact import compact
from pruning.driver.milestones import UNMEASURED
from pruning.errors import PruningError
from pruning.methods import METHODS
from pruning.prune import prune
from pruning.removal.masks import masks_of
from pruning.spec import DynamicSpec, PruningSpec
from surrogate.dataset import Dataset
from surrogate.errors import SurrogateError
from surrogate.functions.network import Network, initialise
from surrogate.learning.training import train
from surrogate.spec import Adam, TrainingSpec
from surrogate.standardisation import fit_standardisation, to_raw

SPARSITIES = (0.5, 0.7, 0.9, 0.95, 0.98, 0.99)
SAMPLES = 512
# Sobolev rows are one a derivative: as many rows in all as the others have.
SOBOLEV_SAMPLES = 64
# The others' problems are built by benchmarks of their own.
SMOKE_CASE = "seven_assets"

Row = dict[str, Any]


def variants(case: BenchmarkCase) -> dict[str, dict[str, Any]]:
    """What is compared: every method, and the ways of using some of them that the docs speak of."""
    compared: dict[str, dict[str, Any]] = {name: {"method": name} for name in METHODS}
    compared["chita, no refinement"] = {"method": "chita", "refinement": "none"}
    compared["chita, swap"] = {"method": "chita", "refinement": "swap"}
    compared["chita++, 15 stages"] = {"method": "chita", "stages": 15}
    compared["chita, gradual"] = {"method": "chita", "stages": 5, "schedule": "polynomial", "fine_tuning": True}
    compared["magnitude, gradual"] = {"method": "magnitude", "stages": 5, "schedule": "polynomial", "fine_tuning": True}
    compared["significance, gradual"] = {
        "method": "significance", "stages": 5, "schedule": "geometric", "fine_tuning": True
    }  # fmt: skip
    if case.dataset.gradient is not None:
        sobolev = {"rows": "sobolev", "samples": SOBOLEV_SAMPLES}
        compared["chita, sobolev rows"] = {"method": "chita", **sobolev}
        compared["chita++, sobolev rows"] = {"method": "chita", "stages": 15, **sobolev}
        compared["obs, sobolev rows"] = {"method": "obs", **sobolev}
        compared["significance, value delta gamma"] = {"method": "significance", "targets": ("value", "delta", "gamma")}
        compared["significance, affine"] = {"method": "significance", "enclosure": "affine"}
        compared["significance, mean fold"] = {"method": "significance", "fold": "mean"}
    return compared


def specification(case: BenchmarkCase, options: Mapping[str, Any], sparsity: float) -> PruningSpec:
    """The options of a variant at the budget of a sparsity."""
    chosen = {"samples": SAMPLES, **options}
    method = METHODS[chosen["method"]]
    if chosen.get("fine_tuning"):
        chosen["fine_tuning"] = case.fine_tuning
    if method.phase == "during":
        adam = next((o for o in case.training.optimisers if isinstance(o, Adam)), Adam(epochs=100, batch=128))
        chosen["dynamics"] = DynamicSpec(optimiser=adam, interval=100)
    if method.granularity == "weights":
        return PruningSpec(sparsity=sparsity, **chosen)
    return PruningSpec(parameters=budget(case, sparsity), **chosen)


def budget(case: BenchmarkCase, sparsity: float) -> int:
    """Parameters that are left at a sparsity: the kept weights and all biases."""
    weights = sum(weight.numel() for weight in case.dense.weights)
    return int((1.0 - sparsity) * weights + 1e-6) + sum(bias.numel() for bias in case.dense.biases)


def measure(case: BenchmarkCase, options: Mapping[str, Any], sparsity: float, seed: int) -> Row:
    """One pruning, judged before and after fine-tuning; what it refuses is recorded with its reason."""
    phase = METHODS[options["method"]].phase
    generator = torch.Generator().manual_seed(seed)
    try:
        spec = specification(case, options, sparsity)
        with peak_memory() as memory:
            start = time.process_time()
            given = case.dense if phase == "after" else case.start
            pruned = prune(given, case.dataset, spec, box=case.box, milestones=UNMEASURED, generator=generator)
            seconds = time.process_time() - start
    except (PruningError, SurrogateError, InvalidSpec) as error:
        return {"refused": str(error)}
    smaller = compact(pruned.network)
    recipe, samples = (case.training, case.dataset) if phase == "before" else tuning(case, smaller)
    tuned = train(smaller, samples, recipe, generator=generator, masks=masks_of(smaller)).network
    return {
        "seconds": seconds,
        "memory": memory.bytes,
        "parameters": smaller.parameters,
        "before": dict(case.score(pruned.network)) if phase != "before" else None,
        "after": dict(case.score(tuned)),
    }


def tuning(case: BenchmarkCase, network: Network) -> tuple[TrainingSpec, Dataset]:
    """How a pruned network is fine-tuned, and on what."""
    if network.parameters <= SMALL:
        return case.polish, case.few
    return case.fine_tuning, case.dataset


def from_scratch(case: BenchmarkCase, sparsity: float, seed: int) -> Row:
    """The widest network of two equal hidden layers within the budget, trained directly."""
    inputs, outputs = case.dense.widths[0], case.dense.widths[-1]
    limit, width = budget(case, sparsity), 0
    while parameters(inputs, width + 1, outputs) <= limit:
        width += 1
    if width == 0:
        return {"refused": f"no network of two hidden layers has {limit} parameters"}
    generator, start = torch.Generator().manual_seed(seed), time.process_time()
    fresh = initialise((inputs, width, width, outputs), case.dense.activation, generator=generator)
    given = to_raw(fresh, fit_standardisation(case.dataset.x, case.dataset.y))
    small = parameters(inputs, width, outputs) <= SMALL
    recipe, samples = (case.scratch, case.few) if small else (case.training, case.dataset)
    trained = train(given, samples, recipe, generator=generator).network
    return {
        "seconds": time.process_time() - start,
        "memory": None,
        "parameters": trained.parameters,
        "before": None,
        "after": dict(case.score(trained)),
    }


def parameters(inputs: int, width: int, outputs: int) -> int:
    """Of two equal hidden layers."""
    return (inputs + 1) * width + (width + 1) * width + (width + 1) * outputs


def run(name: str, seed: int, *, smoke: bool, chosen: tuple[str, ...]) -> list[Row]:
    """All rows of one problem and seed."""
    torch.set_num_threads(1)  # the same bits on any machine
    case = CASES[name](seed, smoke=smoke)
    sparsities = (0.9,) if smoke else SPARSITIES
    rows: list[Row] = [{"variant": "dense", "sparsity": 0.0, "parameters": case.dense.parameters}]
    rows[0] |= {"before": dict(case.score(case.dense)), "after": None, "seconds": 0.0, "memory": None}
    for variant, options in variants(case).items():
        if not chosen or variant in chosen:
            tiny = {"rounds": 2, "samples": 32} if smoke else {}
            for sparsity in sparsities:
                measured = measure(case, {**options, **tiny}, sparsity, seed)
                rows.append({"variant": variant, "sparsity": sparsity, **measured})
    rows += [{"variant": "from scratch", "sparsity": s, **from_scratch(case, s, seed)} for s in sparsities]
    return [{"case": case.name, "seed": seed, **row} for row in rows]


def cell(rows: list[Row], when: str, figure: str) -> str:
    """Mean over the seeds and, in brackets, its standard error; below 0 nothing is left."""
    values = [row[when][figure] for row in rows if row.get(when)]
    if not values or len(values) < len(rows):
        return "-"
    mean = float(np.mean(values))
    if mean < 0.0:
        return "< 0"
    error = float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else 0.0
    return f"{math.floor(mean * 1e5) / 1e5:.5f} (±{error:.0e})"


def print_tables(rows: list[Row]) -> None:
    """For every problem and figure: methods by sparsity before and after fine-tuning, then costs."""
    for case in dict.fromkeys(row["case"] for row in rows):
        chosen = [row for row in rows if row["case"] == case]
        dense = [row for row in chosen if row["variant"] == "dense"]
        for figure in dense[0]["before"]:
            for when in ("before", "after"):
                print(f"\n### {case}: {figure} {when} fine-tuning (dense {cell(dense, 'before', figure)})\n")
                print_grid(chosen, lambda group, when=when, figure=figure: cell(group, when, figure))
        print(f"\n### {case}: CPU seconds of pruning, median\n")
        print_grid(chosen, lambda group: median(group, "seconds", 1.0, "{:.3g}"))
        print(f"\n### {case}: peak memory of pruning, MB, median\n")
        print_grid(chosen, lambda group: median(group, "memory", 1e6, "{:.0f}"))


def print_grid(rows: list[Row], show: Any) -> None:
    """Variants down, sparsities across."""
    variants = [name for name in dict.fromkeys(row["variant"] for row in rows) if name != "dense"]
    sparsities = sorted({row["sparsity"] for row in rows} - {0.0})
    print("| method | " + " | ".join(f"{s:g}" for s in sparsities) + " |")
    print("|" + "---|" * (len(sparsities) + 1))
    for variant in variants:
        groups = [[row for row in rows if row["variant"] == variant and row["sparsity"] == s] for s in sparsities]
        cells = [show(group) for group in groups]
        if any(text != "-" for text in cells):
            print(f"| {variant} | " + " | ".join(cells) + " |")


def median(rows: list[Row], key: str, unit: float, form: str) -> str:
    """Of the seeds."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return form.format(float(np.median(values)) / unit) if values else "-"


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="Compare all pruning methods on three problems.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how well")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    parser.add_argument("--methods", nargs="+", default=[], help="names of variants; all by default")
    parser.add_argument("--workers", type=int, default=1, help="processes; one thread each")
    arguments = parser.parse_args()
    start = time.perf_counter()
    seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
    work = [(name, seed) for name in ([SMOKE_CASE] if arguments.smoke else arguments.cases) for seed in seeds]
    options = {"smoke": arguments.smoke, "chosen": tuple(arguments.methods)}
    if arguments.workers == 1:
        rows = [row for name, seed in work for row in run(name, seed, **options)]
    else:
        with ProcessPoolExecutor(arguments.workers, mp_context=get_context("spawn")) as pool:
            done = [pool.submit(run, name, seed, **options) for name, seed in work]
            rows = [row for future in done for row in future.result()]
    if arguments.json:
        print(json.dumps({"rows": rows, "seconds": time.perf_counter() - start}))
    else:
        print_tables(rows)


if __name__ == "__main__":
    main()
