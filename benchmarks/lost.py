"""What pruning loses and what it preserves: two basket calls on seven assets, every Greek, on the Box and off it.

Per basket and seed one dense 7-16-16-16-1 network from Monte Carlo labels, pruned in two stages with fine-tuning to six
sizes by three methods; errors against the reference on the Box and on shifts of it. Then

    prune potential     the largest share of parameters that can go while the RMSE of a Greek on a domain rises by delta
    excess error        what pruning adds to the RMSE on a shift beyond what it adds on the Box, per unit of prune ratio
    what is preserved   R2, agreement and informative features as those of the dense network, beside a separate network
    shifts mixed in     the same by one method where half of the samples are drawn under shifts, others being held out

Samples of "places" lie in the lower corner and in the Box widened by 5 %, those of "markets" under a volatility of 1.25
times and half the maturity; labels are simulated where and under what they are drawn. Potentials are means over seeds
(least to most) against the dense network of the same training.

References: Liebenwein, Baykal, Carter, Gifford, Rus, Lost in pruning, 2021.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch
from msgspec.structs import replace

from app.specification.toml_files import read_build_spec
from benchmarks.cases.lost_tables import print_tables
from pricing.domain import Box, Feature
from pricing.draws import stream, uniforms
from pricing.labels import make_labels
from pricing.sampling import sample_features
from pricing.specs.draws import Draws
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pruning.prune import prune
from pruning.spec import PruningSpec
from pruning.studies.shifts import (
    Corner,
    Correlation,
    Domain,
    Faces,
    InputNoise,
    Maturity,
    Volatility,
    domains,
    shifted_problem,
)
from pruning.studies.similarity import similarity
from surrogate.dataset import Dataset, from_labels
from surrogate.evaluation.accuracy import Prediction, accuracy, predict
from surrogate.evaluation.evaluate import reference
from surrogate.functions.network import Network
from surrogate.learning.training import fit
from surrogate.report.scores import OUTPUTS
from surrogate.spec import LBFGS, NetworkSpec, SobolevLoss, TrainingSpec

EXAMPLES = Path(__file__).parent.parent / "examples"
BASKETS = {"Bachelier": "bachelier_basket_7_pruned.toml", "Black-Scholes": "black_scholes_basket_7.toml"}
LOWER_CORNER, VOLATILE, SHORT = Corner(side="lower"), Volatility(factor=1.25), Maturity(factor=0.5)
SHIFTS = (
    InputNoise(level=0.01),
    InputNoise(level=0.05),
    LOWER_CORNER,
    Corner(side="upper"),
    Faces(),
    VOLATILE,
    SHORT,
    Correlation(share=0.5),
)
# Of the width of the Box on either side: as far as the largest noise goes.
WIDENED = 0.05
METHODS: dict[str, dict[str, Any]] = {
    "significance": {"method": "significance"},
    "chita": {"method": "chita", "rows": "sobolev", "samples": 32},
    "magnitude": {"method": "magnitude"},
}
# By which the trainings with shifts are pruned: the one whose potential is not limited by the method.
MIXED_METHOD = "significance"

Row = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much of everything; smoke is for CI and proves only that it runs."""

    hidden: tuple[int, ...] = (16, 16, 16)
    labels: dict[str, Any]
    iterations: int = 300
    fine_tuning: int = 100
    points: int = 256
    ratios: tuple[float, ...] = (0.5, 0.7, 0.8, 0.9, 0.95, 0.97)


FULL = Effort(labels={})
SMOKE = Effort(
    hidden=(4, 4),
    labels={"samples": 32, "paths": 32, "replicates": 2, "draws": Draws(pilot=32)},
    iterations=5,
    fine_tuning=2,
    points=8,
    ratios=(0.5, 0.8),
)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """The domains and what is right there; the same for all seeds, which differ by labels and networks."""

    box: Box
    places: tuple[Domain, ...]
    exact: dict[str, Prediction]

    def errors(self, network: Network) -> dict[str, dict[str, float]]:
        """RMSE by domain and output."""
        found = {}
        for place in self.places:
            scores = accuracy(predict(network, place.shown), self.exact[place.name], self.box)
            found[place.name] = {greek: error for greek in OUTPUTS if (error := scores[greek].rmse) is not None}
        return found

    def alike(self, network: Network, dense: Network) -> dict[str, Any]:
        """How alike it is to the dense network, where the points differ from those of the Box."""
        found, nominal = {}, self.places[0]
        for place in self.places:
            if place is nominal or not np.array_equal(place.shown, nominal.shown):
                one, other = predict(network, place.shown), predict(dense, place.shown)
                found[place.name] = vars(similarity(one, other, points=place.shown, box=self.box))
        return found


def make_judge(problem: PricingProblem, points: int) -> Judge:
    """References of every domain; noise is judged by that of the Box."""
    shape = (points, problem.box.dimension)
    places = domains(
        problem,
        SHIFTS,
        uniforms=uniforms("sobol", *shape, generator=stream("lost/points", seed=0)),
        noise=stream("lost/noise", seed=0).random(shape),
    )
    nominal = reference(problem, places[0].asked)
    exact = {
        place.name: nominal
        if place.problem is problem and np.array_equal(place.asked, places[0].asked)
        else reference(place.problem, place.asked)
        for place in places
    }
    return Judge(box=problem.box, places=places, exact=exact)


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Makes labels: of a problem, at points of it or at points that are given."""

    problem: PricingProblem
    spec: LabelSpec
    seed: int

    def usual(self, share: float = 1.0, problem: PricingProblem | None = None) -> Dataset:
        """A share of the samples as the example draws them, under the problem or another market."""
        spec = replace(self.spec, samples=round(share * self.spec.samples))
        asked = problem or self.problem
        return self.at(sample_features(self.problem, spec, seed=self.seed), asked)

    def at(self, features: torch.Tensor, problem: PricingProblem) -> Dataset:
        """Labels at the points."""
        spec = replace(self.spec, samples=len(features))
        return from_labels(make_labels(problem, features, spec, seed=self.seed))

    def inside(self, lower: np.ndarray[Any, Any], upper: np.ndarray[Any, Any], name: str) -> Dataset:
        """A quarter of the samples, uniform between bounds, under the problem itself."""
        box = Box(features=(Feature(name="spot", lower=tuple(lower.tolist()), upper=tuple(upper.tolist())),))
        shape = (self.spec.samples // 4, box.dimension)
        points = box.from_uniforms(stream(f"lost/{name}", seed=self.seed).random(shape))
        return self.at(torch.from_numpy(points), self.problem)


def as_usual(sampler: Sampler) -> Dataset:
    """No shifts."""
    return sampler.usual()


def places_mixed_in(sampler: Sampler) -> Dataset:
    """Half as usual, a quarter in the lower corner, a quarter in the widened Box."""
    box = sampler.problem.box
    width = box.upper - box.lower
    corner = sampler.inside(box.lower, box.lower + LOWER_CORNER.share * width, "corner")
    wide = sampler.inside(box.lower - WIDENED * width, box.upper + WIDENED * width, "widened")
    return together(sampler.usual(0.5), corner, wide)


def markets_mixed_in(sampler: Sampler) -> Dataset:
    """Half as usual, a quarter under the higher volatility, a quarter under the shorter maturity."""
    markets = [shifted_problem(sampler.problem, shift) for shift in (VOLATILE, SHORT)]
    return together(sampler.usual(0.5), *(sampler.usual(0.25, market) for market in markets))


TRAININGS: dict[str, Callable[[Sampler], Dataset]] = {
    "as usual": as_usual,
    "places": places_mixed_in,
    "markets": markets_mixed_in,
}


def together(*parts: Dataset) -> Dataset:
    """The samples of all parts: values and deltas."""
    gradients = [part.gradient for part in parts if part.gradient is not None]
    return Dataset(
        x=torch.cat([part.x for part in parts]),
        y=torch.cat([part.y for part in parts]),
        gradient=torch.cat(gradients),
    )


def recipe(iterations: int) -> TrainingSpec:
    """Values and deltas by L-BFGS."""
    return TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=iterations),))


def run(basket: str, seeds: Sequence[int], effort: Effort) -> list[Row]:
    """All networks of a basket, judged."""
    build = read_build_spec(EXAMPLES / BASKETS[basket])
    problem, judge = build.pricing, make_judge(build.pricing, effort.points)
    rows = []
    for seed in seeds:
        sampler = Sampler(problem=problem, spec=replace(build.labels, **effort.labels), seed=seed)
        for training, mix in TRAININGS.items():
            found = networks(mix(sampler), training, seed, effort, judge)
            rows += [{"basket": basket, "seed": seed, "training": training, **row} for row in found]
    return rows


def networks(data: Dataset, training: str, seed: int, effort: Effort, judge: Judge) -> list[Row]:
    """The dense network of a training and what pruning makes of it; of the usual one a separate network too."""

    def trained(name: str) -> Network:
        generator = torch.Generator().manual_seed(int(stream(f"lost/{name}", seed=seed).integers(1 << 63)))
        return fit(data, NetworkSpec(hidden=effort.hidden), recipe(effort.iterations), generator=generator).network

    dense, usual = trained("dense"), training == "as usual"
    rows: list[Row] = [{"method": "dense", "target": 0.0, "ratio": 0.0, "errors": judge.errors(dense)}]
    if usual:
        again = trained("separate")
        rows.append({"method": "separate", "target": 0.0, "ratio": 0.0, "errors": judge.errors(again)})
        rows[-1]["alike"] = judge.alike(again, dense)
    for method in METHODS if usual else (MIXED_METHOD,):
        for target in effort.ratios:
            spec = PruningSpec(
                parameters=round((1.0 - target) * dense.parameters),
                stages=2,
                schedule="geometric",
                fine_tuning=recipe(effort.fine_tuning),
                **METHODS[method],
            )
            pruned = prune(dense, data, spec, box=judge.box, generator=torch.Generator().manual_seed(seed)).network
            row = {"method": method, "target": target, "ratio": 1.0 - pruned.parameters / dense.parameters}
            rows.append({**row, "errors": judge.errors(pruned), "alike": judge.alike(pruned, dense)})
    return rows


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description="What pruning loses and what it preserves, on two baskets.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how well")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--baskets", nargs="+", default=list(BASKETS), choices=list(BASKETS))
    parser.add_argument("--figures", type=Path, metavar="FOLDER", help="draw what was found there")
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the same bits on any machine, and faster for networks this small
    start = time.process_time()
    seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
    effort = SMOKE if arguments.smoke else FULL
    rows = [row for basket in arguments.baskets for row in run(basket, seeds, effort)]
    with tempfile.TemporaryDirectory() as spare:
        # Smoke runs draw too, so that drawing is tried.
        folder = arguments.figures or (Path(spare) if arguments.smoke else None)
        if folder is not None:
            from benchmarks.cases import lost_figures  # needs matplotlib, which the tables do without

            lost_figures.draw(folder, rows)
    seconds = time.process_time() - start
    if arguments.json:
        print(json.dumps({"rows": rows, "seconds": seconds}))
    else:
        print_tables(rows)
        print(f"\nSeeds {seeds}; {seconds:.0f} processor seconds in all.")


if __name__ == "__main__":
    main()
