"""Simulated paths a second of a value: this simulator, plain NumPy and QuantLib, the same steps, one thread.

Three problems of examples/ at the centre of their Box: a basket of seven Black-Scholes assets in one step, Heston and
local volatility in the steps of their specification. NumPy's loops are what one would write: Andersen's
quadratic-exponential step for Heston, two normals a step, and Euler's on the formula of the same surface. QuantLib
takes the same steps in its own engines, local volatility from a table of the surface and on an even grid.

All take their turn in every round; a figure is the median over the rounds, in processor seconds, so that what else the
machine does counts little. Values come with standard errors over the rounds: the simulators agree, up to the bias of
their schemes.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import QuantLib
import torch
from msgspec.structs import replace
from scipy.special import ndtr

from app.specification.toml_files import read_build_spec
from benchmarks.cases.narrow import narrow
from pricing.draws import Source, stream, to_normals, uniforms
from pricing.processes.local_volatility import GRADING, SHORTEST, Smile, local_variance, smiles
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.payoffs import cash
from pricing.simulation.scenario import scenario, times
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes, Heston, LocalVolatility
from pricing.types import Array

EXAMPLES = Path(__file__).parent.parent / "examples"
PATHS, ROUNDS = 1 << 18, 9
# Paths at a time, the fastest of 2^12 to 2^18 for each: a tensor operation has to cost more than its dispatch, and the
# arrays of NumPy's loops have to fit the cache.
CHUNK, NUMPY_CHUNK = 1 << 15, 1 << 13
# The relative spread beyond which Andersen takes his exponential branch.
SWITCH = 1.5
# QuantLib's table of the local volatility surface.
TABLE_STRIKES = 101

Run = Callable[[PricingProblem, int, int], float]


def throughput(*, smoke: bool) -> list[dict[str, Any]]:
    """Paths a second and values, by problem and simulator."""
    paths, rounds = (1 << 12, 2) if smoke else (PATHS, ROUNDS)
    cases = [(name, problem, simulator, run) for name, problem in problems() for simulator, run in runs(problem)]
    seconds, values = np.zeros((2, rounds, len(cases)))
    for turn in range(rounds):
        for column, (_, problem, _, run) in enumerate(cases):
            start = time.process_time()
            values[turn, column] = run(problem, paths, turn + 1)
            seconds[turn, column] = time.process_time() - start
    return [
        {
            "problem": name,
            "simulator": simulator,
            "steps": getattr(problem.process, "steps", 1),
            "paths_per_second": paths / float(np.median(seconds[:, column])),
            "value": float(values[:, column].mean()),
            "standard_error": float(values[:, column].std(ddof=1)) / math.sqrt(rounds),
        }
        for column, (name, problem, simulator, _) in enumerate(cases)
    ]


def problems() -> Iterator[tuple[str, PricingProblem]]:
    """Names and problems; local volatility by both of its schemes."""
    for name in ("black_scholes_basket_7", "heston_call", "local_volatility_call"):
        problem = read_build_spec(EXAMPLES / f"{name}.toml").pricing
        if name != "local_volatility_call":
            yield name, problem
            continue
        process = narrow(LocalVolatility, problem.process)
        yield f"{name}, Euler", replace(problem, process=replace(process, scheme="euler"))
        yield f"{name}, Milstein", replace(problem, process=replace(process, scheme="milstein"))


def runs(problem: PricingProblem) -> Iterator[tuple[str, Run]]:
    """Who simulates a problem. The peers know Euler's scheme alone."""
    yield "Sobolite, pseudo-random", ours("pseudo")
    yield "Sobolite, antithetic", ours("antithetic")
    yield "Sobolite, Sobol", ours("sobol")
    match problem.process:
        case BlackScholes():
            yield "NumPy", in_chunks(lognormal)
            yield "QuantLib", quantlib_basket
        case Heston():
            yield "NumPy", in_chunks(quadratic_exponential)
            yield "QuantLib", quantlib_heston
        case LocalVolatility(scheme="euler"):
            yield "NumPy", in_chunks(euler)
            yield "QuantLib", quantlib_local_volatility
        case _:  # of the others no rival simulator is written here
            return


def ours(source: Source) -> Run:
    """Value at the centre of the Box."""

    def run(problem: PricingProblem, paths: int, seed: int) -> float:
        at = scenario(problem, torch.from_numpy(centre(problem))[None])
        count, dimension, generator = min(CHUNK, paths), sum(blocks(problem.process, 1)), stream("paths", seed=seed)
        total, memory = 0.0, np.empty((dimension, count))
        with torch.inference_mode():
            for _ in range(paths // count):
                drawn = torch.from_numpy(normals(source, memory, generator=generator))
                made = simulate(problem.process, at, drawn[None], times(problem, at))
                total += float((made.discount[..., -1] * cash(problem.payoff, made, at)).sum())
        return total / paths

    return run


def normals(source: Source, memory: Array, *, generator: np.random.Generator) -> Array:
    """Standard normals by the fastest way of each kind, in the same memory again and again where that is faster.

    Shape: memory dimension path -> path dimension.
    """
    dimension, count = memory.shape
    match source:
        case "pseudo":
            return generator.standard_normal(out=memory).T
        case "antithetic":
            half = generator.standard_normal((dimension, count // 2))
            return np.concatenate([half, -half], axis=1, out=memory).T
        case "sobol":
            return to_normals(uniforms("sobol", count, dimension, generator=generator))


def centre(problem: PricingProblem) -> Array:
    """The middle of the Box. Shape: -> feature."""
    middle: Array = 0.5 * (problem.box.lower + problem.box.upper)
    return middle


def in_chunks(sample: Callable[[PricingProblem, int, np.random.Generator], Array]) -> Run:
    """Discounted mean of a call on simulated levels."""

    def run(problem: PricingProblem, paths: int, seed: int) -> float:
        generator, count = np.random.default_rng(seed), min(NUMPY_CHUNK, paths)
        payoff, rate = problem.payoff, problem.parameters["rate"][0]
        payoff = narrow(Call, payoff)
        total = sum(
            np.maximum(sample(problem, count, generator) - payoff.strike, 0.0).sum() for _ in range(paths // count)
        )
        return float(np.exp(-rate * problem.maturity) * total / paths)

    return run


def lognormal(problem: PricingProblem, count: int, generator: np.random.Generator) -> Array:
    """A basket of Black-Scholes assets at maturity. Shape: -> path."""
    process, payoff, T = narrow(BlackScholes, problem.process), narrow(Call, problem.payoff), problem.maturity
    sigma = np.array(process.volatilities)
    drift = process.rate - np.array(process.dividend_yields) - 0.5 * sigma**2
    z = generator.standard_normal((count, len(sigma))) @ np.linalg.cholesky(process.correlation).T
    basket: Array = centre(problem) * np.exp(drift * T + sigma * np.sqrt(T) * z) @ np.array(payoff.weights)
    return basket


def quadratic_exponential(problem: PricingProblem, count: int, generator: np.random.Generator) -> Array:
    """Heston's asset at maturity by Andersen's scheme (2008), section 3.2, with central weights. Shape: -> path."""
    process = narrow(Heston, problem.process)
    spot, v0, kappa, theta, xi, rho = centre(problem)
    h = problem.maturity / narrow(int, process.steps)
    E = np.exp(-kappa * h)
    by_v, constant = xi**2 * E * (1.0 - E) / kappa, 0.5 * theta * xi**2 * (1.0 - E) ** 2 / kappa
    drift, half = (process.rate - rho * kappa * theta / xi) * h, 0.5 * h * (kappa * rho / xi - 0.5)
    before, after, free = half - rho / xi, half + rho / xi, 0.5 * h * (1.0 - rho**2)
    v, log = np.full(count, v0), np.full(count, np.log(spot))
    for _ in range(narrow(int, process.steps)):
        m = theta + (v - theta) * E
        psi, z = (by_v * v + constant) / m**2, generator.standard_normal(count)
        inverse = 2.0 / np.minimum(psi, SWITCH)
        square = inverse - 1.0 + np.sqrt(inverse * (inverse - 1.0))
        moved = m / (1.0 + square) * (np.sqrt(square) + z) ** 2
        large = psi > SWITCH
        if large.any():
            none = (psi[large] - 1.0) / (psi[large] + 1.0)
            u = ndtr(z[large])
            moved[large] = np.where(u <= none, 0.0, np.log((1.0 - none) / (1.0 - u)) * m[large] / (1.0 - none))
        log += drift + before * v + after * moved + np.sqrt(free * (v + moved)) * generator.standard_normal(count)
        v = moved
    levels: Array = np.exp(log)
    return levels


def euler(problem: PricingProblem, count: int, generator: np.random.Generator) -> Array:
    """The asset under local volatility at maturity, on the same graded grid. Shape: -> path."""
    process, T = narrow(LocalVolatility, problem.process), problem.maturity
    reference, steps = process.reference_spots[0], narrow(int, process.steps)
    grid = T * (np.arange(steps + 1) / steps) ** GRADING
    x = np.full(count, np.log(centre(problem)[0] / reference))
    for start, stop in pairwise(grid):
        variance = dupire(process, x, 0.5 * (start + stop)) * (stop - start)
        x += np.sqrt(variance) * generator.standard_normal(count) - 0.5 * variance
    levels: Array = reference * np.exp(process.rate * T + x)
    return levels


def dupire(process: LocalVolatility, k: Array, t: float) -> Array:
    """Dupire's formula of the surface, as `pricing.processes.local_volatility` states it. Shape: any -> the same."""
    sigma, rho, eta, gamma = (
        part[0] for part in (process.volatilities, process.skews, process.curvatures, process.powers)
    )
    floored, theta = t**2 + SHORTEST**2, sigma**2 * t
    slow = sigma**2 * np.sqrt(floored)
    phi = eta / (slow**gamma * (1.0 + slow) ** (1.0 - gamma))
    p = (gamma + (1.0 - gamma) * slow / (1.0 + slow)) * t**2 / floored
    y = phi * k
    R = np.sqrt(y**2 + 2.0 * rho * y + 1.0)
    A, B, C = 1.0 + rho * y + R, rho + (y + rho) / R, (1.0 - rho**2) / R**3
    g = (1.0 - 0.5 * y * B / A) ** 2 + theta * phi**2 * (0.25 * C - 0.125 * B**2 / A - theta * B**2 / 64.0)
    found: Array = 0.5 * sigma**2 * (A - p * y * B) / g
    return found


def quantlib_basket(problem: PricingProblem, paths: int, seed: int) -> float:
    """By QuantLib's Monte Carlo basket engine."""
    process, payoff = narrow(BlackScholes, problem.process), narrow(Call, problem.payoff)
    today, count = quantlib_today()
    surfaces = (
        QuantLib.BlackConstantVol(today, QuantLib.NullCalendar(), sigma, count) for sigma in process.volatilities
    )
    assets = [
        QuantLib.BlackScholesMertonProcess(
            quantlib_quote(spot), flat(dividend), flat(process.rate), QuantLib.BlackVolTermStructureHandle(surface)
        )
        for spot, dividend, surface in zip(centre(problem).tolist(), process.dividend_yields, surfaces, strict=True)
    ]
    vanilla = QuantLib.PlainVanillaPayoff(QuantLib.Option.Call, payoff.strike)
    option = QuantLib.BasketOption(
        QuantLib.AverageBasketPayoff(vanilla, list(payoff.weights)),
        QuantLib.EuropeanExercise(today + round(365 * problem.maturity)),
    )
    array = QuantLib.StochasticProcessArray(assets, QuantLib.Matrix([list(row) for row in process.correlation]))
    option.setPricingEngine(QuantLib.MCPREuropeanBasketEngine(array, timeSteps=1, requiredSamples=paths, seed=seed))
    return float(option.NPV())


def quantlib_heston(problem: PricingProblem, paths: int, seed: int) -> float:
    """By QuantLib's Monte Carlo Heston engine with Andersen's scheme."""
    process = narrow(Heston, problem.process)
    spot, v0, kappa, theta, xi, rho = centre(problem).tolist()
    heston = QuantLib.HestonProcess(
        *(flat(process.rate), flat(0.0), quantlib_quote(spot), v0, kappa, theta, xi, rho),
        QuantLib.HestonProcess.QuadraticExponential,
    )
    engine = QuantLib.MCPREuropeanHestonEngine(heston, timeSteps=process.steps, requiredSamples=paths, seed=seed)
    return quantlib_call(problem, engine)


def quantlib_local_volatility(problem: PricingProblem, paths: int, seed: int) -> float:
    """By QuantLib's Monte Carlo engine with Euler steps on a table of the surface."""
    process, T = narrow(LocalVolatility, problem.process), problem.maturity
    (today, count), steps = quantlib_today(), narrow(int, process.steps)
    at = scenario(problem, torch.from_numpy(centre(problem))[None])
    ends = torch.arange(1, steps + 1, dtype=torch.float64) * T / steps
    strikes = process.reference_spots[0] * torch.exp(torch.linspace(-1.5, 1.5, TABLE_STRIKES, dtype=torch.float64))
    surface = smiles(process, at, ends[:, None, None, None])
    forwards = process.reference_spots[0] * torch.exp(process.rate * ends)
    columns = [
        local_variance(Smile(*(part[j] for part in surface)), torch.log(strikes / forward)[None, :, None]).sqrt()
        for j, forward in enumerate(forwards)
    ]
    table = QuantLib.Matrix(torch.stack([column[0, :, 0] for column in columns], dim=1).tolist())
    fixed = QuantLib.FixedLocalVolSurface(today, ends.tolist(), strikes.tolist(), table, count)
    black = QuantLib.BlackConstantVol(today, QuantLib.NullCalendar(), process.volatilities[0], count)
    dynamics = QuantLib.GeneralizedBlackScholesProcess(
        *(quantlib_quote(float(centre(problem)[0])), flat(0.0), flat(process.rate)),
        QuantLib.BlackVolTermStructureHandle(black),
        QuantLib.LocalVolTermStructureHandle(fixed),
    )
    engine = QuantLib.MCPREuropeanEngine(dynamics, timeSteps=process.steps, requiredSamples=paths, seed=seed)
    return quantlib_call(problem, engine)


def quantlib_call(problem: PricingProblem, engine: Any) -> float:
    """The value of a call on one asset."""
    payoff, (today, _) = problem.payoff, quantlib_today()
    payoff = narrow(Call, payoff)
    option = QuantLib.VanillaOption(
        QuantLib.PlainVanillaPayoff(QuantLib.Option.Call, payoff.strike),
        QuantLib.EuropeanExercise(today + round(365 * problem.maturity)),
    )
    option.setPricingEngine(engine)
    return float(option.NPV())


def quantlib_today() -> tuple[Any, Any]:
    """QuantLib's evaluation date and day counter."""
    today = QuantLib.Date(1, 1, 2026)
    QuantLib.Settings.instance().evaluationDate = today
    return today, QuantLib.Actual365Fixed()


def quantlib_quote(spot: float) -> Any:
    """A spot."""
    return QuantLib.QuoteHandle(QuantLib.SimpleQuote(spot))


def flat(rate: float) -> Any:
    """A flat curve."""
    today, count = quantlib_today()
    return QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, rate, count))


def show(rows: list[dict[str, Any]]) -> None:
    """The table, in Markdown."""
    print("| problem | steps | simulator | paths a second | value (standard error) |\n|---|---|---|---|---|")
    for row in rows:
        value = f"{row['value']:.5g} ({row['standard_error']:.1e})"
        print(f"| {row['problem']} | {row['steps']} | {row['simulator']} | {row['paths_per_second']:,.0f} | {value} |")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="Simulated paths a second, one thread.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument("--smoke", action="store_true", help="two short rounds")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = throughput(smoke=given.smoke)
    print(json.dumps({"throughput": rows})) if given.json else show(rows)


if __name__ == "__main__":
    main()
