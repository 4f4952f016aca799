"""What must hold of every product's labels, whoever makes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.domain import Feature
from pricing.labels import Labels, make_labels
from pricing.references.reference import reference
from pricing.specs.draws import Draws
from pricing.specs.estimator import Frozen
from pricing.specs.european import BestOf, Call, Digital, Put, Side, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Process
from tests.pricing.cases import CARRYING, PAIR, asked, feature, problem_of

QUARTERS = (0.25, 0.5, 0.75, 1.0)
RATE, MATURITY = 0.03, 0.75

PROCESSES: dict[str, Process] = {
    "bachelier": Bachelier(volatilities=(20.0, 30.0), correlation=PAIR, convention="carry", rate=RATE),
    "black_scholes": BlackScholes(volatilities=(0.2, 0.3), correlation=PAIR, rate=RATE, dividend_yields=(0.01, 0.02)),
    "heston": Heston(
        initial_variances=(0.04, 0.06),
        mean_reversions=(1.5, 2.0),
        long_variances=(0.04, 0.05),
        variance_volatilities=(0.3, 0.4),
        spot_variance_correlations=(-0.7, -0.5),
        correlation=PAIR,
        rate=RATE,
        steps=4,
    ),
    "local_volatility": LocalVolatility(
        volatilities=(0.2, 0.25),
        skews=(-0.4, -0.3),
        curvatures=(1.0, 0.8),
        powers=(0.4, 0.4),
        reference_spots=(100.0, 100.0),
        correlation=PAIR,
        rate=RATE,
        steps=4,
    ),
}
WEIGHTS, INITIAL = (0.6, 0.4), (100.0, 100.0)


def two(side: Side) -> dict[str, Payoff]:
    """Payoffs on two assets, all homogeneous of degree one in spots and strike but the digital."""
    vanilla: Payoff = (Call if side == "call" else Put)(weights=WEIGHTS, strike=100.0)
    return {
        "vanilla": vanilla,
        "worst_of": WorstOf(initial=(1.0, 1.0), strike=100.0, side=side),
        "best_of": BestOf(initial=(1.0, 1.0), strike=100.0, side=side),
        "asian": Asian(weights=WEIGHTS, strike=100.0, side=side, dates=QUARTERS),
        "digital": Digital(weights=WEIGHTS, strike=100.0, side=side),
    }


def one(side: Side) -> dict[str, Payoff]:
    """Payoffs on one asset."""
    return {
        "geometric": Asian(weights=(1.0,), strike=100.0, side=side, dates=QUARTERS, average="geometric"),
        "down_out": Barrier(strike=100.0, barrier=85.0, direction="down", knock="out", side=side),
        "up_in_discrete": Barrier(strike=100.0, barrier=120.0, direction="up", knock="in", side=side, dates=QUARTERS),
    }


NOTE = Autocall(
    initial=INITIAL,
    dates=QUARTERS,
    triggers=(1.0, 1.0, 0.95, 0.9),
    coupon=0.02,
    coupon_barrier=0.8,
    knock_in=0.7,
)


def product(process: Process, payoff: Payoff, *extra: Feature, maturity: float = MATURITY) -> PricingProblem:
    return problem_of(process, payoff, *extra, maturity=maturity, spots=(0.0, 1e4))


def labels(priced: PricingProblem, rows: Any, **options: Any) -> Labels:
    spec = LabelSpec(**{"paths": 128, "replicates": 4, "order": 2, **options})
    return make_labels(priced, torch.as_tensor(rows, dtype=torch.float64), spec, seed=3)


def error(*estimates: Labels) -> Tensor:
    """Joint standard error of sums and differences, with a floor for labels that are exact."""
    errors = torch.stack([asked(labels.value_error) for labels in estimates])
    joint: Tensor = torch.linalg.vector_norm(errors, dim=0) + 1e-10
    return joint


SPOTS = [[100.0, 95.0], [90.0, 110.0], [70.0, 130.0], [120.0, 115.0]]
STRIKE = feature("strike", 50.0, 200.0)


@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES.keys())
def test_call_less_put_is_the_forward(process: Process) -> None:
    for name in ("vanilla", "asian"):
        call, put = (labels(product(process, two(side)[name]), SPOTS, paths=1024) for side in ("call", "put"))
        deep = product(process, two("call")[name], STRIKE)
        forward = labels(deep, [[*spots, 1e-6 + 50.0] for spots in SPOTS], paths=1024)
        low = labels(product(process, two("put")[name], STRIKE), [[*spots, 50.0 + 1e-6] for spots in SPOTS], paths=1024)
        discount = torch.exp(torch.tensor(-RATE * MATURITY))
        expected = forward.value - low.value - discount * 50.0
        assert torch.allclose(call.value - put.value, expected, atol=float(4 * error(call, put, forward, low).max()))
        assert call.gradient is not None
        assert put.gradient is not None


@pytest.mark.parametrize("name", ["vanilla", "worst_of", "best_of", "asian"])
@pytest.mark.parametrize("side", ["call", "put"])
@pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES.keys())
def test_values_fall_or_rise_and_bend_upwards_in_the_strike(process: Process, side: Side, name: str) -> None:
    """The same paths serve every strike, so that both statements hold path by path."""
    priced = product(process, two(side)[name], STRIKE)
    strikes = torch.linspace(80.0, 120.0, 9, dtype=torch.float64)
    estimate = labels(priced, [[100.0, 95.0, float(strike)] for strike in strikes], order=1)
    slope = asked(estimate.gradient)[:, -1]
    assert (slope <= 1e-12).all() if side == "call" else (slope >= -1e-12).all()
    assert (slope.diff() >= -1e-9).all()
    assert (estimate.value.diff().diff() >= -1e-9).all()


@pytest.mark.parametrize("name", ["vanilla", "worst_of", "best_of", "asian"])
@pytest.mark.parametrize("process", ["black_scholes", "heston"])
def test_values_are_homogeneous_in_spots_and_strike(process: str, name: str) -> None:
    priced = product(PROCESSES[process], two("call")[name], STRIKE)
    rows = torch.tensor([[*spots, 100.0] for spots in SPOTS], dtype=torch.float64)
    estimate, doubled = (labels(priced, factor * rows) for factor in (1.0, 2.0))
    assert torch.allclose(doubled.value, 2.0 * estimate.value, rtol=1e-9)
    assert estimate.gradient is not None
    assert doubled.gradient is not None
    assert torch.allclose((rows * estimate.gradient).sum(dim=1), estimate.value, rtol=1e-9)
    assert torch.allclose(doubled.gradient, estimate.gradient, atol=1e-9)


@pytest.mark.parametrize("dates", [(), QUARTERS])
@pytest.mark.parametrize("direction", ["down", "up"])
@pytest.mark.parametrize("side", ["call", "put"])
def test_a_barrier_in_and_one_out_make_the_option_without(side: Side, direction: Any, dates: tuple[float, ...]) -> None:
    level = 85.0 if direction == "down" else 120.0
    rows = [[86.0], [95.0], [105.0], [119.0], [80.0], [125.0]]
    knocked = [
        labels(
            product(
                CARRYING,
                Barrier(strike=100.0, barrier=level, direction=direction, knock=knock, side=side, dates=dates),
            ),
            rows,
        )
        for knock in ("in", "out")
    ]
    plain = labels(product(CARRYING, (Call if side == "call" else Put)(weights=(1.0,), strike=100.0)), rows)
    assert torch.allclose(
        knocked[0].value + knocked[1].value, plain.value, atol=float(4 * error(*knocked).max() + 1e-9)
    )
    for knock in knocked:
        assert (knock.value >= -1e-9).all()
        assert (knock.value <= plain.value + 4 * error(knock) + 1e-9).all()


@pytest.mark.parametrize("side", ["call", "put"])
def test_early_exercise_is_worth_at_least_none(side: Side) -> None:
    option = two(side)["best_of"]
    assert isinstance(option, BestOf)
    draws = {"paths": 1024, "order": 1}
    early = labels(product(PROCESSES["black_scholes"], Bermudan(option=option, dates=QUARTERS)), SPOTS, **draws)
    late = labels(product(PROCESSES["black_scholes"], option), SPOTS, **draws)
    assert (early.value >= late.value - 4 * error(early, late) - 0.01 * late.value).all()


def judged() -> dict[str, PricingProblem]:
    """Products whose reference is exact, and one that is simulated, on random assets of both signs of everything."""
    spread = Call(weights=(1.0, -1.0), strike=5.0)
    cases = {
        f"{kind} {name} {side}": product(PROCESSES[kind], payoff)
        for kind in ("bachelier", "black_scholes")
        for side in ("call", "put")
        for name, payoff in two(side).items()
        if not (kind == "bachelier" and name in ("worst_of", "best_of"))
    }
    cases |= {
        f"single {name} {side}": product(CARRYING, payoff)
        for side in ("call", "put")
        for name, payoff in one(side).items()
    }
    cases |= {"spread": product(PROCESSES["black_scholes"], spread)}
    cases |= {"backward spread": product(PROCESSES["black_scholes"], Put(weights=(-1.0, 1.0), strike=5.0))}
    return cases


JUDGED = judged()


@pytest.mark.parametrize("name", JUDGED)
def test_labels_agree_with_the_independent_reference(name: str) -> None:
    priced = JUDGED[name]
    rows = torch.tensor(SPOTS, dtype=torch.float64)[:, : priced.process.assets]
    estimate, exact = labels(priced, rows, paths=512, replicates=8), reference(priced, rows.numpy())
    assert estimate.directions is not None
    curvature = np.einsum("nij,nkj->nki", exact.hessian, estimate.directions.numpy())
    pairs = (
        (estimate.value, exact.value, estimate.value_error, exact.standard_error),
        (estimate.gradient, exact.gradient, estimate.gradient_error, exact.gradient_error),
        (estimate.curvature, curvature, estimate.curvature_error, None),
    )
    for got, want, label_error, reference_error in pairs:
        assert got is not None
        assert label_error is not None
        joint = np.hypot(label_error.numpy(), 0.0 if reference_error is None else reference_error)
        floor = np.abs(want).max() * (1e-9 if reference_error is None else 2e-3)
        # Eight replicates give a standard error that is itself uncertain by a quarter.
        assert (np.abs(got.numpy() - want) <= 6.0 * joint + floor).all()


@pytest.mark.parametrize("kind", ["best_of", "worst_of", "vanilla"])
def test_early_exercise_labels_agree_with_quadrature_in_the_plane(kind: str) -> None:
    """What the rule misses is of second order in values, of first in deltas; gammas hold its boundary's jump."""
    process = BlackScholes(
        volatilities=(0.2, 0.2), correlation=((1.0, 0.3), (0.3, 1.0)), rate=0.05, dividend_yields=(0.1, 0.1)
    )
    option = two("call" if kind == "best_of" else "put")[kind]
    assert isinstance(option, BestOf | WorstOf | Put)
    payoff = Bermudan(option=option, dates=(0.2, 0.4, 0.6, 0.8, 1.0))
    priced = problem_of(process, payoff, maturity=3.0, spots=(80.0, 120.0))
    rows = torch.tensor([[90.0, 90.0], [100.0, 95.0], [110.0, 110.0], [95.0, 118.0]], dtype=torch.float64)
    exact, frozen = reference(priced, rows.numpy()), Frozen(degree=4, paths=1 << 16)
    estimate = labels(priced, rows, paths=2048, replicates=8, estimator=frozen, directions=2, direction_law="random")
    assert exact.kind == "plane quadrature"
    assert estimate.directions is not None
    curvature = np.einsum("nij,nkj->nki", exact.hessian, estimate.directions.numpy())
    triples = (
        (estimate.value, exact.value, estimate.value_error, 0.002),
        (estimate.gradient, exact.gradient, estimate.gradient_error, 0.005),
        (estimate.curvature, curvature, estimate.curvature_error, 0.04),
    )
    for got, want, standard_error, missed in triples:
        assert got is not None
        assert standard_error is not None
        assert (np.abs(got.numpy() - want) <= 4.0 * standard_error.numpy() + missed * np.abs(want).max()).all()
        assert (standard_error.numpy() < 0.05 * np.abs(want).max()).all()


def degenerate() -> dict[str, tuple[PricingProblem, list[list[float]]]]:
    """Expiry, zero volatility, zero spots, by product."""
    cases: dict[str, tuple[PricingProblem, list[list[float]]]] = {}
    still: dict[str, Process] = {
        "bachelier": Bachelier(volatilities=(0.0, 0.0), correlation=PAIR),
        "black_scholes": BlackScholes(volatilities=(0.0, 0.0), correlation=PAIR, rate=RATE),
    }
    for side in ("call", "put"):
        for name, payoff in {**two(side), "autocall": NOTE}.items():
            for kind, process in PROCESSES.items():
                if name == "autocall" and kind != "black_scholes":
                    continue
                cases[f"expiry {kind} {name} {side}"] = (product(process, payoff, maturity=0.0), SPOTS)
                cases[f"zero spot {kind} {name} {side}"] = (product(process, payoff), [[0.0, 0.0], [0.0, 100.0]])
                if kind in still:
                    cases[f"still {kind} {name} {side}"] = (product(still[kind], payoff), SPOTS)
        for name, payoff in one(side).items():
            calm = replace(CARRYING, volatilities=(0.0,))
            cases[f"expiry {name} {side}"] = (product(CARRYING, payoff, maturity=0.0), [[90.0], [100.0], [110.0]])
            cases[f"still {name} {side}"] = (product(calm, payoff), [[90.0], [100.0], [110.0]])
            cases[f"zero spot {name} {side}"] = (product(CARRYING, payoff), [[0.0], [85.0]])
    return cases


CASES = degenerate()


@pytest.mark.parametrize("name", CASES)
def test_labels_stay_finite_where_nothing_is_random(name: str) -> None:
    priced, rows = CASES[name]
    estimate = labels(priced, rows, paths=16, replicates=2, draws=Draws(pilot=16))
    assert estimate.gradient is not None
    assert estimate.curvature is not None
    for label in (estimate.value, estimate.gradient, estimate.curvature):
        assert torch.isfinite(label).all()
