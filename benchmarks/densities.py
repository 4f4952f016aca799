"""The toy densities of sparse flows, drawn: states, what a dense flow makes of them, and what pruning leaves.

The densities, flows and cuts, by CHITA, are those of `benchmarks/flows.py`; under each picture stands the negative
log-likelihood of states that no training has seen (nats a state) and the weights that the field has left.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import matplotlib as mpl
import numpy as np
import torch
from torch import Tensor

from benchmarks.flows import DENSITIES, HIDDEN, STATES, STEPS, cut, nll
from pricing.draws import stream
from pruning.sparse_flow import prune_flow
from pruning.stage import size
from surrogate.flows.flow import Flow, log_density, start_flow
from surrogate.flows.training import train_flow
from surrogate.spec import Adam

mpl.use("Agg")
from matplotlib import pyplot as plt

TARGET = Path(__file__).parent.parent / "docs" / "densities.png"
SPARSITIES = (0.5, 0.8, 0.95)
# The square that is drawn, and its points a side.
REACH, SIDE = 1.8, 121


def flows(name: str, seed: int, *, smoke: bool) -> tuple[dict[str, Flow], Tensor, Tensor]:
    """Dense and ever sparser flows of a density by what they are called, states learnt from, and others."""
    draw, count = DENSITIES[name], 128 if smoke else STATES
    learnt, unseen = (
        torch.from_numpy(draw(count, stream(f"flows/{name}/{share}", seed=seed))) for share in ("training", "test")
    )
    generator = torch.Generator().manual_seed(seed)
    start = start_flow(learnt, (8, 8) if smoke else HIDDEN, "tanh", steps=STEPS, generator=generator)
    first = Adam(epochs=1 if smoke else 60, learning_rate=3e-2)
    again = Adam(epochs=1 if smoke else 15, learning_rate=2e-2)
    flow = train_flow(start, learnt, (first,), generator=generator).flow
    made = {"dense": flow}
    for sparsity in SPARSITIES:
        spec = cut(flow, "chita", sparsity, 0)
        flow = prune_flow(flow, learnt, spec, (again,), generator=torch.Generator().manual_seed(seed))
        made[f"{sparsity:.0%} pruned"] = flow
    return made, learnt, unseen


def picture(flow: Flow, side: int) -> np.ndarray[Any, Any]:
    """The density on the square, a row a height. Shape: -> side side."""
    line = torch.linspace(-REACH, REACH, side, dtype=torch.float64)
    places = torch.cartesian_prod(line, line).flip(1)
    with torch.no_grad():
        density = log_density(flow, places, generator=torch.Generator()).exp()
    return density.reshape(side, side).numpy()


def draw(target: Path, seed: int, *, smoke: bool) -> list[dict[str, Any]]:
    """Write the picture and return what stands under its parts."""
    columns = ["states", "dense", *(f"{sparsity:.0%} pruned" for sparsity in SPARSITIES)]
    figure, axes = plt.subplots(len(DENSITIES), len(columns), figsize=(10, 6.4), layout="constrained")
    found = []
    for row, name in zip(axes, DENSITIES, strict=True):
        made, learnt, unseen = flows(name, seed, smoke=smoke)
        row[0].scatter(*learnt.numpy().T, s=0.5, color="0.3", linewidths=0)
        row[0].set_ylabel(name)
        for axis, (variant, flow) in zip(row[1:], made.items(), strict=True):
            axis.imshow(picture(flow, 21 if smoke else SIDE), origin="lower", extent=(-REACH, REACH) * 2, cmap="magma")
            nats, kept = nll(flow, unseen), size(flow.field, "weights")
            found.append({"density": name, "variant": variant, "nll": nats, "weights": kept})
            axis.set_xlabel(f"{nats:.3f} nats, {kept} weights", fontsize=8)
        for axis in row:
            axis.set(xticks=[], yticks=[], xlim=(-REACH, REACH), ylim=(-REACH, REACH), aspect="equal")
    for axis, title in zip(axes[0], columns, strict=True):
        axis.set_title(title, fontsize=10)
    figure.savefig(target, dpi=80, metadata={"Software": None})
    plt.close(figure)
    return found


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description="Draw toy densities before and after pruning.")
    parser.add_argument("--json", action="store_true", help="print what stands under the pictures as JSON")
    parser.add_argument("--smoke", action="store_true", help="tiny flows, into a temporary folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=TARGET)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "densities.png" if given.smoke else given.output
        found = draw(target, given.seed, smoke=given.smoke)
        written = target.stat().st_size
    if given.json:
        print(json.dumps(found))
        return
    for facts in found:
        print(f"{facts['density']:16} {facts['variant']:12} {facts['nll']:8.4f} nats, {facts['weights']} weights")
    print(f"{target.name}: {written} bytes")


if __name__ == "__main__":
    main()
