"""Sample paths of every process, drawn: the talk's picture of an SDE, for all that are simulated here.

One asset from 100 for a year, 252 dates; ten paths each, with the mean of 4,096 beside the forward that it must meet.
The last has coefficients of a user's own, pulled back to the spot, whose mean is the level itself.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import matplotlib as mpl
import torch
from torch import Tensor

from pricing.domain import Feature
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import scenario
from pricing.specs.european import Call
from pricing.specs.ito import ItoDiffusion
from pricing.specs.problem import PricingProblem, tag
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Merton, Process

mpl.use("Agg")
from matplotlib import pyplot as plt

TARGET = Path(__file__).parent.parent / "docs" / "figures" / "paths.png"
SPOT, RATE, DATES, DRAWN, AVERAGED = 100.0, 0.03, 252, 10, 4096
ALONE = ((1.0,),)
PROCESSES: tuple[Process, ...] = (
    Bachelier(volatilities=(20.0,), correlation=ALONE, convention="carry", rate=RATE),
    BlackScholes(volatilities=(0.2,), correlation=ALONE, rate=RATE),
    Heston(
        initial_variances=(0.04,),
        mean_reversions=(1.5,),
        long_variances=(0.04,),
        variance_volatilities=(0.6,),
        spot_variance_correlations=(-0.7,),
        correlation=ALONE,
        rate=RATE,
        steps=DATES,
    ),
    LocalVolatility(
        volatilities=(0.2,),
        skews=(-0.6,),
        curvatures=(0.9,),
        powers=(0.4,),
        reference_spots=(SPOT,),
        correlation=ALONE,
        rate=RATE,
        steps=DATES,
    ),
    Merton(
        volatilities=(0.12,),
        jump_intensities=(1.5,),
        jump_means=(-0.08,),
        jump_deviations=(0.12,),
        correlation=ALONE,
        rate=RATE,
    ),
    ItoDiffusion(
        drifts=("6 * (100 - S)",),
        diffusions=("4 * sqrt(S) * exp(-t)",),
        correlation=ALONE,
        rate=RATE,
        steps=DATES,
    ),
)


def levels(process: Process, dates: int, *, paths: int, seed: int) -> Tensor:
    """Levels of the asset at the dates after today. Shape: -> path date."""
    spot = Feature(name="spot", lower=(0.5 * SPOT,), upper=(1.5 * SPOT,))
    problem = PricingProblem(process=process, payoff=Call(weights=(1.0,), strike=SPOT), maturity=1.0, features=(spot,))
    at = scenario(problem, torch.tensor([[SPOT]], dtype=torch.float64))
    generator = torch.Generator().manual_seed(seed)
    normals = torch.randn(1, paths, sum(blocks(process, dates)), generator=generator, dtype=torch.float64)
    until = torch.linspace(0.0, 1.0, dates + 1, dtype=torch.float64)[1:].reshape(1, 1, -1)
    simulated = simulate(process, at, normals, until)
    return torch.stack([simulated.levels(date)[0, :, 0] for date in range(dates)], dim=1)


def draw(target: Path, dates: int, averaged: int, seed: int) -> dict[str, float]:
    """Write the picture; by process, how far the mean is from the forward at the end, in its standard errors."""
    figure, axes = plt.subplots(1, len(PROCESSES), figsize=(14, 2.8), sharey=True, layout="constrained")
    years = torch.linspace(0.0, 1.0, dates + 1, dtype=torch.float64)
    missed = {}
    for axis, process in zip(axes, PROCESSES, strict=True):
        after = levels(process, dates, paths=averaged, seed=seed)
        whole = torch.cat([torch.full((averaged, 1), SPOT, dtype=torch.float64), after], dim=1)
        forward = SPOT * torch.exp((RATE if process.facts.carried else 0.0) * years)
        axis.plot(years, whole[:DRAWN].T, linewidth=0.6)
        axis.plot(years, forward, color="0.2", linewidth=1.2, linestyle=":")
        axis.plot(years, whole.mean(dim=0), color="0.2", linewidth=1.0)
        axis.set_title(tag(process).replace("_", " "), fontsize=10)
        axis.set_xlabel("years")
        error = float(after[:, -1].std()) / averaged**0.5
        missed[tag(process)] = (float(after[:, -1].mean()) - float(forward[-1])) / error
    figure.savefig(target, dpi=90, metadata={"Software": None})
    plt.close(figure)
    return missed


def main() -> None:
    """Draw."""
    parser = argparse.ArgumentParser(description="Draw sample paths of every process.")
    parser.add_argument("--json", action="store_true", help="print how far the means are from the forward as JSON")
    parser.add_argument("--smoke", action="store_true", help="few dates and paths, into a temporary folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=TARGET)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "paths.png" if given.smoke else given.output
        missed = draw(target, 12 if given.smoke else DATES, 64 if given.smoke else AVERAGED, given.seed)
    if given.json:
        print(json.dumps(missed))
        return
    for name, errors in missed.items():
        print(f"{name:18} mean less forward: {errors:+.2f} standard errors")


if __name__ == "__main__":
    main()
