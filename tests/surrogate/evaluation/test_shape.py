from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as change

from pricing.domain import Feature
from pricing.references.discounted_forward import payments
from pricing.specs.base import load
from pricing.specs.european import Call, Digital, Put, WorstOf
from pricing.specs.payoff import Autocall, Barrier
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from surrogate.evaluation.accuracy import Prediction, predict
from surrogate.evaluation.evaluate import reference
from surrogate.evaluation.shape import shape_checks
from surrogate.functions.network import Network


@pytest.mark.parametrize("kind", [Call, Put])
def test_the_reference_obeys_every_statement(
    kind: type[Call | Put], make_problem: Callable[[type[Call | Put]], PricingProblem]
) -> None:
    problem, features = make_problem(kind), np.random.default_rng(1).uniform(0.6, 1.4, (200, 2))
    exact = reference(problem, features)
    checks = shape_checks(exact, exact, problem=problem, features=features, tolerance=1e-12)
    assert len(checks) == 5
    assert all(check.holds for check in checks)


def test_shape_checks_find_each_violation(student: Network, call: PricingProblem) -> None:
    features = np.random.default_rng(6).uniform(0.6, 1.4, (200, 2))

    def broken(network: Network) -> set[str]:
        predicted, exact = predict(network, features), reference(call, features)
        checks = shape_checks(predicted, exact, problem=call, features=features, tolerance=1e-9)
        return {check.statement for check in checks if not check.holds}

    sunk = replace(student, biases=(student.biases[0], student.biases[1] - 100.0))
    assert {"value >= intrinsic", "put-call parity"} <= broken(sunk)
    steep = replace(student, weights=(student.weights[0], student.weights[1] * 100.0))
    flipped = replace(student, weights=(student.weights[0], -student.weights[1] * 100.0))
    for statement in ("delta along the basket >= 0", "delta along the basket <= 1"):
        assert statement in broken(steep) | broken(flipped)
    convex = "gamma along the basket >= 0 (convex)"
    assert convex in broken(flipped) | broken(steep)


def test_other_payoffs_have_no_statements(call: PricingProblem) -> None:
    worst, features = change(call, payoff=WorstOf(initial=(1.0, 1.0), strike=1.0)), np.ones((3, 2))
    exact = reference(call, features)
    assert payments(worst, features) is None
    assert shape_checks(exact, exact, problem=worst, features=features, tolerance=0.0) == ()


BLACK = BlackScholes(volatilities=(0.2,), correlation=((1.0,),), rate=0.03)
SPOT, STRIKE = (Feature(name=name, lower=(0.7,), upper=(1.3,)) for name in ("spot", "strike"))
BARRIER = {"kind": "barrier", "strike": 1.0, "dates": [0.5, 1.0]}
PAYOFFS: list[Digital | Barrier] = []
for side in ("call", "put"):
    PAYOFFS.append(load(Digital, {"kind": "digital", "weights": [1.0], "strike": 1.0, "side": side}))
    for level, way in ((0.8, "down"), (1.2, "up")):
        PAYOFFS += [
            load(Barrier, BARRIER | {"barrier": level, "direction": way, "knock": knock, "side": side})
            for knock in ("in", "out")
        ]


@pytest.mark.parametrize("payoff", PAYOFFS)
def test_what_follows_from_a_payoff_holds_of_its_reference(payoff: Digital | Barrier) -> None:
    problem = PricingProblem(process=BLACK, payoff=payoff, maturity=1.0, features=(SPOT, STRIKE))
    features = problem.box.from_uniforms(np.random.default_rng(2).random((24, 2)))
    exact = reference(problem, features)
    checks = shape_checks(exact, exact, problem=problem, features=features, tolerance=1e-7)
    assert checks
    assert [check.statement for check in checks if not check.holds] == []


def test_a_note_lies_between_its_bounds_and_falls_with_its_levels() -> None:
    note = Autocall(
        initial=(1.0, 1.0), dates=(0.5, 1.0), triggers=(1.0, 1.0), coupon=0.05, coupon_barrier=0.8, knock_in=0.6
    )
    features = (
        Feature(name="spot", lower=(0.7, 0.7), upper=(1.2, 1.2)),
        Feature(name="knock_in", lower=(0.5,), upper=(0.7,)),
        Feature(name="coupon_barrier", lower=(0.7,), upper=(0.9,)),
    )
    market = BlackScholes(volatilities=(0.2, 0.3), correlation=((1.0, 0.5), (0.5, 1.0)), rate=0.03)
    problem = PricingProblem(process=market, payoff=note, maturity=1.0, features=features)
    points = problem.box.from_uniforms(np.random.default_rng(3).random((4, 4)))
    exact = reference(problem, points)

    def said(predicted: Prediction, problem: PricingProblem = problem) -> dict[str, bool]:
        checks = shape_checks(predicted, exact, problem=problem, features=points, tolerance=1e-6)
        return {check.statement: check.holds for check in checks}

    assert list(said(exact).values()) == [True] * 4
    assert set(said(exact)) >= {"derivative by knock_in <= 0", "derivative by coupon_barrier <= 0"}
    assert not said(replace(exact, value=exact.value + 2.0))["value <= the most that is paid, discounted"]
    assert not said(replace(exact, value=exact.value - 2.0))["value >= 0"]
    assert not said(replace(exact, delta=-exact.delta))["derivative by knock_in <= 0"]
    rising = change(problem, process=change(market, rate=-0.03))  # a coupon that memory brings late is worth more
    assert "derivative by coupon_barrier <= 0" not in said(exact, rising)
