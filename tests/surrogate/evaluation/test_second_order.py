from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pricing.domain import Feature
from pricing.references.methods import Known
from pricing.references.reference import Reference, reference
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import BlackScholes
from pricing.types import Array
from surrogate.evaluation.second_order import second_order

ONE = BlackScholes(volatilities=(0.2,), correlation=((1.0,),))
CALL = Call(weights=(1.0,), strike=100.0)
PROBLEM = PricingProblem(
    process=ONE,
    payoff=CALL,
    maturity=1.0,
    features=(
        Feature(name="spot", lower=(80.0,), upper=(120.0,)),
        Feature(name="strike", lower=(90.0,), upper=(110.0,)),
        Feature(name="volatility", lower=(0.1,), upper=(0.4,)),
    ),
)


@pytest.fixture(scope="module")
def exact() -> Reference:
    return reference(PROBLEM, PROBLEM.box.from_uniforms(np.random.default_rng(1).random((200, 3))))


def test_every_pair_but_gamma_is_scored(exact: Reference) -> None:
    found = second_order(exact.hessian, exact, PROBLEM.box)
    names = {"spot, strike", "spot, volatility", "strike, strike", "strike, volatility", "volatility, volatility"}
    assert {pair.pair for pair in found} == names
    assert {pair.r2 for pair in found} == {1.0}
    assert {pair.perfect_r2 for pair in found} == {None}


def tilted(hessian: Array, share: float) -> Array:
    """A volga that is wrong by a share of its standard deviation, half of the samples up and half of them down."""
    moved = hessian.copy()
    sign = np.where(np.arange(len(hessian)) % 2, 1.0, -1.0)
    moved[:, 2, 2] += share * hessian[:, 2, 2].std() * sign
    return moved


def test_the_worst_pair_comes_first(exact: Reference) -> None:
    worst, *others = second_order(tilted(exact.hessian, 0.5), exact, PROBLEM.box)
    assert worst.pair == "volatility, volatility"
    assert worst.r2 == pytest.approx(0.75)
    assert worst.max_error == pytest.approx(worst.rmse)
    assert {pair.r2 for pair in others} == {1.0}


def test_a_reference_with_errors_says_what_the_truth_would_score(exact: Reference) -> None:
    noisy = replace(exact, hessian_error=0.1 * np.broadcast_to(exact.hessian.std(axis=0), exact.hessian.shape))
    assert [pair.perfect_r2 for pair in second_order(exact.hessian, noisy, PROBLEM.box)] == [pytest.approx(0.99)] * 5


def test_what_does_not_vary_has_errors_and_no_score(exact: Reference) -> None:
    flat = exact.hessian.copy()
    flat[:, 1, 1] = 1e-18
    last = second_order(flat + 0.1, replace(exact, hessian=flat), PROBLEM.box)[-1]
    assert (last.pair, last.r2) == ("strike, strike", None)
    assert last.rmse == pytest.approx(0.1)


@pytest.mark.parametrize("known", ["spots", "nothing"])
def test_what_the_reference_does_not_know_is_not_scored(exact: Reference, known: Known) -> None:
    assert second_order(exact.hessian, replace(exact, known=known), PROBLEM.box) == ()
