"""Many outputs at the price of a few: a Black-Scholes basket at 16 strikes in one network, by sampled products.

All strikes are paid on the same paths, so 16 values cost what one does, but their gradients an adjoint sweep each.
Rows: values alone; one, two and four random products u^T dV/dx with the Jacobian a sample (a sweep each); the whole
Jacobian (16 sweeps); and, as builds do it, a network of one output with the strike as a feature, labelled at as many
random strikes a sample. The market of examples/black_scholes_basket_7.toml, 8,192 common paths, one network and start a
seed.

1 - R2 of values and of deltas, mean over strikes and assets, on other points and 32,768 other paths: median of the
seeds, least and largest; processor seconds of labels and training, median.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
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
from pricing.draws import stream, to_normals, uniforms
from pricing.processes.simulate import simulate
from pricing.simulation.scenario import scenario, times
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from surrogate.dataset import Dataset
from surrogate.functions.network import outputs_and_pullbacks, value_and_gradient
from surrogate.learning.cotangents import draw_cotangents, every_output
from surrogate.learning.training import fit
from surrogate.spec import LBFGS, NetworkSpec, SobolevLoss, TrainingSpec

EXAMPLE = Path(__file__).parent.parent / "examples" / "black_scholes_basket_7.toml"
SEEDS, PROBES, FEATURED = (0, 1, 2), (0, 1, 2, 4, 16), (2, 4, 16)
# The whole Jacobian has a probe a strike.
STRIKES = tuple(np.linspace(0.85, 1.15, 16).tolist())
NETWORK = NetworkSpec(hidden=(16, 16))
SCORES = ("value", "delta")


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much of everything."""

    samples: int = 64
    paths: int = 8192
    points: int = 128
    judging_paths: int = 32_768
    iterations: int = 1000


SMOKE = Effort(samples=32, paths=64, points=16, judging_paths=64, iterations=3)


def draw(problem: PricingProblem, samples: int, paths: int, *, seed: int) -> tuple[Tensor, Tensor]:
    """Spots in the Box and normals of the paths. Shape: -> batch feature; 1 path dimension."""
    box = problem.box
    spots = box.from_uniforms(uniforms("sobol", samples, box.dimension, generator=stream("features", seed=seed)))
    normals = to_normals(uniforms("sobol", paths, box.dimension, generator=stream("paths", seed=seed)))
    return torch.from_numpy(spots), torch.from_numpy(normals)[None]


def ladder(problem: PricingProblem, spots: Tensor, strikes: Tensor, normals: Tensor) -> Tensor:
    """Values of the call at every strike, on the same paths.

    Shape: batch feature; strikes batch-or-1 output -> batch output.
    """
    at = scenario(problem, spots)
    paths = simulate(problem.process, at, normals, times(problem, at))
    basket = paths.basket(narrow(Call, problem.payoff).weights)
    values = [(basket - strike).clamp(min=0.0).mean(dim=1) for strike in strikes[..., None].unbind(dim=1)]
    return torch.stack(values, dim=1) * paths.discount[:, :, -1]


def labelled(problem: PricingProblem, spots: Tensor, normals: Tensor, probes: int, *, seed: int) -> Dataset:
    """Values, and as many products with the Jacobian: one adjoint sweep each. Shape: spots batch feature."""
    x = spots.clone().requires_grad_(probes > 0)
    y = ladder(problem, x, torch.tensor([STRIKES]), normals)
    if probes == 0:
        return Dataset(x=spots, y=y)
    values, generator = y.detach(), torch.Generator().manual_seed(seed)
    drawn = every_output(spots, values) if probes == len(STRIKES) else None
    cotangents = draw_cotangents(spots, values, probes, generator=generator) if drawn is None else drawn
    sweeps = [torch.autograd.grad((y * u).sum(), x, retain_graph=True)[0] for u in cotangents.unbind(dim=1)]
    return Dataset(x=spots, y=values, cotangents=cotangents, pullbacks=torch.stack(sweeps, dim=1))


def exam(problem: PricingProblem, effort: Effort) -> tuple[Tensor, Tensor, Tensor]:
    """Points, values and Jacobians, of paths that no seed learns from.

    Shape: -> batch feature; batch output; batch output feature.
    """
    spots, normals = draw(problem, effort.points, effort.judging_paths, seed=10_000)
    x = spots.clone().requires_grad_()
    y = ladder(problem, x, torch.tensor([STRIKES]), normals)
    rows = [torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in y.unbind(dim=1)]
    return spots, y.detach(), torch.stack(rows, dim=1)


def lost(found: Tensor, right: Tensor) -> float:
    """1 - R2, mean over all columns. Shape: both batch ..."""
    share = (found - right).square().sum(dim=0) / (right - right.mean(dim=0)).square().sum(dim=0)
    return float(share.mean())


def measure(
    problem: PricingProblem, probes: int, judged: tuple[Tensor, Tensor, Tensor], effort: Effort, *, seed: int
) -> dict[str, float]:
    """Scores and seconds of one seed. Shape: judged as of `exam`."""
    began = time.process_time()
    spots, normals = draw(problem, effort.samples, effort.paths, seed=seed)
    data = labelled(problem, spots, normals, probes, seed=seed)
    labels = time.process_time()
    loss = SobolevLoss(order=1 if probes else 0)
    spec = TrainingSpec(loss=loss, optimisers=(LBFGS(iterations=effort.iterations),))
    network = fit(data, NETWORK, spec, generator=torch.Generator().manual_seed(seed)).network
    trained = time.process_time()
    x, y, jacobian = judged
    one_by_one = torch.eye(len(STRIKES), dtype=x.dtype).expand(len(x), -1, -1)
    found, rows = outputs_and_pullbacks(network, x, one_by_one)
    return {
        "value": lost(found, y),
        "delta": lost(rows, jacobian),
        "label_seconds": labels - began,
        "training_seconds": trained - labels,
    }


def by_feature(problem: PricingProblem, spots: Tensor, normals: Tensor, count: int, *, seed: int) -> Dataset:
    """Values and gradients at random strikes a sample, the strike the last feature. Shape: spots batch feature."""
    drawn = torch.rand(len(spots), count, dtype=spots.dtype, generator=torch.Generator().manual_seed(seed))
    strikes = (STRIKES[0] + (STRIKES[-1] - STRIKES[0]) * drawn).requires_grad_()
    x = spots.clone().requires_grad_()
    y = ladder(problem, x, strikes, normals)
    by_spot = [torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in y.unbind(dim=1)]
    by_strike = torch.autograd.grad(y.sum(), strikes)[0]
    return Dataset(
        x=torch.cat([spots.repeat_interleave(count, dim=0), strikes.detach().reshape(-1, 1)], dim=1),
        y=y.detach().reshape(-1),
        gradient=torch.cat([torch.stack(by_spot, dim=1).flatten(end_dim=1), by_strike.reshape(-1, 1)], dim=1),
    )


def measure_feature(
    problem: PricingProblem, count: int, judged: tuple[Tensor, Tensor, Tensor], effort: Effort, *, seed: int
) -> dict[str, float]:
    """As `measure`, of a network of one output."""
    began = time.process_time()
    spots, normals = draw(problem, effort.samples, effort.paths, seed=seed)
    data = by_feature(problem, spots, normals, count, seed=seed)
    labels = time.process_time()
    spec = TrainingSpec(loss=SobolevLoss(order=1), optimisers=(LBFGS(iterations=effort.iterations),))
    network = fit(data, NETWORK, spec, generator=torch.Generator().manual_seed(seed)).network
    trained = time.process_time()
    x, y, jacobian = judged
    strikes = x.new_tensor(STRIKES).repeat(len(x))[:, None]
    value, gradient = value_and_gradient(network, torch.cat([x.repeat_interleave(len(STRIKES), dim=0), strikes], dim=1))
    return {
        "value": lost(value.reshape(y.shape), y),
        "delta": lost(gradient[:, :-1].reshape(jacobian.shape), jacobian),
        "label_seconds": labels - began,
        "training_seconds": trained - labels,
    }


def rows(effort: Effort, seeds: tuple[int, ...]) -> Iterator[dict[str, Any]]:
    """A row a variant: [median, least, largest] of what is lost, medians of seconds."""
    problem = read_build_spec(EXAMPLE).pricing
    judged = exam(problem, effort)
    variants = [(name_of(probes), partial(measure, problem, probes)) for probes in PROBES]
    variants += [(f"strike a feature, {count}", partial(measure_feature, problem, count)) for count in FEATURED]
    for name, run in variants:
        runs = [run(judged, effort, seed=seed) for seed in seeds]
        columns = {score: [found[score] for found in runs] for score in runs[0]}
        medians = {score: float(np.median(column)) for score, column in columns.items()}
        scores = {score: [medians.pop(score), min(columns[score]), max(columns[score])] for score in SCORES}
        yield {"variant": name, **scores, **medians}


def name_of(probes: int) -> str:
    """As a row is called."""
    whole = "whole Jacobian, 16"
    return "values alone" if probes == 0 else whole if probes == len(STRIKES) else str(probes)


def main() -> None:
    """Label, train, score."""
    parser = argparse.ArgumentParser(description="Sobolev training of 16 strikes by sampled products.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="few of everything, for CI: shows that it runs")
    parser.add_argument("--samples", type=int, default=Effort.samples)
    parser.add_argument("--paths", type=int, default=Effort.paths, help="that every sample is labelled on")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    seeds = SEEDS[:1] if arguments.smoke else SEEDS
    effort = Effort(samples=arguments.samples, paths=arguments.paths)
    found = rows(SMOKE if arguments.smoke else effort, seeds)
    if arguments.json:
        print(json.dumps({"seeds": seeds, "rows": list(found)}, indent=2))
        return
    print("| products a sample | 1 - R2 of values | 1 - R2 of deltas | label s | training s |")
    print("|---|---|---|---|---|")
    for row in found:
        cells = ["{:.1e} ({:.0e} to {:.0e})".format(*row[score]) for score in SCORES]
        cells += [f"{row['label_seconds']:.2f}", f"{row['training_seconds']:.1f}"]
        print(f"| {row['variant']} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
