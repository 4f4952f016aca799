"""What a network learns from somebody else's labels: one noisy path a row, with and without a chosen ridge.

The basket call of `examples/bachelier_basket_7.toml`; features uniform in its Box, y the payoff of one path and dydx
its pathwise derivative. R2 of value, delta and gamma against the closed form on fresh points. "auto" sees the principal
axes of dydx through three softplus neurons and chooses its ridge on held-out rows. The others change one thing: "none"
has no ridge, "features" sees all features, "values" them and y alone, "deep" is the default network on all features.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch

from app.spec import read_build_spec
from pricing import analytic
from pricing.draws import stream
from pricing.specs.payoff import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.types import Array
from surrogate.dataset import Dataset
from surrogate.network import value_gradient_hessian
from surrogate.spec import LevenbergMarquardt, NetworkSpec, SobolevLoss, TrainingSpec
from surrogate.training import fit

EXAMPLE = Path(__file__).parent.parent / "examples" / "bachelier_basket_7.toml"
ROWS, SEEDS, JUDGED = (1_000, 10_000, 100_000), (0, 1, 2), 4096
AUTO = TrainingSpec(ridge="auto")
SMALL = NetworkSpec(hidden=(3,), activation="softplus", inputs="differential_pca")
ALL = NetworkSpec(hidden=(3,), activation="softplus")
SETTINGS: Mapping[str, tuple[NetworkSpec, TrainingSpec]] = {
    "auto": (SMALL, AUTO),
    "none": (SMALL, TrainingSpec(ridge=0.0)),
    "features": (ALL, AUTO),
    "values": (ALL, TrainingSpec(loss=SobolevLoss(order=0), ridge="auto")),
    "deep": (NetworkSpec(), AUTO),
}
SMOKE = TrainingSpec(optimisers=(LevenbergMarquardt(starts=1, short=2, finalists=1, long=1),), ridge="auto")


def one_path_rows(problem: PricingProblem, rows: int, *, seed: int) -> Dataset:
    """Rows as a pricer without any variance reduction makes them."""
    process, payoff = problem.process, problem.payoff
    assert isinstance(process, Bachelier)
    assert isinstance(payoff, Call)
    generator = stream("one path a row", seed=seed)
    x = problem.box.from_uniforms(generator.random((rows, problem.box.dimension)))
    scale = np.sqrt(problem.maturity) * np.array(process.volatilities)
    factor = scale[:, None] * np.linalg.cholesky(np.array(process.correlation))
    weights = np.array(payoff.weights)
    level = (x + generator.standard_normal(x.shape) @ factor.T) @ weights - payoff.strike
    slope = (level > 0.0)[:, None] * weights
    return Dataset(x=torch.tensor(x), y=torch.tensor(np.maximum(level, 0.0)), gradient=torch.tensor(slope))


def r2(predicted: Array, exact: Array) -> float:
    """Share of the spread around the mean that is explained, over all entries."""
    residual, spread = ((predicted - exact) ** 2).sum(), ((exact - exact.mean(axis=0)) ** 2).sum()
    return float(1.0 - residual / spread)


def measure(rows: int, network: NetworkSpec, training: TrainingSpec, *, seed: int) -> dict[str, Any]:
    """R2 of value, delta and gamma of one training, the ridge and the processor seconds."""
    problem = read_build_spec(EXAMPLE).pricing
    data, started = one_path_rows(problem, rows, seed=seed), time.process_time()
    trained = fit(data, network, training, generator=torch.Generator().manual_seed(seed))
    seconds = time.process_time() - started
    features = problem.box.from_uniforms(stream("judged", seed=seed).random((JUDGED, problem.box.dimension)))
    exact = analytic.greeks(problem, features)
    with torch.no_grad():
        value, delta, gamma = (
            part.numpy() for part in value_gradient_hessian(trained.network, torch.from_numpy(features))
        )
    return {
        "rows": rows,
        "seed": seed,
        "value": r2(value, exact.value),
        "delta": r2(delta, exact.delta),
        "gamma": r2(gamma, exact.gamma),
        "ridge": trained.choice.ridge if trained.choice else training.ridge,
        "seconds": seconds,
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one small case: does it run?")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--settings", nargs="+", choices=tuple(SETTINGS), default=tuple(SETTINGS))
    given = parser.parse_args()
    torch.set_num_threads(1)
    cases = [
        (rows, name, seed)
        for rows in ((256,) if given.smoke else given.rows)
        for name in given.settings
        for seed in ((0,) if given.smoke else given.seeds)
    ]
    found = []
    for rows, name, seed in cases:
        network, training = SETTINGS[name]
        training = SMOKE if given.smoke else training
        found.append({"settings": name, **measure(rows, network, training, seed=seed)})
        if not given.json:
            row = found[-1]
            scores = "  ".join(f"{greek} {row[greek]:9.4f}" for greek in ("value", "delta", "gamma"))
            print(f"{rows:7d}  {name:8s}  seed {seed}  {scores}  ridge {row['ridge']:.1e}", end="")
            print(f"  {row['seconds']:6.1f} s", flush=True)
    if given.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
