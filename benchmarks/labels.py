"""What a label costs: errors of value, delta and gamma against simulated paths and seconds, for every estimator.

Every product of `PRODUCTS` (its specification in examples/), at points of its Box, against its independent reference.
An error is the root mean square over points, entries and replicates, as a share of the reference's own size.
The baselines are antithetic pseudo-random paths: with a smoothed payoff, narrow or wide, as others do it, and with the
estimator that is chosen here. Their errors fall as one over the square root of the paths, so that the paths they would
need for our gamma error, divided by ours, is the ratio of the second table.

The last table times paths alone: a basket of seven assets, one thread.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import QuantLib
import torch
from torch import Tensor

from app.spec import read_build_spec
from pricing.draws import Source, stream, to_normals, uniforms
from pricing.errors import InvalidSpec
from pricing.estimators.choice import settle
from pricing.labels import derivatives
from pricing.monte_carlo import Expectation, prepare, replicate
from pricing.payoffs import cash
from pricing.references.reference import Reference, reference
from pricing.scenario import scenario, times
from pricing.simulation import blocks, simulate
from pricing.specs.draws import Draws
from pricing.specs.estimator import Automatic, Estimator, LikelihoodRatio, Smoothed
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
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
JUMPS = frozenset({"digital", "barrier_discrete", "autocall_5"})
POINTS, REPLICATES, PATHS = 16, 8, (256, 1024)
ANTITHETIC = Draws(source="antithetic", rotation="none")
# An error below this is rounding: such labels have no noise.
EXACT = LEAST_ERROR = 1e-12
WITHOUT_NOISE = 1e12
THROUGHPUT_PATHS, ROUNDS, CHUNK = 1 << 18, 9, 1 << 15


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


def throughput(*, smoke: bool) -> list[dict[str, Any]]:
    """Simulated paths a second of a seven-asset Black-Scholes basket with its payoff, one thread, medians."""
    problem = read_build_spec(EXAMPLES / "black_scholes_basket_7.toml").pricing
    paths = 1 << 12 if smoke else THROUGHPUT_PATHS
    runs: dict[str, Callable[[int], float]] = {
        "Sobolite, pseudo-random": lambda seed: ours(problem, paths, seed),
        "Sobolite, antithetic": lambda seed: ours(problem, paths, seed, source="antithetic"),
        "Sobolite, Sobol": lambda seed: ours(problem, paths, seed, source="sobol"),
        "NumPy": lambda seed: plain(problem, paths, seed),
        "QuantLib": lambda seed: quantlib(problem, paths, seed),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(1 if smoke else ROUNDS):
        for name, run in runs.items():
            start = time.perf_counter()
            run(turn + 1)
            seconds[name].append(time.perf_counter() - start)
    return [{"simulator": name, "paths_per_second": paths / float(np.median(taken))} for name, taken in seconds.items()]


def ours(problem: PricingProblem, paths: int, seed: int, source: Source = "pseudo") -> float:
    """Value at the centre of the Box."""
    box = problem.box
    x = torch.from_numpy(0.5 * (box.lower + box.upper))[None]
    at, dimension = scenario(problem, x), sum(blocks(problem.process, 1))
    generator = stream("throughput", seed=seed)
    total, count = 0.0, min(CHUNK, paths)
    with torch.no_grad():
        for _ in range(paths // count):
            drawn = torch.from_numpy(normals(source, count, dimension, generator=generator))
            made = simulate(problem.process, at, drawn[None], times(problem, at))
            total += float((made.discount[..., -1] * cash(problem.payoff, made, at)).sum())
    return total / paths


def normals(source: Source, count: int, dimension: int, *, generator: np.random.Generator) -> Array:
    """Standard normals by the fastest way of each kind. Shape: -> path dimension."""
    match source:
        case "pseudo":
            return generator.standard_normal((count, dimension))
        case "antithetic":
            half = generator.standard_normal((count // 2, dimension))
            return np.concatenate([half, -half])
        case "sobol":
            return to_normals(uniforms("sobol", count, dimension, generator=generator))


def plain(problem: PricingProblem, paths: int, seed: int) -> float:
    """The same with NumPy as one would write it."""
    process = problem.process
    assert isinstance(process, BlackScholes)
    spots = 0.5 * (problem.box.lower + problem.box.upper)
    sigma, T = np.array(process.volatilities), problem.maturity
    drift = process.rate - np.array(process.dividend_yields) - 0.5 * sigma**2
    z = np.random.default_rng(seed).standard_normal((paths, len(sigma))) @ np.linalg.cholesky(process.correlation).T
    terminal = spots * np.exp(drift * T + sigma * np.sqrt(T) * z)
    payoff: Any = problem.payoff
    return float(
        np.exp(-process.rate * T) * np.maximum(terminal @ np.array(payoff.weights) - payoff.strike, 0.0).mean()
    )


def quantlib(problem: PricingProblem, paths: int, seed: int) -> float:
    """The same by QuantLib's Monte Carlo basket engine."""
    process, payoff = problem.process, problem.payoff
    assert isinstance(process, BlackScholes)
    assert isinstance(payoff, Call)
    today = QuantLib.Date(1, 1, 2026)
    QuantLib.Settings.instance().evaluationDate = today
    count, calendar = QuantLib.Actual365Fixed(), QuantLib.NullCalendar()
    spots = 0.5 * (problem.box.lower + problem.box.upper)
    rate = QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, process.rate, count))
    assets = [
        QuantLib.BlackScholesMertonProcess(
            QuantLib.QuoteHandle(QuantLib.SimpleQuote(spot)),
            QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, dividend, count)),
            rate,
            QuantLib.BlackVolTermStructureHandle(QuantLib.BlackConstantVol(today, calendar, sigma, count)),
        )
        for spot, dividend, sigma in zip(spots.tolist(), process.dividend_yields, process.volatilities, strict=True)
    ]
    vanilla = QuantLib.PlainVanillaPayoff(QuantLib.Option.Call, payoff.strike)
    option = QuantLib.BasketOption(
        QuantLib.AverageBasketPayoff(vanilla, list(payoff.weights)),
        QuantLib.EuropeanExercise(today + round(365 * problem.maturity)),
    )
    array = QuantLib.StochasticProcessArray(assets, QuantLib.Matrix([list(row) for row in process.correlation]))
    option.setPricingEngine(QuantLib.MCPREuropeanBasketEngine(array, timeSteps=1, requiredSamples=paths, seed=seed))
    return float(option.NPV())


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
    print("\n| simulator | paths a second, one thread |\n|---|---|")
    for row in result["throughput"]:
        print(f"| {row['simulator']} | {row['paths_per_second']:,.0f} |")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="Errors of labels against their cost, and simulator throughput.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="one short round")
    parser.add_argument("--products", nargs="*", default=None, help="names of examples")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    products = given.products or (PRODUCTS[:2] if given.smoke else PRODUCTS)
    rows = [row for product in products for row in measure(product, smoke=given.smoke, seed=given.seed)]
    result = {"seed": given.seed, "errors": rows, "ratios": ratios(rows), "throughput": throughput(smoke=given.smoke)}
    print(json.dumps(result)) if given.json else show(result)


if __name__ == "__main__":
    main()
