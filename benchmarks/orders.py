"""Do second-order directions help? Accuracy against cost by order of the loss, law and number of directions.

The seven-asset Bachelier basket and the Black-Scholes one (examples/), few samples and more of them, and the latter
from noisy labels: every sample `NOISY.paths` antithetic paths of its own, without a ridge and with the one that is
chosen on samples held out. Every row of a seed learns from the same samples on the same paths; only what is
differentiated is another. The last row spends what curvature costs on samples instead. One network, one optimiser, the
same starts.

1 - R2 of delta and gamma against the independent reference: median of the seeds, least and largest; processor seconds
of labels and training, median.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch
from msgspec.structs import replace

from app.specification.build import BuildSpec
from app.specification.toml_files import read_build_spec
from pricing.draws import stream, uniforms
from pricing.labels import make_labels
from pricing.sampling import sample_features
from pricing.specs.draws import Draws
from pricing.specs.estimator import Conditional
from pricing.specs.labels import LabelSpec
from pricing.types import Array
from surrogate.dataset import from_labels
from surrogate.evaluation.accuracy import Prediction, accuracy, predict
from surrogate.evaluation.evaluate import reference
from surrogate.learning.training import fit
from surrogate.spec import LevenbergMarquardt, NetworkSpec, SobolevLoss, TrainingSpec

EXAMPLES = Path(__file__).parent.parent / "examples"
BASKETS = (
    "bachelier_basket_7",
    "black_scholes_basket_7",
    "black_scholes_basket_7, noisy",
    "black_scholes_basket_7, noisy, ridge",
)
NOISY = LabelSpec(
    paths=64,
    replicates=1,
    draws=Draws(source="antithetic", rotation="none", sharing="independent"),
    estimator=Conditional(),
)
SEEDS, SAMPLES = (0, 1, 2), (64, 256)
# Points to judge at: a closed form is cheap, replicated simulation is not.
POINTS = {"bachelier_basket_7": 1024, "black_scholes_basket_7": 256}
GREEKS = ("value", "delta", "gamma")
NETWORK = NetworkSpec(hidden=(8, 8))
OPTIMISER = LevenbergMarquardt(starts=3, short=20, finalists=1, long=100)
SMOKE = LevenbergMarquardt(starts=1, short=2, finalists=1, long=2)


@dataclass(frozen=True, kw_only=True)
class Way:
    """What is differentiated and learnt; ``samples`` as a multiple of the others'."""

    order: Literal[0, 1, 2]
    law: Literal["random", "pca"] = "pca"
    directions: int = 1
    samples: int = 1

    @property
    def name(self) -> str:
        """As a row is called."""
        along = f", {self.law}, {self.directions}" if self.order == 2 else ""
        return f"{self.order}{along}" + (f", {self.samples} x samples" if self.samples > 1 else "")


WAYS = (
    Way(order=0),
    Way(order=1),
    *(Way(order=2, law=law, directions=count) for law in ("pca", "random") for count in (1, 2, 7)),
    Way(order=1, samples=4),
)
# Choosing a ridge takes ten trainings, so not of every way, and of the larger number of samples.
RIDGE_WAYS = (*WAYS[:3], WAYS[4], WAYS[5], WAYS[-1])
QUICK = (Way(order=0), Way(order=1), Way(order=2, directions=2), Way(order=2, law="random"))


@dataclass(frozen=True, kw_only=True)
class Exam:
    """Points of the Box and what is right there. Shape: spots (batch, feature)."""

    spots: Array
    answers: Prediction


def examination(spec: BuildSpec, points: int) -> Exam:
    """Points that no seed learns from."""
    box = spec.box
    spots = box.from_uniforms(uniforms("sobol", points, box.dimension, generator=stream("evaluation", seed=0)))
    return Exam(spots=spots, answers=reference(spec.pricing, spots))


def specification(basket: str) -> BuildSpec:
    """The example of a basket, from noisy labels where its name says so."""
    name, _, noisy = basket.partition(", ")
    spec = read_build_spec(EXAMPLES / f"{name}.toml")
    if noisy.endswith("ridge"):
        spec = replace(spec, training=replace(spec.training, ridge="auto"))
    return replace(spec, labels=NOISY) if noisy else spec


def labels_of(spec: BuildSpec, way: Way, samples: int, *, smoke: bool) -> LabelSpec:
    """The labels of the specification with another number of samples and what the way differentiates."""
    labels = replace(
        spec.labels,
        samples=samples * way.samples,
        order=way.order,
        directions=way.directions,
        direction_law=way.law,
    )
    return replace(labels, paths=64, replicates=2) if smoke else labels


def measure(spec: BuildSpec, way: Way, labels: LabelSpec, exam: Exam, *, seed: int, smoke: bool) -> dict[str, Any]:
    """Scores and seconds of one way and seed."""
    began = time.process_time()
    features = sample_features(spec.pricing, labels, seed=seed)
    made = make_labels(spec.pricing, features, labels, seed=seed)
    labelled = time.process_time()
    training = TrainingSpec(
        loss=SobolevLoss(order=way.order),
        optimisers=(SMOKE if smoke else OPTIMISER,),
        ridge=spec.training.ridge,
    )
    network = fit(from_labels(made), NETWORK, training, generator=torch.Generator().manual_seed(seed)).network
    trained = time.process_time()
    scores = accuracy(predict(network, exam.spots), exam.answers, spec.box)
    lost = {}
    for greek in GREEKS:
        r2 = scores[greek].r2
        assert r2 is not None
        lost[greek] = 1.0 - r2
    return {**lost, "label_seconds": labelled - began, "training_seconds": trained - labelled, "paths": made.paths}


def rows(baskets: tuple[str, ...], sizes: tuple[int, ...], *, smoke: bool) -> Iterator[dict[str, Any]]:
    """A row a basket, size and way."""
    exams = dict[str, Exam]()
    for basket in baskets:
        spec, (example, *_) = specification(basket), basket.split(", ")
        if example not in exams:
            exams[example] = examination(spec, 16 if smoke else POINTS[example])
        exam = exams[example]
        ridged = spec.training.ridge == "auto"
        for samples in sizes[-1:] if ridged else sizes:
            for way in QUICK if smoke else RIDGE_WAYS if ridged else WAYS:
                labels = labels_of(spec, way, samples, smoke=smoke)
                seeds = SEEDS[:1] if smoke else SEEDS
                runs = [measure(spec, way, labels, exam, seed=seed, smoke=smoke) for seed in seeds]
                yield {"basket": basket, "samples": samples, "loss": way.name, **over_seeds(runs)}


def over_seeds(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """[Median, least, largest] of what is lost, and medians of what it cost."""
    columns = {name: [run[name] for run in runs] for name in runs[0]}
    lost = {greek: [float(np.median(columns[greek])), min(columns[greek]), max(columns[greek])] for greek in GREEKS}
    return lost | {name: float(np.median(columns[name])) for name in ("paths", "label_seconds", "training_seconds")}


def show(found: Iterator[dict[str, Any]]) -> None:
    """The rows as a table, each as it comes."""
    print("| basket | samples | loss | 1 - R2 of delta | 1 - R2 of gamma | label s | training s |")
    print("|---|---|---|---|---|---|---|")
    for row in found:
        cells = [row["basket"], str(row["samples"]), row["loss"]]
        cells += ["{:.1e} ({:.0e} to {:.0e})".format(*row[greek]) for greek in ("delta", "gamma")]
        cells += [f"{row['label_seconds']:.2f}", f"{row['training_seconds']:.1f}"]
        print("| " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Label, train, score."""
    parser = argparse.ArgumentParser(description="Second-order directions: what they bring and what they cost.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="a few iterations on a few samples, for CI")
    parser.add_argument("--baskets", nargs="+", choices=BASKETS, default=BASKETS)
    parser.add_argument("--samples", type=int, nargs="+", default=SAMPLES)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = (16,) if arguments.smoke else tuple(arguments.samples)
    baskets = tuple(arguments.baskets[:1] if arguments.smoke else arguments.baskets)
    found = rows(baskets, sizes, smoke=arguments.smoke)
    if arguments.json:
        print(json.dumps({"seeds": SEEDS[:1] if arguments.smoke else SEEDS, "rows": list(found)}, indent=2))
    else:
        show(found)


if __name__ == "__main__":
    main()
