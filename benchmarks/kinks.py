"""What a network makes of a maturity over which the value bends: R2 of values, deltas, gammas and thetas.

A call, or a geometric Asian with four dates, as a function of spot and maturity (.1 to 1.5 years, a volatility of 20 %)
whose rate or volatility changes at half a year, learnt in the features themselves: what `pricing.specs.kinks` would
refuse, what it takes, and the call as exact scaling has it, whose formulas bend where it does. Worst of the seeds, at
points that are uniform in the Box, against closed forms.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch
from torch import Tensor

from pricing.domain import Feature
from pricing.labels import make_labels
from pricing.references.reference import reference
from pricing.sampling import sample_features, sample_uniform
from pricing.specs.asian import Asian
from pricing.specs.european import Call
from pricing.specs.kinks import kinks
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.specs.schedule import Piece
from surrogate.dataset import from_labels
from surrogate.functions.network import Network, value_gradient_hessian
from surrogate.learning.training import fit
from surrogate.reductions.choice import reduce
from surrogate.reductions.reduction import Reduction, derivatives, to_network
from surrogate.spec import LevenbergMarquardt, NetworkSpec, SobolevLoss, TrainingSpec

SEEDS = (0, 1, 2)
RATE, CHANGES = 0.02, 0.5
SPOT, MATURITY = (70.0, 130.0), (0.1, 1.5)
CALL = Call(weights=(1.0,), strike=100.0)
ASIAN = Asian(weights=(1.0,), strike=100.0, dates=(0.25, 0.5, 0.75, 1.0), average="geometric")
SCORES = ("value", "delta", "gamma", "theta")
# Payoff, rate after the change less the one before, factor of the volatility, and whether it is scaled.
CASES: tuple[tuple[str, Payoff, float, float, bool], ...] = (
    ("call", CALL, 0.0, 1.0, False),
    ("call", CALL, 0.01, 1.0, False),
    ("call", CALL, 0.03, 1.0, False),
    ("call", CALL, 0.1, 1.0, False),
    ("call", CALL, 0.0, 1.1, False),
    ("call", CALL, 0.0, 1.5, False),
    ("call", CALL, 0.0, 3.0, False),
    ("Asian", ASIAN, 0.01, 1.1, False),
    ("Asian", ASIAN, 0.03, 1.5, False),
    ("call, scaled", CALL, 0.1, 3.0, True),
)


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much of everything."""

    samples: int = 1024
    paths: int = 128
    points: int = 1024
    short: int = 30
    long: int = 150


SMOKE = Effort(samples=64, paths=16, points=16, short=2, long=2)


def problem(payoff: Payoff, step: float, factor: float) -> PricingProblem:
    """The payoff as a function of spot and maturity, its rate and volatility changing at half a year."""
    process = BlackScholes(
        volatilities=(0.2,),
        correlation=((1.0,),),
        rate=RATE,
        rate_pieces=(Piece(start=CHANGES, value=RATE + step),),
        volatility_pieces=(Piece(start=CHANGES, value=factor),),
    )
    ends = (("spot", SPOT), ("maturity", MATURITY))
    features = tuple(Feature(name=name, lower=(low,), upper=(high,)) for name, (low, high) in ends)
    return PricingProblem(process=process, payoff=payoff, maturity=1.0, features=features)


def learnt(given: PricingProblem, reduction: Reduction | None, effort: Effort, *, seed: int) -> Network:
    """A network of the problem's labels, or of those of the scaled one."""
    asked = given if reduction is None else reduction.canonical
    spec = LabelSpec(samples=effort.samples, paths=effort.paths, replicates=2)
    labels = make_labels(asked, sample_features(asked, spec, seed=seed), spec, seed=seed)
    data = from_labels(labels) if reduction is None else to_network(reduction, from_labels(labels))
    optimiser = LevenbergMarquardt(starts=4, short=effort.short, finalists=1, long=effort.long)
    training = TrainingSpec(loss=SobolevLoss(order=2), optimisers=(optimiser,))
    network = NetworkSpec(hidden=(12, 12), activation="silu")
    return fit(data, network, training, generator=torch.Generator().manual_seed(seed)).network


def scores(given: PricingProblem, reduction: Reduction | None, network: Network, x: Tensor) -> dict[str, float]:
    """R2 of every kind. Shape: x batch feature."""
    found = value_gradient_hessian(network, x) if reduction is None else derivatives(reduction, network, x)
    right = reference(given, x.numpy())
    value, gradient, hessian = (tensor.detach().numpy() for tensor in found)
    pairs = (
        (value, right.value),
        (gradient[:, 0], right.gradient[:, 0]),
        (hessian[:, 0, 0], right.hessian[:, 0, 0]),
        (gradient[:, 1], right.gradient[:, 1]),
    )
    shares = (float(((mine - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()) for mine, true in pairs)
    return {name: 1.0 - share for name, share in zip(SCORES, shares, strict=True)}


def rows(effort: Effort, seeds: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """A row a case: the worst of the seeds, processor seconds of one, and whether a build would take it."""
    for name, payoff, step, factor, scaled in CASES:
        given = problem(payoff, step, factor)
        reduction = reduce(given) if scaled else None
        began = time.process_time()
        points = [sample_uniform(given.box, effort.points, seed=10_000 + seed) for seed in seeds]
        runs = [
            scores(given, reduction, learnt(given, reduction, effort, seed=seed), x)
            for seed, x in zip(seeds, points, strict=True)
        ]
        yield {
            "payoff": name,
            "rate_step": step,
            "volatility_factor": factor,
            "bends": len(kinks(given)),
            **{score: float(np.min([run[score] for run in runs])) for score in SCORES},
            "seconds": (time.process_time() - began) / len(seeds),
        }


def main() -> None:
    """Label, train, score."""
    parser = argparse.ArgumentParser(description="Networks of a maturity over which the value bends.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="few of everything, for CI: shows that it runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds, effort = (SEEDS[:1], SMOKE) if arguments.smoke else (SEEDS, Effort())
    found = rows(effort, seeds)
    if arguments.json:
        print(json.dumps({"seeds": seeds, "rows": list(found)}, indent=2))
        return
    print("| payoff | rate changes by | volatility by a factor of | a build | value | delta | gamma | theta |")
    print("|---|---|---|---|---|---|---|---|")
    for row in found:
        taken = "takes it" if row["payoff"] == "call, scaled" or not row["bends"] else "refuses it unless scaled"
        cells = [row["payoff"], f"{row['rate_step']:.0%}", f"{row['volatility_factor']:g}", taken]
        print("| " + " | ".join(cells + [f"{row[score]:.7f}" for score in SCORES]) + " |", flush=True)


if __name__ == "__main__":
    main()
