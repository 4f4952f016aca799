"""What the time steps of a process cost in bias: errors of values and deltas against the number of steps.

First, calls at the centre of their example's Box against the reference: Heston as in `examples/heston_call.toml` and
where Feller's condition fails badly, local volatility by Euler's and by Milstein's step, and coefficients of a user's
own by both. Second, calls that a continuous barrier knocks out under Heston, worst over spots from 0.1 of the barrier
on, against QuantLib's finite differences. Third, long contracts under Heston, on few steps and on those that a problem
takes by itself: calls whose variance reverts many times over a step, against Fourier, and a down-and-out call. Standard
errors of the labels are in brackets: less than that is no bias.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any, Literal

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

import numpy as np
import QuantLib
import torch
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from app.specification.toml_files import read_build_spec
from benchmarks.cases.narrow import narrow
from benchmarks.throughput import centre, flat, quantlib_quote, quantlib_today
from pricing.domain import Feature
from pricing.labels import make_labels
from pricing.monte_carlo import value
from pricing.references.reference import reference
from pricing.specs.draws import Draws
from pricing.specs.european import Call
from pricing.specs.ito import ItoDiffusion
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Heston, LocalVolatility
from pricing.specs.time_steps import gridded
from pricing.types import Array

EXAMPLES = Path(__file__).parent.parent / "examples"
STEPS, BARRIER_STEPS = (4, 8, 16, 32), (8, 16)
PATHS, REPLICATES = 1 << 14, 8
BARRIER_PATHS, BARRIER_REPLICATES = 1 << 12, 4
# Time steps, spots and variances of the finite differences.
GRID = (200, 600, 160)
STRIKE, MATURITY, RATE, DIVIDEND = 100.0, 1.0, 0.03, 0.01
KNOCK_OUTS: dict[Literal["down", "up"], tuple[float, Array]] = {
    "down": (90.0, np.array([90.1, 90.5, 91.0, 92.0, 94.0, 97.0, 100.0, 110.0])),
    "up": (120.0, np.array([119.9, 119.5, 119.0, 118.0, 116.0, 112.0, 105.0, 95.0])),
}
VOLATILITIES_OF_VARIANCE = (0.4, 0.8)
# Long contracts: maturities of calls, their mean reversion, steps; UNSET are the problem's own.
LONG_MATURITIES, FAST, LONG_STEPS = (1.0, 5.0, 20.0), 10.0, (16, 32, UNSET)
LONG_BARRIER, LONG_SPOTS = 10.0, np.array([90.5, 95.0])
LONG_PATHS, LONG_REPLICATES = 1 << 11, 4


def calls() -> list[tuple[str, PricingProblem, Array]]:
    """Problems and features. Shape: feature."""
    heston = read_build_spec(EXAMPLES / "heston_call.toml").pricing
    local = read_build_spec(EXAMPLES / "local_volatility_call.toml").pricing
    process = narrow(LocalVolatility, local.process)
    hard = {"spot": 100.0, "initial_variance": 0.04, "mean_reversion": 1.5, "long_variance": 0.04}
    hard |= {"variance_volatility": 0.8, "spot_variance_correlation": -0.7}
    euler, milstein = (replace(local, process=replace(process, scheme=scheme)) for scheme in ("euler", "milstein"))
    return [
        ("heston_call", heston, centre(heston)),
        ("the same, theta = 0.04, kappa = 1.5, xi = 0.8", heston, np.array([hard[name] for name in heston.box.labels])),
        ("local_volatility_call, Euler", euler, centre(euler)),
        ("local_volatility_call, Milstein", milstein, centre(milstein)),
        *((f"mean_reverting_call, {scheme.title()}", problem, centre(problem)) for scheme, problem in written()),
    ]


def written() -> list[tuple[str, PricingProblem]]:
    """The call on coefficients of a user's own by every scheme."""
    problem = read_build_spec(EXAMPLES / "mean_reverting_call.toml").pricing
    process = narrow(ItoDiffusion, problem.process)
    schemes: tuple[Literal["euler", "milstein"], ...] = ("euler", "milstein")
    return [(scheme, replace(problem, process=replace(process, scheme=scheme))) for scheme in schemes]


def with_steps(problem: PricingProblem, steps: int) -> PricingProblem:
    """The problem on another grid."""
    process = problem.process
    if process.facts.grid is None:
        raise TypeError(f"this benchmark needs a process with time steps, got {process}")
    return replace(problem, process=replace(process, steps=steps))


def call_errors(*, smoke: bool) -> list[dict[str, Any]]:
    """Error of the value of every call at every number of steps."""
    rows = []
    spec = LabelSpec(paths=PATHS, replicates=REPLICATES)
    for name, problem, features in calls()[: 1 if smoke else None]:
        exact = float(reference(problem, features[None], seed=0).value[0])
        for steps in STEPS[: 1 if smoke else None]:
            found = value(with_steps(problem, steps), torch.from_numpy(features)[None], spec, seed=0)
            assert found.standard_error is not None
            error, noise = float(found.value[0]) - exact, float(found.standard_error[0])
            rows.append({"problem": name, "value": exact, "steps": steps, "error": error, "standard_error": noise})
    return rows


def barrier_errors(*, smoke: bool) -> list[dict[str, Any]]:
    """Largest relative errors of value and delta over the spots, with the standard errors there."""
    rows = []
    spec = LabelSpec(paths=BARRIER_PATHS, replicates=BARRIER_REPLICATES, order=1, draws=Draws(pilot=256))
    for direction, (barrier, spots) in list(KNOCK_OUTS.items())[: 1 if smoke else None]:
        for xi in VOLATILITIES_OF_VARIANCE[: 1 if smoke else None]:
            process = variance_process(xi)
            seen = spots[:1] if smoke else spots
            exact = np.array([finite_differences(process, direction, barrier, spot) for spot in seen.tolist()])
            for steps in BARRIER_STEPS[: 1 if smoke else None]:
                problem = PricingProblem(
                    process=replace(process, steps=steps),
                    payoff=Barrier(strike=STRIKE, barrier=barrier, direction=direction, knock="out", side="call"),
                    maturity=MATURITY,
                    features=(Feature(name="spot", lower=(80.0,), upper=(130.0,)),),
                )
                labels = make_labels(problem, torch.from_numpy(seen)[:, None], spec, seed=1)
                assert labels.value_error is not None
                assert labels.gradient is not None
                assert labels.gradient_error is not None
                row: dict[str, Any] = {"direction": direction, "xi": xi, "steps": steps}
                for greek, got, noise, want in (
                    ("value", labels.value, labels.value_error, exact[:, 0]),
                    ("delta", labels.gradient[:, 0], labels.gradient_error[:, 0], exact[:, 1]),
                ):
                    error = (got.numpy() - want) / want
                    worst = int(np.abs(error).argmax())
                    row[greek] = {
                        "error": float(error[worst]),
                        "standard_error": float(noise[worst] / abs(want[worst])),
                        "spot": float(seen[worst]),
                    }
                rows.append(row)
    return rows


def long_errors(*, smoke: bool) -> list[dict[str, Any]]:
    """Errors of values at the money and around it, as shares of the largest, with the steps that were taken."""
    rows = []
    call = Call(weights=(1.0,), strike=STRIKE)
    for maturity in LONG_MATURITIES[: 1 if smoke else None]:
        spread = 0.2 * np.sqrt(maturity) * np.array([-1.0, 0.0, 1.0])
        spots = STRIKE * np.exp((DIVIDEND - RATE) * maturity + spread)
        problem = long_problem(variance_process(0.5, reversion=FAST), call, maturity)
        exact = reference(problem, spots[:, None], order=0).value
        rows += [long_row("call", problem, spots, exact, steps) for steps in LONG_STEPS[: 1 if smoke else None]]
    process = variance_process(0.5)
    knocked = Barrier(strike=STRIKE, barrier=KNOCK_OUTS["down"][0], direction="down", knock="out")
    problem = long_problem(process, knocked, LONG_BARRIER)
    spots = LONG_SPOTS[: 1 if smoke else None]
    rights = [finite_differences(process, "down", knocked.barrier, spot, LONG_BARRIER)[0] for spot in spots.tolist()]
    for steps in LONG_STEPS[: 1 if smoke else None]:
        rows += [
            long_row("down-and-out call", problem, spots[i : i + 1], np.array(rights[i : i + 1]), steps)
            for i in range(len(rights))
        ]
    return rows


def long_problem(process: Heston, payoff: Call | Barrier, maturity: float) -> PricingProblem:
    """As a function of the spot."""
    spot = Feature(name="spot", lower=(10.0,), upper=(1000.0,))
    return PricingProblem(process=process, payoff=payoff, maturity=maturity, features=(spot,))


def long_row(name: str, problem: PricingProblem, spots: Array, exact: Array, steps: int | UnsetType) -> dict[str, Any]:
    """The largest error of a value, as a share of the largest. Shape: spots batch."""
    given = replace(problem, process=replace(narrow(Heston, problem.process), steps=steps))
    spec = LabelSpec(paths=LONG_PATHS, replicates=LONG_REPLICATES, order=0)
    found = value(given, torch.from_numpy(spots)[:, None], spec, seed=0)
    assert found.standard_error is not None
    errors = (found.value.numpy() - exact) / np.abs(exact).max()
    worst = int(np.abs(errors).argmax())
    return {
        "product": name,
        "maturity": problem.maturity,
        "spot": float(spots[worst]),
        "steps": gridded(given).process.facts.grid,
        "own": steps is UNSET,
        "value": float(exact[worst]),
        "error": float(errors[worst]),
        "standard_error": float(found.standard_error[worst]) / float(np.abs(exact).max()),
    }


def variance_process(xi: float, *, reversion: float = 1.5) -> Heston:
    """The process of the second table."""
    return Heston(
        initial_variances=(0.04,),
        mean_reversions=(reversion,),
        long_variances=(0.04,),
        variance_volatilities=(xi,),
        spot_variance_correlations=(-0.7,),
        correlation=((1.0,),),
        rate=RATE,
        dividend_yields=(DIVIDEND,),
    )


def finite_differences(
    process: Heston, direction: str, barrier: float, spot: float, maturity: float = MATURITY
) -> tuple[float, float]:
    """Value and delta by QuantLib."""
    today, _ = quantlib_today()
    model = QuantLib.HestonModel(
        QuantLib.HestonProcess(
            flat(RATE),
            flat(DIVIDEND),
            quantlib_quote(spot),
            process.initial_variances[0],
            process.mean_reversions[0],
            process.long_variances[0],
            process.variance_volatilities[0],
            process.spot_variance_correlations[0],
        )
    )
    option = QuantLib.BarrierOption(
        QuantLib.Barrier.DownOut if direction == "down" else QuantLib.Barrier.UpOut,
        barrier,
        0.0,
        QuantLib.PlainVanillaPayoff(QuantLib.Option.Call, STRIKE),
        QuantLib.EuropeanExercise(today + round(365 * maturity)),
    )
    option.setPricingEngine(QuantLib.FdHestonBarrierEngine(model, *GRID))
    return option.NPV(), option.delta()


def show(result: dict[str, Any]) -> None:
    """The tables, in Markdown."""
    print("| call | value | steps | error (standard error) |\n|---|---|---|---|")
    for row in result["calls"]:
        print(
            f"| {row['problem']} | {row['value']:.4f} | {row['steps']} "
            f"| {row['error']:+.4f} ({row['standard_error']:.4f}) |"
        )
    print("\n| knocked out | xi | steps | worst value | at | worst delta | at |\n|---|---|---|---|---|---|---|")
    for row in result["barriers"]:
        cells = " | ".join(show_worst(row[greek]) for greek in ("value", "delta"))
        print(f"| {row['direction']} | {row['xi']} | {row['steps']} | {cells} |")
    show_long(result["long"])


def show_long(rows: list[dict[str, Any]]) -> None:
    """The third table."""
    print("\n| product | years | spot | value | steps | error, share of the largest |\n|---|---|---|---|---|---|")
    for row in rows:
        own = ", its own" if row["own"] else ""
        error = f"{100.0 * row['error']:+.2f} % ({100.0 * row['standard_error']:.2f} %)"
        place = f"{row['product']} | {row['maturity']:g} | {row['spot']:.1f} | {row['value']:.4f}"
        print(f"| {place} | {row['steps']}{own} | {error} |")


def show_worst(found: dict[str, float]) -> str:
    """A relative error, its standard error and the spot."""
    return f"{100.0 * found['error']:+.1f} % ({100.0 * found['standard_error']:.1f} %) | {found['spot']:g}"


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description="Bias of values and deltas against the number of time steps.")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the tables")
    parser.add_argument("--smoke", action="store_true", help="one of each, for CI: shows that it runs")
    given = parser.parse_args()
    torch.set_num_threads(1)
    result = {
        "calls": call_errors(smoke=given.smoke),
        "barriers": barrier_errors(smoke=given.smoke),
        "long": long_errors(smoke=given.smoke),
    }
    print(json.dumps(result)) if given.json else show(result)


if __name__ == "__main__":
    main()
