"""Contracts that make no sense are refused with the field, its bound and the value."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.dates import MAXIMUM_DATES
from pricing.specs.european import Call, Put
from pricing.specs.payoff import Asian, Autocall, Barrier, Bermudan, Payoff, as_it_stands
from tests.pricing.cases import PLAIN, problem_of

CALL = {"kind": "call", "weights": [1.0], "strike": 100.0}
ASIAN = {**CALL, "kind": "asian", "dates": [0.5, 1.0]}
BARRIER = {"kind": "barrier", "strike": 100.0, "barrier": 90.0, "direction": "down", "knock": "out"}
BERMUDAN = {"kind": "bermudan", "option": CALL, "dates": [0.5, 1.0]}
NOTE = {
    "kind": "autocall",
    "initial": [100.0],
    "dates": [0.5, 1.0],
    "triggers": [1.0, 1.0],
    "coupon": 0.1,
    "coupon_barrier": 0.8,
    "knock_in": 0.6,
}


@pytest.mark.parametrize(
    ("plain", "change", "message"),
    [
        (ASIAN, {"dates": []}, f"dates: give 1 to {MAXIMUM_DATES}, got 0"),
        (ASIAN, {"dates": [1.0] * (MAXIMUM_DATES + 1)}, f"give 1 to {MAXIMUM_DATES}, got {MAXIMUM_DATES + 1}"),
        (
            ASIAN,
            {"dates": [0.5, 0.5]},
            r"dates must be increasing shares of the maturity in \(0, 1\], got \[0.5, 0.5\]",
        ),
        (ASIAN, {"dates": [0.0, 1.0]}, r"increasing shares of the maturity in \(0, 1\], got \[0.0, 1.0\]"),
        (ASIAN, {"dates": [0.5, 1.5]}, r"increasing shares of the maturity in \(0, 1\], got \[0.5, 1.5\]"),
        (ASIAN, {"dates": [float("nan")]}, r"dates\[0\] must be finite, got nan"),
        (BARRIER, {"barrier": float("nan")}, r"barrier\[0\] must be finite, got nan"),
        (BARRIER, {"dates": [1.0, 0.5]}, "dates must be increasing shares"),
        (BARRIER, {"direction": "left"}, "Invalid enum value 'left'"),
        (BERMUDAN, {"dates": [0.25, 0.5]}, "dates: the last must be 1, the maturity, got 0.5"),
        (BERMUDAN, {"option": {**CALL, "kind": "digital"}}, "Invalid value 'digital'"),
        (NOTE, {"dates": [0.25, 0.5]}, "dates: the last must be 1, the maturity, got 0.5"),
        (NOTE, {"triggers": [1.0]}, "triggers: give 2, one per date, got 1"),
        (NOTE, {"triggers": [1.0, -1.0]}, r"triggers: levels must be > 0, at least one, got \[1.0, -1.0\]"),
        (NOTE, {"coupon": -0.1}, r"coupon must be in \[0, 10\], got -0.1"),
        (NOTE, {"knock_in": 0.0}, r"knock_in: levels must be > 0, at least one, got \[0.0\]"),
        (NOTE, {"knock_in": 1.6}, r"knock_in must be at most the strike 1 .*, got 1.6"),
        (NOTE, {"coupon_barrier": -1.0}, "coupon_barrier: levels must be > 0"),
        (NOTE, {"notional": 0.0}, "notional: levels must be > 0"),
        (NOTE, {"strike": 0.0}, "strike: levels must be > 0"),
        (NOTE, {"missed_coupons": -1.0}, rf"missed_coupons must be in \[0, {MAXIMUM_DATES}\], got -1.0"),
        (NOTE, {"missed_coupons": 1.0, "memory": False}, "missed_coupons: without memory a missed coupon is lost"),
        (BARRIER, {"touched": True}, "touched: a barrier option that has been knocked out is worth nothing"),
    ],
)
def test_refusals(plain: dict[str, Any], change: dict[str, Any], message: str) -> None:
    kinds: Any = Payoff
    assert load(kinds, plain)
    with pytest.raises(InvalidSpec, match=message):
        load(kinds, {**plain, **change})


@pytest.mark.parametrize(
    ("payoff", "expected"),
    [
        (Call(weights=(1.0,), strike=1.0), (1.0,)),
        (Asian(weights=(1.0,), strike=1.0, dates=(0.25, 0.5)), (0.25, 0.5, 1.0)),
        (Asian(weights=(1.0,), strike=1.0, dates=(0.5, 1.0)), (0.5, 1.0)),
        (Barrier(strike=1.0, barrier=1.0, direction="up", knock="in"), (1.0,)),
        (Barrier(strike=1.0, barrier=1.0, direction="up", knock="in", dates=(0.5,)), (0.5, 1.0)),
        (Bermudan(option=Put(weights=(1.0,), strike=1.0), dates=(0.5, 1.0)), (0.5, 1.0)),
    ],
)
def test_a_path_ends_at_the_payment(payoff: Payoff, expected: tuple[float, ...]) -> None:
    assert payoff.facts.dates == expected


@pytest.mark.parametrize("dates", [(), (0.5, 1.0)])
def test_a_barrier_option_that_has_been_knocked_in_is_the_option(dates: tuple[float, ...]) -> None:
    untouched = Barrier(strike=95.0, barrier=80.0, direction="down", knock="in", side="put", dates=dates)
    touched = replace(untouched, touched=True)
    assert as_it_stands(untouched) == untouched
    assert as_it_stands(touched) == Put(weights=(1.0,), strike=95.0)
    assert as_it_stands(replace(touched, side="call")) == Call(weights=(1.0,), strike=95.0)
    assert problem_of(PLAIN, touched).payoff == Put(weights=(1.0,), strike=95.0)
    assert as_it_stands(replace(touched, touched=False)) == replace(touched, touched=False)


def test_what_has_happened_to_an_autocall_is_a_parameter_or_none() -> None:
    note = load(Autocall, {**NOTE, "missed_coupons": 2, "knocked_in": True})
    assert note.parameters == {"coupon_barrier": (0.8,), "missed_coupons": (2.0,)}
    assert {"missed_coupons", "knocked_in"}.isdisjoint(dump(load(Autocall, NOTE)))


def test_a_bermudan_has_the_parameters_of_its_option() -> None:
    option = Put(weights=(0.5, 0.5), strike=90.0)
    assert Bermudan(option=option, dates=(1.0,)).parameters == option.parameters == {"strike": (90.0,)}
    note = load(Autocall, NOTE)
    assert note.parameters == {"knock_in": (0.6,), "coupon_barrier": (0.8,)}
