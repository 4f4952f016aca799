"""The overview table of "Towards Sobolev Pruning" with this pipeline: R2 of values, deltas and gammas, row by row.

Per seed: a random market of seven assets with the published basket weights (strike 1.10, one year, basket volatility
0.2); one set of Monte Carlo labels, no closed form; then

    oversized        7-128x6-1, values only
    pruned           interval adjoint significance down to 40 parameters, fine-tuned on values only
    network data     the pruned network, Sobolev fine-tuning on values and deltas of the oversized network
    reference        the pruned network, Sobolev fine-tuning on the simulated values and deltas
    from scratch     the same small network from random starts on the same labels: the row that the talk leaves out

R2 as in the talk: deltas per asset, then averaged; gammas as the sum over the Hessian. Test points are the talk's, and
the closed form judges. Both fine-tunings start from the pruned network. Seconds and simulated paths
add up along a row's pipeline; all rows share one set of paths. ``--figures`` draws the talk's four rows at the first
seed, predicted against true.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch

from pricing.case_study import SEVEN_ASSET_WEIGHTS, evaluation_spots, random_market
from pricing.domain import Feature
from pricing.labels import Labels, make_labels
from pricing.sampling import sample_features
from pricing.specs.draws import Draws
from pricing.specs.estimator import Smoothed
from pricing.specs.european import Call
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.specs.sampler import UniformSampler
from pruning.driver.milestones import UNMEASURED
from pruning.prune import prune
from pruning.spec import PruningSpec
from surrogate.artifact.sentences import show_r2
from surrogate.dataset import Dataset, from_labels
from surrogate.evaluation.accuracy import Prediction, accuracy, predict
from surrogate.evaluation.evaluate import reference
from surrogate.functions.network import Network, value_and_gradient
from surrogate.learning.training import fit, train
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, SobolevLoss, TrainingSpec

# Figures of the talk, which gives one run: values, deltas, gammas.
PUBLISHED = {
    "oversized": (0.999545, 0.998700, 0.997033),
    "pruned": (0.999296, 0.996718, 0.902470),
    "network data": (0.999805, 0.999479, 0.987393),
    "reference": (0.999962, 0.999863, 0.997374),
}
ROWS = (*PUBLISHED, "from scratch")
PARAMETERS = 40
TEST_SAMPLES = 16_384

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class RunBudget:
    """How much of everything; smoke is for CI and proves only that the pipeline runs."""

    hidden: tuple[int, ...]
    labels: LabelSpec
    fine_tuning_samples: int
    epochs: int
    iterations: int


FULL = RunBudget(
    hidden=(128,) * 6,
    labels=LabelSpec(
        samples=16_384,
        paths=2048,
        replicates=3,
        order=1,
        draws=Draws(pilot=512),
        estimator=Smoothed(gamma_bias=1e-5),
        sampler=UniformSampler(),
    ),
    fine_tuning_samples=512,
    epochs=60,
    iterations=1000,
)
SMOKE = RunBudget(
    hidden=(16,) * 6,
    labels=LabelSpec(samples=256, paths=64, replicates=2, order=1, draws=Draws(pilot=64)),
    fine_tuning_samples=64,
    epochs=2,
    iterations=5,
)


def make_problem(seed: int) -> PricingProblem:
    """The seven-asset case; the Box is the smallest that holds every possible test point."""
    market = random_market(7, seed=seed, weights=SEVEN_ASSET_WEIGHTS)
    corner = 1.0 + 0.5 * float(np.sqrt(6.0 / 12.0))
    return PricingProblem(
        process=Bachelier(volatilities=market.volatilities, correlation=market.correlation),
        payoff=Call(weights=market.weights, strike=1.1),
        maturity=1.0,
        features=(Feature(name="spot", lower=(1.0 - 0.5 * corner,) * 7, upper=(1.0 + 0.5 * corner,) * 7),),
    )


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What a network says at the test points, and what is right there."""

    predicted: Prediction
    exact: Prediction


def judge(network: Network, problem: PricingProblem, seed: int) -> Judged:
    """At the talk's test points, by the closed form."""
    spots = evaluation_spots(7, TEST_SAMPLES, seed=seed)
    return Judged(predicted=predict(network.to(torch.float64), spots), exact=reference(problem, spots))


def score(network: Network, judged: Judged) -> dict[str, Any]:
    """The paper's three R2, our Frobenius R2 of gamma, and the size of the network."""
    scores = accuracy(judged.predicted, judged.exact)
    return {
        "parameters": network.parameters,
        "widths": list(network.widths),
        "values": scores["value"].r2,
        "deltas": scores["delta"].r2,
        "gammas": scores["gamma"].parallel_r2,
        "gammas_frobenius": scores["gamma"].r2,
    }


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """A result and the seconds it took."""
    start = time.perf_counter()
    return work(), time.perf_counter() - start


def run(seed: int, budget: RunBudget, figures: Path | None = None) -> list[dict[str, Any]]:
    """All rows of one seed, with the pictures of the talk's if there is a folder for them."""
    problem = make_problem(seed)
    generator = torch.Generator().manual_seed(seed)

    def label() -> Labels:
        return make_labels(problem, sample_features(problem, budget.labels, seed=seed), budget.labels, seed=seed)

    labels, label_seconds = timed(label)
    whole = from_labels(labels)
    values = Dataset(x=whole.x, y=whole.y)
    few = whole.rows(slice(budget.fine_tuning_samples))
    polish = LevenbergMarquardt(starts=1, short=1, finalists=1, long=budget.iterations)
    value_only = TrainingSpec(loss=SobolevLoss(order=0), optimisers=(LBFGS(iterations=100),))
    sobolev = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(polish,))
    adam = Adam(epochs=budget.epochs, batch=128, learning_rate=1e-3, single_precision=True)
    vanilla = TrainingSpec(loss=SobolevLoss(order=0), optimisers=(adam,))

    oversized, training = timed(
        lambda: fit(values, NetworkSpec(hidden=budget.hidden), vanilla, generator=generator).network
    )
    spec = PruningSpec(
        method="significance", parameters=PARAMETERS, stages=4, schedule="geometric", fine_tuning=value_only
    )
    pruned, pruning = timed(
        lambda: (
            prune(
                oversized, Dataset(x=few.x, y=few.y), spec, box=problem.box, milestones=UNMEASURED, generator=generator
            ).network
        )
    )
    with torch.no_grad():
        y, gradient = value_and_gradient(oversized, few.x)
    taught, teaching = timed(
        lambda: train(pruned, Dataset(x=few.x, y=y, gradient=gradient), sobolev, generator=generator).network
    )
    final, finishing = timed(lambda: train(pruned, few, sobolev, generator=generator).network)
    starts = LevenbergMarquardt(starts=8, short=40, finalists=1, long=budget.iterations)
    scratch_spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(starts,))
    small = NetworkSpec(hidden=final.widths[1:-1])
    scratch, scratching = timed(lambda: fit(few, small, scratch_spec, generator=generator).network)

    large = label_seconds + training
    small_again = large + pruning
    seconds = [large, small_again, small_again + teaching, small_again + finishing, label_seconds + scratching]
    networks = [oversized, pruned, taught, final, scratch]
    judged = [judge(network, problem, seed) for network in networks]
    if figures is not None:
        draw_stages(figures, judged)
    return [
        {"row": row, "seed": seed, **score(network, each), "simulated_paths": labels.paths, "seconds": spent}
        for row, network, each, spent in zip(ROWS, networks, judged, seconds, strict=True)
    ]


def draw_stages(folder: Path, judged: list[Judged]) -> None:
    """A picture for each row of the talk, named after it."""
    from benchmarks.cases import stages  # needs matplotlib, which the table does without

    folder.mkdir(parents=True, exist_ok=True)
    for row, each in zip(PUBLISHED, judged, strict=False):
        stages.draw(folder / f"{row.replace(' ', '_')}.png", row, each.predicted, each.exact)


def print_table(rows: list[dict[str, Any]]) -> None:
    """Worst seed of every row, beside the talk's figure."""
    print("| row | parameters | values | deltas | gammas | talk: values | deltas | gammas | paths | seconds |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in ROWS:
        chosen = [row for row in rows if row["row"] == name]
        worst = [min(row[score] for row in chosen) for score in ("values", "deltas", "gammas")]
        published = [f"{figure:.6f}" for figure in PUBLISHED.get(name, ())] or ["-"] * 3
        cells = [
            name,
            str(max(row["parameters"] for row in chosen)),
            *map(show_r2, worst),
            *published,
            str(max(row["simulated_paths"] for row in chosen)),
            f"{np.median([row['seconds'] for row in chosen]):.1f}",
        ]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    """Run the table."""
    parser = argparse.ArgumentParser(description="Reproduce the overview table of Towards Sobolev Pruning.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how well")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="draw predicted against true there, a PNG a row")
    arguments = parser.parse_args()
    seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
    torch.set_num_threads(1)  # the same bits on any machine, and faster for networks this small
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as spare:
        # Smoke runs draw too, so that drawing is tried.
        first = arguments.figures or (Path(spare) if arguments.smoke else None)
        budget = SMOKE if arguments.smoke else FULL
        rows = [row for seed in seeds for row in run(seed, budget, first if seed == seeds[0] else None)]
    if arguments.json:
        print(json.dumps({"rows": rows, "seconds": time.perf_counter() - start, "published": PUBLISHED}))
    else:
        print_table(rows)
        spent = time.perf_counter() - start
        print(f"\nWorst of seeds {seeds}; median seconds of a row with all before it; {spent:.0f} s in all.")


if __name__ == "__main__":
    main()
