"""Bermudans whose maturity varies across pieces of time are refused, by the maturities where dates meet them."""

import pytest
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.crossings import crossings, pieces, require_one_rule
from pricing.specs.european import Call
from pricing.specs.payoff import Bermudan
from pricing.specs.problem import PricingProblem
from pricing.specs.schedule import Piece
from tests.pricing.cases import CALL, PLAIN, feature, problem_of

EARLY = Bermudan(option=Call(weights=(1.0,), strike=100.0), dates=(0.25, 0.5, 0.75, 1.0))
STEPS = replace(
    PLAIN,
    rate_pieces=(Piece(start=0.5, value=0.05), Piece(start=1.0, value=-0.02)),
    volatility_pieces=(Piece(start=0.5, value=1.8),),
)


def varying(low: float, high: float, **changes: object) -> PricingProblem:
    """A Bermudan call of such maturities."""
    return problem_of(replace(STEPS, **changes), EARLY, feature("maturity", low, high))


def test_dates_meet_pieces_where_their_share_says() -> None:
    assert crossings(varying(0.4, 1.4)) == pytest.approx((0.5, 2.0 / 3.0, 1.0, 4.0 / 3.0, 2.0, 4.0))
    assert crossings(problem_of(STEPS, CALL)) == ()


def test_maturities_that_pieces_lie_before_are_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"from 0\.4 to 1\.4 years .* at 0\.5, 0\.666667, 1, 1\.33333, where theta"):
        require_one_rule(varying(0.4, 1.4))
    with pytest.raises(InvalidSpec, match=r"starts at 0\.5; one exercise rule .* let maturities end at 0\.5"):
        require_one_rule(varying(0.7, 0.9))


def test_others_are_not() -> None:
    require_one_rule(varying(0.1, 0.5))
    require_one_rule(problem_of(STEPS, EARLY))
    require_one_rule(problem_of(STEPS, CALL, feature("maturity", 0.4, 1.4)))
    require_one_rule(problem_of(PLAIN, EARLY, feature("maturity", 0.4, 1.4)))


def test_a_piece_that_changes_nothing_is_none() -> None:
    still = varying(0.4, 1.4, rate=0.03, rate_pieces=(Piece(start=0.5, value=0.03),), volatility_pieces=())
    assert pieces(still) == ()
    require_one_rule(still)
