"""Sparse flows: likelihood against sparsity on the toy densities of the talk, and labels made where the market goes.

Toy densities, after Liebenwein et al. (2021) and the torchdyn library: six Gaussians on a ring, seven Gaussians along a
spiral, two arms of a spiral. One dense flow a seed, cut to 50, 80, 90 and 95 % in a cascade with training after every
cut; the negative log-likelihood (nats a state) is of states that no training has seen. "Evaluations" are those of the
field that the fixed-step solver needs for the likelihood to move by less than 0.001 when its steps are halved.

Market: half a year of daily states of the seven-asset example, a Bachelier path from 1 that is still in the Box a month
later. A flow learns them, dense and 80 % sparse; surrogates are fitted to equally many closed-form labels at its states
and at uniform points of the Box, and judged at the states of that month. Twice: the example's own network of 3-3 nodes,
which must choose where to be good, and one of 16-16, which need not.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch
from torch import Tensor

from app.specification.toml_files import read_build_spec
from benchmarks.cases.narrow import narrow
from pricing.draws import stream
from pricing.sampling import sample_inside
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.specs.sampler import FlowSpec
from pricing.types import Array
from pruning.methods import METHODS
from pruning.sparse_flow import learn_states, prune_flow
from pruning.spec import MethodName, PruningSpec
from pruning.stage import size
from surrogate.dataset import Dataset
from surrogate.evaluation.accuracy import predict
from surrogate.evaluation.evaluate import reference
from surrogate.flows.flow import Flow, log_density, start_flow, transport
from surrogate.flows.training import train_flow
from surrogate.learning.training import fit
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, SobolevLoss, TrainingSpec

EXAMPLE = Path(__file__).parent.parent / "examples" / "bachelier_basket_7.toml"
VARIANTS: tuple[MethodName, ...] = ("magnitude", "chita", "random", "magnitude_neuron")
SPARSITIES = (0.5, 0.8, 0.9, 0.95)
HIDDEN, STEPS = (32, 32), 6
STATES = 2048
LARGEST_STEPS, STEADY = 256, 1e-3
DAYS, LATER_DAYS, YEAR = 126, 21, 252
GREEKS = ("value", "delta", "gamma")
LABELS = 512

Row = dict[str, Any]


def ring(count: int, generator: np.random.Generator) -> Array:
    """Six Gaussians of deviation 0.2 on a circle of radius 1."""
    angle = generator.integers(0, 6, count) * math.pi / 3.0
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.2 * generator.standard_normal((count, 2))


def gaussian_spiral(count: int, generator: np.random.Generator) -> Array:
    """Seven Gaussians, four to a turn, radius 1 to 0.2 and deviation 0.15 to 0.05 inwards."""
    which = generator.integers(0, 7, count)
    angle, inwards = which * math.pi / 2.0, which / 6.0
    centre = (1.0 - 0.8 * inwards)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return np.asarray(centre + (0.15 - 0.1 * inwards)[:, None] * generator.standard_normal((count, 2)))


def spiral(count: int, generator: np.random.Generator) -> Array:
    """Two arms of one and a half turns, uniform by area; noise of deviation 0.1, where a turn moves an arm out by 1."""
    angle = 3.0 * math.pi * np.sqrt(generator.random(count))
    arm = 2.0 * generator.integers(0, 2, count) - 1.0
    points = (arm * angle)[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1) / (2.0 * math.pi)
    return np.asarray(points + 0.1 * generator.standard_normal((count, 2)))


DENSITIES: Mapping[str, Callable[[int, np.random.Generator], Array]] = {
    "gaussians": ring,
    "gaussian spiral": gaussian_spiral,
    "spiral": spiral,
}


def nll(flow: Flow, states: Tensor) -> float:
    """Mean negative log-likelihood, nats a state."""
    with torch.no_grad():
        return -float(log_density(flow, states, generator=torch.Generator().manual_seed(0)).mean())


def evaluations(flow: Flow, states: Tensor) -> int:
    """Evaluations of the field after which half the step changes the likelihood by less than `STEADY`."""
    steps, coarser = 1, nll(replace(flow, steps=1), states)
    while steps < LARGEST_STEPS:
        finer = nll(replace(flow, steps=2 * steps), states)
        if abs(finer - coarser) < STEADY:
            break
        steps, coarser = 2 * steps, finer
    return replace(flow, steps=steps).evaluations


def measure(flow: Flow, test: Tensor, whole: int) -> Row:
    """What a row of the table says of a flow."""
    return {
        "nll": nll(flow, test),
        "weights_kept": size(flow.field, "weights") / whole,
        "evaluations": evaluations(flow, test[:256]),
    }


def cut(flow: Flow, method: MethodName, sparsity: float, hidden: int) -> PruningSpec:
    """The next step of the cascade; the share of nodes counts from the dense field."""
    if METHODS[method].granularity == "nodes":
        sparsity = 1.0 - max(2, round((1.0 - sparsity) * hidden)) / sum(flow.field.widths[1:-1])
    return PruningSpec(method=method, sparsity=max(0.0, sparsity))


def toy(name: str, seed: int, *, smoke: bool) -> list[Row]:
    """All rows of one density and seed."""
    draw, count = DENSITIES[name], 128 if smoke else STATES
    training, test = (
        torch.from_numpy(draw(count, stream(f"flows/{name}/{share}", seed=seed))) for share in ("training", "test")
    )
    generator = torch.Generator().manual_seed(seed)
    start = start_flow(training, (8, 8) if smoke else HIDDEN, "tanh", steps=STEPS, generator=generator)
    first = Adam(epochs=1 if smoke else 60, learning_rate=3e-2)
    again = (Adam(epochs=1 if smoke else 15, learning_rate=2e-2),)
    begun = time.perf_counter()
    dense = train_flow(start, training, (first,), generator=generator).flow
    whole, hidden = size(dense.field, "weights"), sum(dense.field.widths[1:-1])

    def row(variant: str, sparsity: float, flow: Flow, begun: float) -> Row:
        seconds = time.perf_counter() - begun
        key = {"density": name, "variant": variant, "sparsity": sparsity, "seed": seed, "seconds": seconds}
        return key | measure(flow, test, whole)

    rows = [row("gaussian", 0.0, start, begun), row("dense", 0.0, dense, begun)]
    for method in VARIANTS:
        flow = dense
        for sparsity in SPARSITIES:
            begun = time.perf_counter()
            spec = cut(flow, method, sparsity, hidden)
            flow = prune_flow(flow, training, spec, again, generator=torch.Generator().manual_seed(seed))
            rows.append(row(method, sparsity, flow, begun))
    return rows


def history(problem: PricingProblem, *, seed: int) -> tuple[Array, Array]:
    """Daily states of a Bachelier path from 1, and those of the month after, which all lie in the Box."""
    process = narrow(Bachelier, problem.process)
    root = np.linalg.cholesky(np.array(process.correlation))
    daily = math.sqrt(1.0 / YEAR) * np.array(process.volatilities)
    generator = stream("flows/history", seed=seed)
    while True:
        normals = generator.standard_normal((DAYS + LATER_DAYS, problem.box.dimension))
        path = 1.0 + np.cumsum(normals @ root.T * daily, axis=0)
        if problem.box.contains(path[DAYS:]).all():
            return path[:DAYS], path[DAYS:]


def labelled(problem: PricingProblem, features: Array) -> Dataset:
    """Closed-form values and deltas."""
    exact = reference(problem, features)
    return Dataset(
        x=torch.from_numpy(features), y=torch.from_numpy(exact.value), gradient=torch.from_numpy(exact.delta)
    )


def samplers(problem: PricingProblem, states: Array, seed: int, *, smoke: bool) -> dict[str, tuple[Array, float]]:
    """Where labels are made, and the share of the draws that lies in the Box."""
    count, box = 64 if smoke else LABELS, problem.box
    uniform = box.from_uniforms(stream("flows/uniform", seed=seed).random((count, box.dimension)))
    samples = {"uniform": (uniform, 1.0)}
    for name, pruning in (("flow", None), ("sparse flow", PruningSpec(method="magnitude", sparsity=0.8, stages=3))):
        flow = learn_states(
            torch.from_numpy(states),
            FlowSpec(epochs=1) if smoke else FlowSpec(),
            pruning,
            generator=torch.Generator().manual_seed(seed),
            progress=lambda _: None,
        )
        inside = sample_inside(box, partial(transport, flow), count, seed=seed)
        samples[name] = (inside.features.numpy(), inside.share)
    return samples


def market(seed: int, *, smoke: bool) -> list[Row]:
    """Errors at the later states, by network and by where its labels were made."""
    problem = read_build_spec(EXAMPLE).pricing
    states, later = history(problem, seed=seed)
    exact, rows = reference(problem, later), list[Row]()
    large = LBFGS(iterations=5 if smoke else 200)
    small = LevenbergMarquardt(starts=1, short=2, long=2) if smoke else LevenbergMarquardt()
    for name, (features, share) in samplers(problem, states, seed, smoke=smoke).items():
        for hidden, optimiser in (((3, 3), small), ((16, 16), large)):
            recipe = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(optimiser,))
            generator = torch.Generator().manual_seed(seed)
            fitted = fit(labelled(problem, features), NetworkSpec(hidden=hidden), recipe, generator=generator)
            guess = predict(fitted.network, later)
            errors = {
                f"{greek}_rmse": float(np.sqrt(np.mean((getattr(guess, greek) - getattr(exact, greek)) ** 2)))
                for greek in GREEKS
            }
            shape = "-".join(map(str, hidden))
            rows.append({"network": shape, "sampler": name, "seed": seed, "inside": share, **errors})
    return rows


def cell(rows: list[Row], key: str, digits: str) -> str:
    """Mean over the seeds and, in brackets, the largest distance from it."""
    values = np.array([row[key] for row in rows])
    return f"{values.mean():{digits}} ({np.abs(values - values.mean()).max():{digits}})"


def print_toys(rows: list[Row]) -> None:
    """Likelihood, weights kept and evaluations of every density, method and sparsity."""
    print("| density | sparsity | method | nll | weights kept | evaluations |")
    print("|" + "---|" * 6)
    for density in dict.fromkeys(row["density"] for row in rows):
        for key in dict.fromkeys((row["sparsity"], row["variant"]) for row in rows):
            group = [row for row in rows if (row["density"], row["sparsity"], row["variant"]) == (density, *key)]
            cells = [cell(group, "nll", ".3f"), f"{np.mean([row['weights_kept'] for row in group]):.1%}"]
            print(
                f"| {density} | {key[0]:.0%} | {key[1]} | {' | '.join(cells)} | {cell(group, 'evaluations', '.0f')} |"
            )


def print_market(rows: list[Row]) -> None:
    """Errors at the later states, and how many times larger those of uniform labels are: geometric means."""
    keys = [f"{greek}_rmse" for greek in GREEKS]
    print("\n| network | labels at | draws inside | " + " | ".join(f"{key} | uniform over this" for key in keys) + " |")
    print("|" + "---|" * (3 + 2 * len(keys)))
    for network, sampler in sorted({(row["network"], row["sampler"]): None for row in rows}, reverse=True):
        group = [row for row in rows if (row["network"], row["sampler"]) == (network, sampler)]
        base = [row for row in rows if (row["network"], row["sampler"]) == (network, "uniform")]
        cells = [network, sampler, f"{np.mean([row['inside'] for row in group]):.0%}"]
        for key in keys:
            ratios = np.array([one[key] / other[key] for one, other in zip(base, group, strict=True)])
            mean = math.exp(float(np.log(ratios).mean()))
            rmse = math.exp(float(np.mean([math.log(row[key]) for row in group])))
            cells += [f"{rmse:.1e}", f"{mean:.2f} ({ratios.min():.2f} to {ratios.max():.2f})"]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    """Run both parts."""
    parser = argparse.ArgumentParser(description="Sparse flows on toy densities, and labels where the market goes.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, for CI: shows that it runs, not how well")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    torch.set_num_threads(1)  # the same bits on any machine
    start = time.perf_counter()
    seeds = arguments.seeds[:1] if arguments.smoke else arguments.seeds
    toys = [row for name in DENSITIES for seed in seeds for row in toy(name, seed, smoke=arguments.smoke)]
    markets = [row for seed in seeds for row in market(seed, smoke=arguments.smoke)]
    if arguments.json:
        print(json.dumps({"toys": toys, "market": markets, "seconds": time.perf_counter() - start}))
    else:
        print_toys(toys)
        print_market(markets)


if __name__ == "__main__":
    main()
