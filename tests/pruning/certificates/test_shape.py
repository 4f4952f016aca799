from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from msgspec.structs import replace as changed

from pricing.domain import Box
from pricing.specs.european import Call, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pruning.certificates import jets
from pruning.certificates.shape import STATEMENTS, observed, prove, prove_shape, yardstick_of
from pruning.errors import PruningError
from pruning.intervals.interval import interval_of
from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network, initialise

PointsIn = Callable[..., torch.Tensor]
TOLERANCE = 1e-4
WEIGHTS, STRIKE, WIDTH = (0.5, 0.3, 0.2), 1.0, 0.1


@pytest.fixture
def problem(box: Box) -> PricingProblem:
    identity = tuple(tuple(float(i == j) for j in range(3)) for i in range(3))
    return PricingProblem(
        process=Bachelier(volatilities=(0.2, 0.2, 0.3), correlation=identity),
        payoff=Call(weights=WEIGHTS, strike=STRIKE),
        maturity=1.0,
        features=box.features,
    )


@pytest.fixture
def ramp() -> Network:
    """c log(1 + e^(m / c)) of the moneyness m: above the intrinsic value, delta between 0 and 1, convex."""
    weights = torch.tensor([WEIGHTS], dtype=torch.float64) / WIDTH
    one = torch.ones(1, dtype=torch.float64)
    return Network(
        weights=(weights, WIDTH * one[None]),
        biases=(-STRIKE / WIDTH * one, torch.zeros(1, dtype=torch.float64)),
        activation="softplus",
    )


def proven(network: Network, problem: PricingProblem, **options: Any) -> dict[str, dict[str, Any]]:
    entries = prove_shape(network, problem, tolerance=TOLERANCE, seed=1, **options)
    assert json.loads(json.dumps(entries, allow_nan=False)) == entries
    return {entry["statement"]: entry for entry in entries}


def test_a_convex_ramp_is_proven_on_the_whole_box(ramp: Network, problem: PricingProblem) -> None:
    entries = proven(ramp, problem)
    assert tuple(entries) == STATEMENTS
    for entry in entries.values():
        assert entry["proven"]
        assert entry["share"] == 1.0
        assert entry["share_is"] == "whole Box"
        assert entry["smallest_tolerance"] < 1e-9


def test_the_put_of_the_ramp_is_proven_too(ramp: Network, problem: PricingProblem) -> None:
    mirrored = replace(ramp, weights=(-ramp.weights[0], ramp.weights[1]), biases=(-ramp.biases[0], ramp.biases[1]))
    put = changed(problem, payoff=Put(weights=WEIGHTS, strike=STRIKE))
    assert all(entry["proven"] for entry in proven(mirrored, put).values())
    as_call = proven(mirrored, problem)
    assert not as_call["value >= intrinsic"]["proven"]
    assert as_call["delta along the basket >= 0"]["share"] == 0.0


def test_rates_and_dividends_are_in_the_intrinsic_value(ramp: Network, problem: PricingProblem) -> None:
    """The undiscounted ramp lies above D (F - K) only where the forward grows less than the discount."""
    process = changed(problem.process, convention="carry", rate=0.05, dividend_yields=(0.0, 0.0, 0.0))
    carry = changed(problem, process=process)
    assert not proven(ramp, carry)["value >= intrinsic"]["proven"]


@pytest.mark.parametrize(
    ("statement", "factor", "shift"),
    [
        ("value >= intrinsic", 1.0, -0.01),
        ("delta along the basket <= 1", 1.01, 0.0),
        ("delta along the basket >= 0", -1.0, 0.0),
        ("gamma along the basket >= 0 (convex)", -1.0, 0.0),
    ],
)
def test_a_violated_statement_is_never_proven(
    statement: str, factor: float, shift: float, ramp: Network, problem: PricingProblem
) -> None:
    (first, last), (offset, _) = ramp.weights, ramp.biases
    ramp = replace(ramp, weights=(first, factor * last), biases=(offset, torch.full_like(offset, shift)))
    entry = proven(ramp, problem)[statement]
    assert not entry["proven"]
    assert entry["share"] < 1.0
    assert entry["share_is"].startswith("estimate")
    points = corners_and_inside(problem)
    worst = float(observed(ramp, yardstick_of(ramp, problem, points), points)[:, STATEMENTS.index(statement)].max())
    assert TOLERANCE < worst <= entry["smallest_tolerance"] <= 1.2 * worst


def corners_and_inside(problem: PricingProblem) -> torch.Tensor:
    """The corners of the Box and points inside."""
    box = interval_of(problem.box)
    corners = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    inside = torch.rand(4096, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    return box.lower + box.width * torch.cat([corners, inside])


@pytest.mark.parametrize("activation", ["silu", "softplus", "tanh"])
@pytest.mark.parametrize("widths", [(3, 2, 3, 1), (3, 5, 4, 1)])
def test_no_point_of_a_proven_sub_box_violates(
    activation: ActivationName,
    widths: tuple[int, ...],
    problem: PricingProblem,
    points_in: PointsIn,
    generator: torch.Generator,
) -> None:
    network = initialise(widths, activation, generator=generator)
    proof = prove(network, problem, tolerance=TOLERANCE, budget=600, seed=1)
    box = interval_of(problem.box)
    x = points_in(box, 100_000)
    t = proof.chart.coordinates(x)
    violations = observed(network, yardstick_of(network, problem, proof.points), x)
    assert proof.cover.holding(t, above=-torch.inf, quantity=0).all()
    assert (violations.amax(dim=0) <= proof.cover.bounds).all()
    for i in range(len(STATEMENTS)):
        left_out = proof.cover.holding(t, above=TOLERANCE, quantity=i)
        assert (violations[~left_out, i] <= TOLERANCE).all()


def test_the_share_is_the_part_that_holds(ramp: Network, problem: PricingProblem, points_in: PointsIn) -> None:
    """Lowered by 0.01 the ramp is below the intrinsic value away from the strike only; the rest is proven."""
    lowered = replace(ramp, biases=(ramp.biases[0], ramp.biases[1] - 0.01))
    entry = proven(lowered, problem)["value >= intrinsic"]
    box = interval_of(problem.box)
    x = points_in(box, 100_000, corners=0.0)
    holds = observed(lowered, yardstick_of(lowered, problem, x), x)[:, 0] <= TOLERANCE
    assert entry["share"] == pytest.approx(float(holds.double().mean()), abs=0.02)


def test_what_the_budget_does_not_reach_is_not_claimed(problem: PricingProblem, generator: torch.Generator) -> None:
    network = initialise((3, 6, 5, 1), "silu", generator=generator)
    few, many = (proven(network, problem, budget=budget) for budget in (2, 400))
    for statement in STATEMENTS:
        assert few[statement]["share"] <= many[statement]["share"]
    loosest = [max(entry["smallest_tolerance"] for entry in entries.values()) for entries in (few, many)]
    assert loosest[0] >= loosest[1]


def test_a_kink_is_refused(ramp: Network, problem: PricingProblem) -> None:
    with pytest.raises(PruningError, match="activation: 'relu'"):
        prove_shape(replace(ramp, activation="relu"), problem, tolerance=TOLERANCE, seed=1)


def test_of_a_network_too_wide_for_one_sub_box_nothing_is_claimed(
    ramp: Network, problem: PricingProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jets, "WORK", 1)
    for entry in proven(ramp, problem).values():
        assert (entry["proven"], entry["share"], entry["smallest_tolerance"]) == (False, 0.0, None)
