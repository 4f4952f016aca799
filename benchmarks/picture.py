"""The README's picture: value, delta and gamma of the bundled ONNX file against the closed form, along the basket.

All spots move together, so the basket's level is the abscissa; delta and gamma are those of the parallel shift.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import matplotlib as mpl
import numpy as np

from benchmarks.cases.narrow import narrow
from pricing.references.bachelier_greeks import greeks
from pricing.specs.base import load
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from surrogate.runtime import open_session

mpl.use("Agg")
from matplotlib import pyplot as plt

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "models" / "bachelier-basket-7" / "1"
TARGET = ROOT / "docs" / "value_delta_gamma.svg"
POINTS = 201


def draw(target: Path) -> dict[str, float]:
    """Write the picture and return the largest absolute error of every curve on it."""
    problem = load(PricingProblem, json.loads((FOLDER / "manifest.json").read_bytes())["problem"])
    box = problem.box
    share = np.linspace(0.0, 1.0, POINTS)[:, None]
    spots = box.from_uniforms(np.broadcast_to(share, (POINTS, box.dimension)).copy())
    session = open_session((FOLDER / "model.onnx").read_bytes())
    value, delta, gamma = session.run(["value", "delta", "gamma"], {"features": spots})
    exact = greeks(problem, spots)
    curves = {
        "value": (value, exact.value),
        "delta": (delta.sum(axis=1), exact.delta.sum(axis=1)),
        "gamma": (gamma.sum(axis=(1, 2)), exact.gamma.sum(axis=(1, 2))),
    }
    plt.rcParams["svg.hashsalt"] = "sobolite"  # the same picture has the same bytes
    figure, axes = plt.subplots(2, 3, figsize=(10, 4.6), sharex=True, height_ratios=[3, 1.3], layout="constrained")
    payoff = narrow(Call, problem.payoff)
    basket = spots @ np.array(payoff.weights)
    for column, (name, (got, want)) in enumerate(curves.items()):
        top, bottom = axes[0, column], axes[1, column]
        top.plot(basket, want, color="0.75", linewidth=5, label="closed form")
        top.plot(basket, got, color="tab:blue", linewidth=1.2, label="model.onnx")
        top.axvline(payoff.strike, color="0.6", linewidth=0.6, linestyle=":")
        top.set_title(name)
        bottom.plot(basket, got - want, color="tab:red", linewidth=1)
        bottom.ticklabel_format(axis="y", style="sci", scilimits=(0, 0))
        bottom.set_xlabel("basket")
    axes[0, 0].legend(frameon=False)
    axes[1, 0].set_ylabel("error")
    figure.savefig(target, metadata={"Date": None})
    plt.close(figure)
    return {name: float(np.abs(got - want).max()) for name, (got, want) in curves.items()}


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description="Draw value, delta and gamma of the bundled model.")
    parser.add_argument("--json", action="store_true", help="print the largest errors as JSON")
    parser.add_argument("--smoke", action="store_true", help="draw into a temporary folder")
    arguments = parser.parse_args()
    if arguments.smoke:
        with tempfile.TemporaryDirectory() as folder:
            errors = draw(Path(folder) / TARGET.name)
    else:
        errors = draw(TARGET)
    print(json.dumps(errors) if arguments.json else "\n".join(f"{k}: largest error {v:.2e}" for k, v in errors.items()))


if __name__ == "__main__":
    main()
