from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from msgspec.structs import replace as change

from pricing.references.discounted_forward import payments
from pricing.specs.european import Call, Digital, Put
from pricing.specs.problem import PricingProblem
from surrogate.evaluation.accuracy import predict
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
    digital, features = change(call, payoff=Digital(weights=(0.7, 0.3), strike=1.0)), np.ones((3, 2))
    exact = reference(call, features)
    assert payments(digital, features) is None
    assert shape_checks(exact, exact, problem=digital, features=features, tolerance=0.0) == ()
