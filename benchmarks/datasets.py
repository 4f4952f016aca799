"""What is learnt from somebody else's labels: one noisy path a row, with and without a chosen ridge.

Products of `examples/`; features uniform in their Box, y the payoff of one pseudo-random path and dydx its pathwise
derivative, as a pricer without any variance reduction makes them. R2 of value, delta and gamma, and the relative
Frobenius error of gamma, sqrt(sum |H^ - H|^2 / sum |H|^2), against the independent reference on fresh points.

"auto" sees the principal axes of dydx through three softplus neurons and chooses its ridge on held-out rows, "eight"
sees all features through eight of them. "polynomial" has degree 9, on both features of two assets and on the first axis
of more, and a ridge chosen on held-out rows. The others change one thing of "auto": "none" has no ridge, "features"
sees all features, "values" them and y alone, "deep" is the default network on all features.
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

from app.specification.toml_files import read_build_spec
from pricing.draws import stream
from pricing.labels import make_labels
from pricing.references.reference import Reference, reference
from pricing.specs.draws import Draws
from pricing.specs.estimator import Pathwise
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.types import Array
from surrogate.dataset import Dataset, from_labels
from surrogate.functions.surrogate import Surrogate, value_gradient_hessian
from surrogate.learning.polynomial import fit_polynomial
from surrogate.learning.training import fit
from surrogate.spec import LevenbergMarquardt, NetworkSpec, PolynomialSpec, SobolevLoss, TrainingSpec

EXAMPLES = Path(__file__).parent.parent / "examples"
PRODUCTS = ("bachelier_basket_7", "black_scholes_basket_7", "spread", "worst_of_put")
ROWS, SEEDS, JUDGED = (1_000, 4_096, 16_384, 100_000), (0, 1, 2), 512
ONE_PATH = LabelSpec(
    paths=1,
    replicates=1,
    order=1,
    draws=Draws(source="pseudo", sharing="independent", rotation="none"),
    estimator=Pathwise(),
)
AUTO = TrainingSpec(ridge="auto")
SMALL = NetworkSpec(hidden=(3,), activation="softplus", inputs="differential_pca")
ALL = NetworkSpec(hidden=(3,), activation="softplus")
SETTINGS: Mapping[str, tuple[NetworkSpec, TrainingSpec] | None] = {
    "auto": (SMALL, AUTO),
    "eight": (NetworkSpec(hidden=(8,), activation="softplus"), AUTO),
    "polynomial": None,
    "none": (SMALL, TrainingSpec(ridge=0.0)),
    "features": (ALL, AUTO),
    "values": (ALL, TrainingSpec(loss=SobolevLoss(order=0), ridge="auto")),
    "deep": (NetworkSpec(), AUTO),
}
PLANE, AXIS = PolynomialSpec(degree=9, inputs="features"), PolynomialSpec(degree=9, axes=1)
ADVISED = ("auto", "eight", "polynomial")
SMOKE = TrainingSpec(optimisers=(LevenbergMarquardt(starts=1, short=2, finalists=1, long=1),), ridge="auto")


def one_path_rows(problem: PricingProblem, rows: int, *, seed: int) -> Dataset:
    """Rows as a pricer without any variance reduction makes them."""
    uniforms = stream("one path a row", seed=seed).random((rows, problem.box.dimension))
    x = torch.from_numpy(problem.box.from_uniforms(uniforms))
    return from_labels(make_labels(problem, x, ONE_PATH, seed=seed))


def r2(predicted: Array, exact: Array) -> float:
    """Share of the spread around the mean that is explained, over all entries."""
    residual, spread = ((predicted - exact) ** 2).sum(), ((exact - exact.mean(axis=0)) ** 2).sum()
    return float(1.0 - residual / spread)


def learn(data: Dataset, settings: str, *, seed: int, smoke: bool) -> tuple[Surrogate, float]:
    """What one setting learns, and its ridge."""
    chosen = SETTINGS[settings]
    if chosen is None:
        found = fit_polynomial(data, PLANE if data.x.shape[1] == 2 else AXIS)
        return found.surrogate, found.relative_ridge
    network, training = chosen
    trained = fit(data, network, SMOKE if smoke else training, generator=torch.Generator().manual_seed(seed))
    return trained.network, trained.choice.ridge if trained.choice else 0.0


def measure(
    data: Dataset, settings: str, features: Array, exact: Reference, *, seed: int, smoke: bool
) -> dict[str, Any]:
    """R2 of value, delta and gamma of one training, gamma's error, the ridge and the processor seconds."""
    started = time.process_time()
    surrogate, ridge = learn(data, settings, seed=seed, smoke=smoke)
    seconds = time.process_time() - started
    with torch.no_grad():
        value, delta, gamma = (part.numpy() for part in value_gradient_hessian(surrogate, torch.from_numpy(features)))
    return {
        "value": r2(value, exact.value),
        "delta": r2(delta, exact.gradient),
        "gamma": r2(gamma, exact.hessian),
        "gamma_error": float(np.linalg.norm(gamma - exact.hessian) / np.linalg.norm(exact.hessian)),
        "ridge": ridge,
        "seconds": seconds,
    }


def show(row: Mapping[str, Any]) -> str:
    """One line of the table."""
    scores = "  ".join(f"{greek} {row[greek]:9.5f}" for greek in ("value", "delta", "gamma"))
    case = f"{row['product']:22s}  {row['rows']:7d}  {row['settings']:10s}  seed {row['seed']}"
    return f"{case}  {scores} ({row['gamma_error']:.3f})  ridge {row['ridge']:.1e}  {row['seconds']:6.1f} s"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="one small case of each setting: does it run?")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--product", nargs="+", default=PRODUCTS, help="files of examples/ without their ending")
    parser.add_argument("--rows", type=int, nargs="+", default=ROWS)
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--settings", nargs="+", choices=tuple(SETTINGS), default=ADVISED)
    given = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for product in PRODUCTS[:1] if given.smoke else given.product:
        problem = read_build_spec(EXAMPLES / f"{product}.toml").pricing
        features = problem.box.from_uniforms(stream("judged", seed=0).random((JUDGED, problem.box.dimension)))
        exact = reference(problem, features, seed=0)
        for rows in (256,) if given.smoke else given.rows:
            for seed in (0,) if given.smoke else given.seeds:
                data = one_path_rows(problem, rows, seed=seed)
                for settings in SETTINGS if given.smoke else given.settings:
                    case = {"product": product, "rows": rows, "settings": settings, "seed": seed}
                    found.append(case | measure(data, settings, features, exact, seed=seed, smoke=given.smoke))
                    if not given.json:
                        print(show(found[-1]), flush=True)
    if given.json:
        print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
