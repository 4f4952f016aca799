"""Products of which nothing but `[problem]` is given: what the build chooses, and whether it is good enough.

Products of strangers (`benchmarks/cases/strangers.py`), and, named by --products, the examples with all else taken
away. Errors are 1 - R2 against the independent reference, worst of the seeds; the build's own gate says whether it
publishes. Exit status 1 says that something would be published whose gamma is below .99, or .9 in a bucket.
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

import matplotlib as mpl
import numpy as np
import torch

from app.pipeline.build import build
from app.specification.build import BuildSpec
from app.specification.smoke import smoke
from app.specification.toml_files import read_build_spec
from benchmarks.cases.clock import processor_seconds
from benchmarks.cases.strangers import STRANGERS, stranger
from pricing.references.reference import reference
from surrogate.artifact.files import Artifact
from surrogate.report.gate import bucket_r2
from surrogate.report.record import known
from surrogate.runtime import open_session

mpl.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
PICTURE = ROOT / "docs" / "by_default.svg"
# A product of one feature, for the picture.
PICTURED = "one-day call"
POINTS = 401
# What nobody may be handed, whatever was required.
LEAST = {"gamma": 0.99, "worst_bucket": 0.9}


def example(name: str, *, seed: int) -> BuildSpec:
    """The problem of an example and nothing else."""
    whole = read_build_spec(EXAMPLES / f"{name}.toml")
    return BuildSpec(name=whole.name, seed=seed, problem=whole.problem)


def run(spec: BuildSpec) -> tuple[dict[str, Any], Artifact]:
    """One build: its errors, what it chose and what it cost."""
    with TemporaryDirectory() as folder:
        wall, processor = time.perf_counter(), processor_seconds()
        made = build(spec, Path(folder))
        seconds, spent = time.perf_counter() - wall, processor_seconds() - processor
    accuracy, gate, choices = made.report.accuracy, known(made.manifest.gate), made.report.choices
    errors = {name: 1.0 - score.r2 for name, score in accuracy.outputs.items() if score.r2 is not None}
    if "gamma" in accuracy.outputs:
        r2s = [bucket_r2(accuracy["gamma"], bucket) for bucket in accuracy.parts()]
        errors["worst_bucket"] = max((1.0 - r2 for r2 in r2s if r2 is not None), default=0.0)
    taken = None if choices is None else choices.rounds[choices.taken]
    return {
        "seed": spec.seed,
        "errors": errors,
        "points": accuracy.samples,
        "published": gate is None or gate.met,
        "missed": [] if gate is None else list(gate.missed),
        "rounds": 0 if choices is None else len(choices.rounds),
        "samples": None if taken is None else taken.samples,
        "paths": None if taken is None else taken.paths,
        "hidden": None if taken is None else list(taken.hidden),
        "seconds": seconds,
        "processor_seconds": spent,
    }, made


def summary(name: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The worst error of the seeds, the median of the times."""
    names = {error: None for found in runs for error in found["errors"]}
    worst = {error: max(found["errors"].get(error, 0.0) for found in runs) for error in names}
    wrong = [
        error
        for error, least in LEAST.items()
        for found in runs
        if found["published"] and found["errors"].get(error, 0.0) > 1.0 - least
    ]
    times = {part: float(np.median([found[part] for found in runs])) for part in ("seconds", "processor_seconds")}
    return {"product": name, "worst": worst, "wrong": wrong, **times, "runs": runs}


def print_table(rows: list[dict[str, Any]]) -> None:
    """One row a product."""
    kinds = ["value", "delta", "gamma", "worst_bucket"]
    head = ["product", *kinds, "other Greeks, worst", "points", "published", "samples x paths, network", "CPU s"]
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        worst, last, runs = row["worst"], row["runs"][0], row["runs"]
        others = {name: error for name, error in worst.items() if name not in kinds}
        other = max(others, key=lambda name: others[name]) if others else None
        published = sum(found["published"] for found in runs)
        cells = [
            row["product"],
            *(f"{worst[kind]:.0e}" if kind in worst else "-" for kind in kinds),
            "-" if other is None else f"{others[other]:.0e} ({other})",
            str(last["points"]),
            f"{published} of {len(runs)}",
            "-"
            if last["hidden"] is None
            else f"{last['samples']} x {last['paths']}, {'-'.join(map(str, last['hidden']))}",
            f"{row['processor_seconds']:.0f}",
        ]
        print("| " + " | ".join(cells) + " |")
    for row in rows:
        for found in row["runs"]:
            if found["missed"]:
                print(f"\n{row['product']}, seed {found['seed']}: not published: {found['missed'][0]}")


def chosen(found: dict[str, Any]) -> str:
    """Labels and network of a build that chose them."""
    if found["hidden"] is None:
        return "-"
    return f"{found['samples']} x {found['paths']}, {'-'.join(map(str, found['hidden']))}"


def draw(made: Artifact, spec: BuildSpec, target: Path) -> None:
    """Slices of value, delta and gamma of a product of one feature, with the reference's."""
    box = spec.box
    spots = np.linspace(box.lower, box.upper, POINTS)
    session = open_session(made.model)
    value, delta, gamma = session.run(["value", "delta", "gamma"], {"features": spots})
    exact = reference(spec.pricing, spots)
    pairs = {
        "value": (value, exact.value),
        "delta": (delta[:, 0], exact.gradient[:, 0]),
        "gamma": (gamma[:, 0, 0], exact.hessian[:, 0, 0]),
    }
    plt.rcParams["svg.hashsalt"] = "sobolite"
    figure, axes = plt.subplots(2, 3, figsize=(10, 4.6), sharex=True, height_ratios=[3, 1.3], layout="constrained")
    for column, (name, (got, want)) in enumerate(pairs.items()):
        axes[0, column].plot(spots, want, color="0.75", linewidth=5, label="reference")
        axes[0, column].plot(spots, got, color="tab:blue", linewidth=1.2, label="model.onnx")
        axes[0, column].set_title(name)
        axes[1, column].plot(spots, got - want, color="tab:red", linewidth=1)
        axes[1, column].ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        axes[1, column].set_xlabel("spot")
    axes[0, 0].legend(frameon=False)
    axes[1, 0].set_ylabel("error")
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    """Build and print."""
    parser = argparse.ArgumentParser(description="What builds choose by themselves, and how good it is.")
    examples = sorted(path.stem for path in EXAMPLES.glob("*.toml"))
    parser.add_argument("--products", nargs="+", choices=[*STRANGERS, *examples], metavar="NAME", default=None)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--picture", action="store_true", help=f"draw {PICTURE.name} of the {PICTURED}")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="one tiny build, for CI: shows that it runs, not how well")
    given = parser.parse_args()
    torch.set_num_threads(1)  # the same bits on any machine
    rows = []
    for name in (PICTURED,) if given.smoke else given.products or STRANGERS:
        made = [stranger(name, seed=seed) if name in STRANGERS else example(name, seed=seed) for seed in given.seeds]
        runs = [run(smoke(spec) if given.smoke else spec) for spec in made]
        rows.append(summary(name, [found for found, _ in runs]))
        if name == PICTURED:
            with TemporaryDirectory() as folder:
                draw(runs[0][1], made[0], PICTURE if given.picture else Path(folder) / PICTURE.name)
    if given.json:
        print(json.dumps({"rows": rows}))
    else:
        print_table(rows)
    wrong = {row["product"]: row["wrong"] for row in rows if row["wrong"]}
    if wrong and not given.smoke:
        sys.exit("published and wrong: " + "; ".join(f"{name}: {', '.join(parts)}" for name, parts in wrong.items()))


if __name__ == "__main__":
    main()
