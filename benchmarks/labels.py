"""What a label costs: errors of value, delta and gamma against simulated paths and seconds, for every estimator.

Every product of `PRODUCTS` (its specification in examples/), at points of its Box, against its independent reference.
An error is the root mean square over points, entries and replicates, as a share of the reference's own size.
The baselines are antithetic pseudo-random paths: with a smoothed payoff, narrow or wide, as others do it, and with the
estimator that is chosen here. Their errors fall as one over the square root of the paths, so that the paths they would
need for our gamma error, divided by ours, is the ratio of the second table.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import torch
from torch import Tensor

from app.specification.toml_files import read_build_spec
from pricing.draws import stream, uniforms
from pricing.errors import InvalidSpec
from pricing.labels import derivatives
from pricing.monte_carlo import Expectation, prepare, replicate
from pricing.references.reference import Reference, reference
from pricing.specs.choice import settle
from pricing.specs.draws import Draws
from pricing.specs.estimator import Automatic, Estimator, LikelihoodRatio, Smoothed
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.types import Array

EXAMPLES = Path(__file__).parent.parent / "examples"
PRODUCTS = (
    "bachelier_basket_7",
    "black_scholes_basket_7",
    "spread",
    "worst_of_put",
    "best_of_call",
    "asian_arithmetic",
    "heston_call",
    "digital",
    "barrier_down_out",
    "barrier_discrete",
    "autocall_5",
)
# Payoffs that jump have no Lipschitz bound; the paths that a jump costs a smoothed label are another story.
JUMPS = frozenset({"digital", "barrier_down_out", "barrier_discrete", "autocall_5"})
POINTS, REPLICATES, PATHS = 16, 8, (256, 1024)
ANTITHETIC = Draws(source="antithetic", rotation="none")
# An error below this is rounding: such labels have no noise.
EXACT = LEAST_ERROR = 1e-12
WITHOUT_NOISE = 1e12


@dataclass(frozen=True, kw_only=True)
class Way:
    """One way to make labels."""

    name: str
    draws: Draws
    estimator: Estimator


WAYS = (
    Way(name="antithetic, smoothed", draws=ANTITHETIC, estimator=Smoothed()),
    Way(name="antithetic, smoothed wide", draws=ANTITHETIC, estimator=Smoothed(gamma_bias=1e-3)),
    Way(name="antithetic, likelihood ratio", draws=ANTITHETIC, estimator=LikelihoodRatio()),
    Way(name="Sobol, smoothed", draws=Draws(), estimator=Smoothed()),
    Way(name="antithetic, chosen", draws=ANTITHETIC, estimator=Automatic()),
    Way(name="Sobol unturned, chosen", draws=Draws(rotation="none"), estimator=Automatic()),
    Way(name="Sobol, chosen", draws=Draws(), estimator=Automatic()),
)
OURS = WAYS[-1].name
# What others do, and our estimators on their draws.
BASELINES = {
    "smoothed": ("antithetic, smoothed", "antithetic, smoothed wide"),
    "same estimator": ("antithetic, chosen",),
}


def measure(product: str, *, smoke: bool, seed: int) -> list[dict[str, Any]]:
    """Errors and seconds of every way and number of paths for one product."""
    problem = read_build_spec(EXAMPLES / f"{product}.toml").pricing
    generator = stream("labels benchmark", seed=seed)
    points = uniforms("sobol", 4 if smoke else POINTS, problem.box.dimension, generator=generator)
    features = problem.box.from_uniforms(points)
    exact = reference(problem, features, seed=seed)
    rows = []
    for way in WAYS:
        for paths in PATHS[:1] if smoke else PATHS:
            spec = LabelSpec(
                paths=paths, replicates=2 if smoke else REPLICATES, draws=way.draws, estimator=way.estimator
            )
            try:
                rows.append(
                    {
                        "product": product,
                        "way": way.name,
                        "paths": paths,
                        **errors(problem, features, spec, exact, seed),
                    }
                )
            except InvalidSpec as refusal:
                rows.append({"product": product, "way": way.name, "paths": paths, "refused": str(refusal)})
    chosen = type(settle(problem, Automatic())).__name__.lower()
    return [row | {"chosen": chosen, "reference": exact.kind} for row in rows]


def errors(problem: PricingProblem, features: Array, spec: LabelSpec, exact: Reference, seed: int) -> dict[str, Any]:
    """Relative errors of one replicate's labels, and the seconds of one."""
    x = torch.from_numpy(features)
    directions = torch.eye(x.shape[1], dtype=x.dtype).expand(len(x), -1, -1)
    simulation = prepare(problem, x, spec, seed=seed)

    def measure(expectation: Expectation, rows: slice) -> tuple[Tensor, ...]:
        return derivatives(expectation, x[rows], order=2, directions=directions[rows])

    start = time.perf_counter()
    runs = [replicate(simulation, len(x), measure, index=index, seed=seed) for index in range(spec.replicates)]
    seconds = (time.perf_counter() - start) / spec.replicates
    spots = problem.box.columns("spot")
    wanted = (exact.value, exact.gradient[:, spots], exact.hessian[:, spots, spots])
    found: dict[str, Any] = {"seconds": seconds}
    for name, index, want in zip(("value", "delta", "gamma"), range(3), wanted, strict=True):
        labels = torch.stack([run[index] for run in runs]).numpy()
        got = labels if index == 0 else labels[..., spots] if index == 1 else labels[..., spots, spots]
        found[name] = float(np.sqrt(np.mean((got - want) ** 2) / np.mean(want**2)))
    return found


def ratios(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Antithetic paths over ours for the same gamma error, by product, baseline and number of our paths.

    A baseline of several ways is the best of them at its most paths.
    """
    table = []
    for product in dict.fromkeys(row["product"] for row in rows):
        of = {(row["way"], row["paths"]): row for row in rows if row["product"] == product and "gamma" in row}
        budgets = sorted(paths for way, paths in of if way == OURS)
        for name, ways in BASELINES.items():
            variances = [
                of[way, paths]["gamma"] ** 2 * paths for way, paths in of if way in ways and paths == budgets[-1]
            ]
            if variances:
                found = {p: min(variances) / max(of[OURS, p]["gamma"], LEAST_ERROR) ** 2 / p for p in budgets}
                noise = min(variances) > EXACT**2
                table.append(
                    {
                        "product": product,
                        "baseline": name,
                        "lipschitz": product not in JUMPS,
                        "ratio": {p: found[p] if noise else None for p in budgets},
                    }
                )
    return table


def show_ratio(ratio: float | None) -> str:
    """A ratio to two digits; the labels may have no noise on either side, or on ours alone."""
    if ratio is None:
        return "both exact"
    return "ours exact" if ratio > WITHOUT_NOISE else f"{float(f'{ratio:.2g}'):,.0f}"


def show(result: dict[str, Any]) -> None:
    """The tables, in Markdown."""
    print("| product (chosen estimator; reference) | labels | paths | value | delta | gamma | seconds |")
    print("|---|---|---|---|---|---|---|")
    for row in result["errors"]:
        name = f"{row['product']} ({row['chosen']}; {row['reference']})"
        if "refused" in row:
            print(f"| {name} | {row['way']} | {row['paths']} | refused | | | |")
        else:
            figures = " | ".join(f"{row[greek]:.1e}" for greek in ("value", "delta", "gamma"))
            print(f"| {name} | {row['way']} | {row['paths']} | {figures} | {row['seconds']:.3f} |")
    budgets = sorted(result["ratios"][0]["ratio"])
    columns = " | ".join(f"at {paths} paths" for paths in budgets)
    print(f"\n| antithetic paths over ours, same gamma error | Lipschitz | antithetic labels | {columns} |")
    print("|---|---|---|" + "---|" * len(budgets))
    for row in result["ratios"]:
        figures = " | ".join(show_ratio(row["ratio"][paths]) for paths in budgets)
        print(f"| {row['product']} | {'yes' if row['lipschitz'] else 'no'} | {row['baseline']} | {figures} |")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="Errors of labels against their cost.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="one short round")
    parser.add_argument("--products", nargs="*", default=None, help="names of examples")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    products = given.products or (PRODUCTS[:2] if given.smoke else PRODUCTS)
    rows = [row for product in products for row in measure(product, smoke=given.smoke, seed=given.seed)]
    result = {"seed": given.seed, "errors": rows, "ratios": ratios(rows)}
    print(json.dumps(result)) if given.json else show(result)


if __name__ == "__main__":
    main()
