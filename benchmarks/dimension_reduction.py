"""How many directions of differential PCA a basket of many assets needs: accuracy and seconds against the axes kept.

A Black-Scholes call at the money on n assets, their market made as for `examples/black_scholes_basket_50.toml`, whose
labels, network and optimiser it takes; only the number of assets and of axes change. The value itself is learnt, or
with --controlled the difference to a closed form, as builds do by default (docs/decisions/0021-control-variate.md). R2
against replicated Monte Carlo, worst of the seeds; processor seconds of a build with its evaluation, median.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch
from msgspec import UNSET
from msgspec.structs import replace

from app.specification.build import BuildSpec
from app.specification.smoke import smoke
from app.specification.toml_files import read_build_spec
from benchmarks.products import run
from pricing.case_study import random_market
from pricing.domain import Feature
from pricing.specs.european import Call
from pricing.specs.process import BlackScholes
from surrogate.artifact.sentences import show_r2

EXAMPLE = Path(__file__).parent.parent / "examples" / "black_scholes_basket_50.toml"
SEEDS, ASSETS, AXES = (0, 1, 2), (50, 100), (1, 3, 10, 30)
# Every spot lies within 1 +- HALF_WIDTH, volatilities are scaled to VOLATILITY on average.
HALF_WIDTH, VOLATILITY = 0.68, 0.3


def basket(assets: int, axes: int, *, controlled: bool = False) -> BuildSpec:
    """The example with another number of assets and axes."""
    spec = read_build_spec(EXAMPLE)
    assert spec.problem is not None
    market = random_market(assets, seed=1)
    volatilities = np.array(market.volatilities)
    volatilities *= VOLATILITY / volatilities.mean()
    correlation = 0.5 * (np.array(market.correlation) + 1.0)  # halfway to one driver for all
    problem = replace(
        spec.problem,
        process=BlackScholes(
            volatilities=tuple(volatilities.tolist()), correlation=tuple(map(tuple, correlation.tolist()))
        ),
        payoff=Call(weights=market.weights, strike=1.0),
        features=(
            Feature(
                name="spot", unit="currency", lower=(1.0 - HALF_WIDTH,) * assets, upper=(1.0 + HALF_WIDTH,) * assets
            ),
        ),
    )
    network = replace(spec.network, axes=axes)
    return replace(spec, problem=problem, network=network, control=UNSET if controlled else "none")


def row(assets: int, axes: int, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The worst seed of every score."""
    return {
        "assets": assets,
        "axes": axes,
        "parameters": runs[0]["parameters"],
        **{name: min(found["scores"][name] for found in runs) for name in ("value", "delta", "gamma")},
        "seconds": median(found["processor_seconds"] for found in runs),
    }


def main() -> None:
    """Build the baskets."""
    parser = argparse.ArgumentParser(description="Differential PCA in front of a network, for baskets of many assets.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="one tiny build, for CI: shows that it runs, not how well")
    parser.add_argument("--controlled", action="store_true", help="learn the difference to a closed form")
    parser.add_argument("--assets", type=int, nargs="+", default=ASSETS)
    parser.add_argument("--axes", type=int, nargs="+", default=AXES)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.smoke:
        rows = [row(10, 2, [run(smoke(basket(10, 2)))])]
    else:
        rows = []
        for case in [(assets, axes) for assets in given.assets for axes in given.axes]:
            spec = basket(*case, controlled=given.controlled)
            rows.append(row(*case, [run(replace(spec, seed=seed)) for seed in given.seeds]))
    if given.json:
        print(json.dumps({"rows": rows}))
        return
    print("| assets | axes | parameters | value | delta | gamma | processor s |\n|---|---|---|---|---|---|---|")
    for found in rows:
        scores = " | ".join(show_r2(found[name]) for name in ("value", "delta", "gamma"))
        print(f"| {found['assets']} | {found['axes']} | {found['parameters']} | {scores} | {found['seconds']:.0f} |")


if __name__ == "__main__":
    main()
