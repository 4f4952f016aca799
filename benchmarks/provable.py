"""PFP and SiPP beside their theorem, layer budgets by accuracy or alike, and what else makes a node count.

A 64-40-20-10 ReLU classifier of digits and a 7-32-32-32-1 SiLU surrogate of the seven-asset basket, both trained. First
the relative error eps of the outputs, with a chance of delta, that the sample bound is asked for, against what it keeps
for it and against the error that is measured. Then nodes cut to the same budgets: by PFP with one accuracy for all
layers and with the same share of each, and by rows of the 1-norm, 2-norm and ThiNet's score, before and after
fine-tuning.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import matplotlib as mpl
import numpy as np
import torch

from benchmarks.cases.case import BenchmarkCase
from benchmarks.cases.library import CASES
from benchmarks.pruning import cell, measure, specification
from pruning.driver.milestones import UNMEASURED
from pruning.driver.samples import draw_evidence, standardisation_of
from pruning.layerwise.guarantee import guarantee
from pruning.layerwise.pfp import count_at, draws
from pruning.layerwise.sensitivity import sensitivities
from pruning.prune import prune
from pruning.spec import PruningSpec
from surrogate.standardisation import to_normalised

mpl.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parent.parent
PROMISED: Mapping[str, str] = {"pfp_random": "nodes", "sipp_random": "weights"}
FAILURE = 0.1
# A half is what somebody may ask for; the others find out where the bound lets go.
ASKED = tuple(10.0**k for k in range(-2, 11))
SHOWN = (0.1, 0.5)
LET_GO = (0.99, 0.5, 0.1)
SAMPLES = 512
SPARSITIES = (0.5, 0.7, 0.9)
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "pfp, one accuracy": {"method": "pfp"},
    "pfp, the same share": {"method": "pfp", "allocation": "uniform"},
    "row, 2-norm": {"method": "magnitude_neuron"},
    "row, 1-norm": {"method": "magnitude_neuron", "importance": "l1"},
    "thinet": {"method": "magnitude_neuron", "importance": "thinet"},
    "significance": {"method": "significance"},
    "random nodes": {"method": "random_neuron"},
}
FIGURES: Mapping[str, str] = {"digits": "accuracy", "seven assets": "gamma R2"}

Row = dict[str, Any]


def layers(case: BenchmarkCase, seed: int) -> list[Row]:
    """Layer by layer what the bound asks of PFP for eps = 0.5."""
    spec = PruningSpec(method="pfp_random", relative_error=0.5, failure=FAILURE, samples=SAMPLES)
    scaling, generator = standardisation_of(case.dataset), torch.Generator().manual_seed(seed)
    evidence = draw_evidence(case.dataset, scaling, spec, domain=None, generator=generator)
    network = to_normalised(case.dense, scaling)
    scores = [layer.amax(dim=0) for layer in sensitivities(network, evidence)]
    promised = guarantee(network, evidence, sampled=len(scores) - 1)
    assert promised is not None
    return [
        {
            "kind": "layer",
            "layer": layer,
            "nodes": len(score),
            "sensitivity": float(score.sum()),
            "propagation": promised.propagation[layer],
            "accuracy": promised.accuracies[layer],
            "draws": draws(score, promised.accuracies[layer], promised.failure),
            "kept": count_at(score, promised.accuracies[layer], promised.failure),
        }
        for layer, score in enumerate(scores)
        if layer > 0
    ]


def promises(case: BenchmarkCase, seed: int, asked: Sequence[float]) -> list[Row]:
    """What is kept for every eps, and the error that there is."""
    rows = []
    for method in PROMISED:
        for error in asked:
            spec = PruningSpec(method=method, relative_error=error, failure=FAILURE, samples=SAMPLES)  # type: ignore[arg-type]
            report = prune(case.dense, case.dataset, spec, generator=torch.Generator().manual_seed(seed)).report
            stage = report["stages"][0]
            rows.append(
                {
                    "kind": "promise",
                    "method": method,
                    "asked": error,
                    "kept": stage["kept"] / stage["budget"],
                    "measured": report["relative_error"]["measured"],
                }
            )
    return rows


def cuts(case: BenchmarkCase, seed: int, sparsities: Sequence[float]) -> list[Row]:
    """Every variant at every budget, its widths and figures."""
    rows = []
    for variant, options in VARIANTS.items():
        for sparsity in sparsities:
            options = {**options, "fold": "mean"}
            spec, generator = specification(case, options, sparsity), torch.Generator().manual_seed(seed)
            pruned = prune(case.dense, case.dataset, spec, box=case.box, milestones=UNMEASURED, generator=generator)
            measured = measure(case, options, sparsity, seed)
            about = {"kind": "cut", "variant": variant, "sparsity": sparsity, "widths": list(pruned.network.widths)}
            rows.append({**about, **measured})
    return rows


def run(name: str, seed: int, *, smoke: bool) -> list[Row]:
    """All rows of one problem and seed."""
    case = CASES[name](seed, smoke=smoke)
    rows = [
        *layers(case, seed),
        *promises(case, seed, (0.5, 1e6) if smoke else sorted({*ASKED, *SHOWN})),
        *cuts(case, seed, SPARSITIES[:1] if smoke else SPARSITIES),
    ]
    dense = list(case.dense.widths)
    return [{"case": case.name, "seed": seed, "dense": dense, **row} for row in rows]


def of(rows: Sequence[Row], **wanted: Any) -> list[Row]:
    """The rows with these fields."""
    return [row for row in rows if all(row.get(name) == value for name, value in wanted.items())]


def print_tables(rows: Sequence[Row]) -> None:
    """What is asked, what is kept, and how cuts compare."""
    for case in dict.fromkeys(row["case"] for row in rows):
        chosen = of(rows, case=case)
        print(f"\n### {case}: what eps = 0.5, delta = {FAILURE:g} asks of PFP, medians of the seeds\n")
        print("| nodes of layer | sum of sensitivities | propagation | eps of the layer | draws | nodes kept |")
        print("|---|---|---|---|---|---|")
        for layer in dict.fromkeys(row["layer"] for row in of(chosen, kind="layer")):
            group = of(chosen, kind="layer", layer=layer)
            names = ("sensitivity", "propagation", "accuracy", "draws", "kept")
            middle = {name: float(np.median([row[name] for row in group])) for name in names}
            print(
                f"| {layer} | {middle['sensitivity']:.1f} | {middle['propagation']:.1e} | {middle['accuracy']:.1e} | "
                f"{middle['draws']:.1e} | {middle['kept']:.0f} of {group[0]['nodes']} |"
            )
        print(f"\n### {case}: asked and measured relative error, medians of the seeds\n")
        print(
            "| method | eps asked | kept | measured, nine of ten inputs | asked over measured |\n|---|---|---|---|---|"
        )
        for method in PROMISED:
            for error in notable(of(chosen, kind="promise", method=method)):
                print_promise(of(chosen, kind="promise", method=method, asked=error))
        for when in ("before", "after"):
            print_cuts(of(chosen, kind="cut"), FIGURES[case], when)


def notable(rows: Sequence[Row]) -> list[float]:
    """What is shown of the eps asked for: a tenth, a half, and the first that let go a share of what counts."""
    asked = sorted({row["asked"] for row in rows})
    kept = {error: float(np.median([row["kept"] for row in of(rows, asked=error)])) for error in asked}
    most = kept[asked[0]] if asked else 0.0
    first = list[float]()
    for share in LET_GO:
        first += [error for error in asked if kept[error] <= share * most][:1]
    return sorted({*SHOWN, *first} & kept.keys())


def print_promise(rows: Sequence[Row]) -> None:
    """One line."""
    kept, measured = (float(np.median([row[name] for row in rows])) for name in ("kept", "measured"))
    asked, method = rows[0]["asked"], rows[0]["method"]
    ratio = f"{asked / measured:.1e}" if measured > 0 else "-"
    print(f"| {method} | {asked:.1e} | {kept:.1%} of {PROMISED[method]} | {measured:.1e} | {ratio} |")


def print_cuts(rows: Sequence[Row], figure: str, when: str) -> None:
    """Variants down, sparsities across; the first table has the widths too."""
    key = "accuracy" if figure == "accuracy" else "gamma"
    sparsities = sorted({row["sparsity"] for row in rows})
    print(f"\n### {rows[0]['case']}: {figure} {when} fine-tuning\n")
    heads = [f"{sparsity:g}" for sparsity in sparsities]
    print("| nodes by | " + " | ".join(heads) + " |\n|" + "---|" * (1 + len(heads)))
    for variant in VARIANTS:
        groups = [of(rows, variant=variant, sparsity=sparsity) for sparsity in sparsities]
        print(f"| {variant} | " + " | ".join(cell(group, when, key) for group in groups) + " |")


def draw(rows: Sequence[Row], folder: Path) -> None:
    """Two pictures: eps asked for and measured, and nodes of every layer by either allocation."""
    plt.rcParams["svg.hashsalt"] = "sobolite"  # the same picture has the same bytes
    cases = list(dict.fromkeys(row["case"] for row in rows))
    figure, axes = plt.subplots(1, len(cases), figsize=(5 * len(cases), 4.2), layout="constrained", squeeze=False)
    for axis, case in zip(axes[0], cases, strict=True):
        _draw_promises(axis, of(rows, case=case, kind="promise"))
        axis.set_title(case)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(folder / "promised_error.svg", metadata={"Date": None})
    plt.close(figure)
    figure, axes = plt.subplots(1, len(cases), figsize=(5 * len(cases), 3.4), layout="constrained", squeeze=False)
    for axis, case in zip(axes[0], cases, strict=True):
        _draw_allocation(axis, of(rows, case=case, kind="cut"))
        axis.set_title(case)
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(folder / "layer_allocation.svg", metadata={"Date": None})
    plt.close(figure)


def _draw_promises(axis: Any, rows: Sequence[Row]) -> None:
    for method, colour in zip(PROMISED, ("tab:blue", "tab:orange"), strict=True):
        asked = sorted({row["asked"] for row in rows})
        groups = [of(rows, method=method, asked=error) for error in asked]
        measured = [float(np.median([row["measured"] for row in group])) for group in groups]
        kept = [float(np.median([row["kept"] for row in group])) for group in groups]
        axis.plot(asked, np.maximum(measured, 1e-3), color=colour, label=f"{method}: measured")
        axis.plot(asked, kept, color=colour, linestyle=":", label=f"{method}: share kept")
    axis.plot(asked, asked, color="0.6", linewidth=0.8, label="as promised")
    axis.set(xscale="log", yscale="log", xlabel="relative error asked for", ylim=(1e-3, 1e3))


def _draw_allocation(axis: Any, rows: Sequence[Row]) -> None:
    sparsity = sorted({row["sparsity"] for row in rows})[len({row["sparsity"] for row in rows}) // 2]
    hidden = len(rows[0]["dense"]) - 2
    for place, variant in enumerate(("pfp, one accuracy", "pfp, the same share")):
        widths = np.mean([row["widths"][1:-1] for row in of(rows, variant=variant, sparsity=sparsity)], axis=0)
        share = 100.0 * widths / np.array(rows[0]["dense"][1:-1])
        axis.bar(np.arange(hidden) + 0.4 * place - 0.2, share, width=0.4, label=variant)
    names = [f"{layer + 1} ({rows[0]['dense'][layer + 1]})" for layer in range(hidden)]
    axis.set_xticks(range(hidden), names)
    axis.set(xlabel="hidden layer (nodes)", ylabel=f"nodes kept, %, at sparsity {sparsity:g}")


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="PFP and SiPP beside their theorem; layer budgets; importances.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how well")
    parser.add_argument("--figure", action="store_true", help="draw docs/promised_error.svg and layer_allocation.svg")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--cases", nargs="+", default=["digits", "seven_assets"], choices=["digits", "seven_assets"])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
    rows = [row for name in arguments.cases for seed in seeds for row in run(name, seed, smoke=arguments.smoke)]
    if arguments.figure:
        draw(rows, ROOT / "docs")
    if arguments.json:
        print(json.dumps({"rows": rows}))
    else:
        print_tables(rows)


if __name__ == "__main__":
    main()
