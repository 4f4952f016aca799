from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pricing.domain import Feature
from pricing.references.discounted_forward import affine_payment, payments
from pricing.references.reference import reference
from pricing.specs.european import Call, Digital, Put, WorstOf
from pricing.specs.payoff import Asian, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, BlackScholes, Heston, LocalVolatility, Process
from pricing.specs.schedule import Dividend, Piece

Build = Callable[..., PricingProblem]
MATRIX = ((1.0, 0.3), (0.3, 1.0))
PIECES = BlackScholes(
    volatilities=(0.2, 0.3),
    correlation=MATRIX,
    rate=0.05,
    rate_pieces=(Piece(start=0.4, value=0.02),),
    dividend_yields=(0.01, 0.03),
)
CARRY = Bachelier(volatilities=(20.0, 30.0), correlation=MATRIX, convention="carry", rate=0.04)
STOCHASTIC = Heston(
    initial_variances=(0.04,),
    mean_reversions=(1.0,),
    long_variances=(0.04,),
    variance_volatilities=(0.5,),
    spot_variance_correlations=(-0.5,),
    correlation=((1.0,),),
    rate=0.03,
)
WEIGHTS = (0.7, -0.4)
SPOTS = np.array([[90.0, 110.0], [120.0, 80.0]])


def local(assets: int) -> LocalVolatility:
    return LocalVolatility(
        volatilities=(0.3,) * assets,
        skews=(0.0,) * assets,
        curvatures=(0.5,) * assets,
        powers=(0.4,) * assets,
        reference_spots=(100.0,) * assets,
        correlation=tuple(map(tuple, np.eye(assets).tolist())),
    )


@pytest.mark.parametrize("process", [PIECES, CARRY, STOCHASTIC], ids=lambda process: type(process).__name__)
def test_it_is_what_a_call_is_worth_beyond_the_put(problem: Build, process: Process) -> None:
    """Parity, value and slopes, from either side; the same at points and as an affine function."""
    x, weights = SPOTS[:, : process.assets], WEIGHTS[: process.assets]
    call, put = (problem(process, kind(weights=weights, strike=30.0), 1.0) for kind in (Call, Put))
    long, short = (reference(case, x, order=1) for case in (call, put))
    for case, sign in ((call, 1.0), (put, -1.0)):
        pointwise, affine = payments(case, x), affine_payment(case)
        assert pointwise is not None
        assert affine is not None
        amount, slope = pointwise
        np.testing.assert_allclose(amount, sign * (long.value - short.value), atol=1e-8)
        np.testing.assert_allclose(slope, sign * (long.gradient - short.gradient), atol=1e-8)
        np.testing.assert_allclose(x @ affine.slope + affine.constant, amount, rtol=1e-13)
        np.testing.assert_allclose(slope, np.broadcast_to(affine.slope, slope.shape), rtol=1e-13)


def test_other_features_move_it_at_points_alone(problem: Build) -> None:
    """D (w . F - K) by hand, and no affine function of the spots."""
    plain = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), dividend_yields=(0.02,))
    put = Put(weights=(2.0,), strike=150.0)
    case = problem(plain, put, 1.0, rate=(0.0, 0.1), maturity=(0.5, 2.0), strike=(100.0, 200.0))
    x = np.array([[90.0, 0.05, 1.5, 160.0], [70.0, 0.01, 0.5, 150.0]])
    got = payments(case, x)
    assert got is not None
    spot, rate, years, strike = x.T
    np.testing.assert_allclose(got[0], strike * np.exp(-rate * years) - 2.0 * spot * np.exp(-0.02 * years), rtol=1e-13)
    np.testing.assert_allclose(got[1], -2.0 * np.exp(-0.02 * years)[:, None], rtol=1e-13)
    assert affine_payment(case) is None


@pytest.mark.parametrize(
    "payoff",
    [
        Digital(weights=WEIGHTS, strike=30.0),
        WorstOf(initial=(100.0, 100.0), strike=1.0),
        Asian(weights=WEIGHTS, strike=30.0, dates=(0.5, 1.0)),
    ],
    ids=lambda payoff: type(payoff).__name__,
)
def test_other_payoffs_have_none(problem: Build, payoff: Payoff) -> None:
    case = problem(PIECES, payoff, 1.0)
    assert payments(case, SPOTS) is None
    assert affine_payment(case) is None


def test_neither_have_dividends_at_fixed_times(problem: Build) -> None:
    paying = BlackScholes(volatilities=(0.3,), correlation=((1.0,),), dividends=(Dividend(time=0.5, proportion=0.1),))
    case = problem(paying, Call(weights=(1.0,), strike=100.0), 1.0)
    assert payments(case, SPOTS[:, :1]) is None
    assert affine_payment(case) is None


def test_values_on_several_local_volatilities_are_held_to_no_affine_function() -> None:
    """Their values need not be convex; the payment itself is known."""
    for assets, known in ((1, True), (2, False)):
        case = PricingProblem(
            process=local(assets),
            payoff=Call(weights=WEIGHTS[:assets], strike=30.0),
            maturity=1.0,
            features=(Feature(name="spot", lower=(50.0,) * assets, upper=(150.0,) * assets),),
        )
        assert payments(case, SPOTS[:, :assets]) is not None
        assert (affine_payment(case) is not None) == known
