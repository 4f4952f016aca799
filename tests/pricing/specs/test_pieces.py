"""What a payoff in pieces says of itself, and the sentences that refuse one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.european import Call, Digital, Put
from pricing.specs.payoff import Payoff, with_levels
from pricing.specs.pieces import Join, Pieces
from pricing.types import Array

SPREAD = Pieces(weights=(1.0,), knots=(95.0, 105.0), slopes=(0.0, 1.0, 0.0))
MIXED = Pieces(weights=(1.0,), knots=(90.0, 100.0), slopes=(-1.0, 0.5, 2.0), jumps=(3.0, 0.0), cash=8.0)
PLAIN = {"kind": "pieces", "weights": [1.0], "knots": [95.0, 105.0], "slopes": [0.0, 1.0, 0.0]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": [0.0]}, "weights must not all be zero"),
        ({"knots": [], "slopes": [1.0]}, "knots: give 1 to 32, got 0; without any it is a forward"),
        ({"knots": [1.0 * k for k in range(33)]}, "knots: give 1 to 32, got 33"),
        (
            {"knots": [105.0, 95.0]},
            r"knots\[1\]: knots must increase, by 0.000105 or more, got 95.0 after 105.0; a jump at",
        ),
        ({"knots": [95.0, 95.0]}, r"knots\[1\]: knots must increase, by 9.5e-05 or more, got 95.0 after 95.0"),
        ({"knots": [95.0, 95.00001]}, r"knots\[1\]: knots must increase, by 9.5e-05 or more"),
        ({"knots": [0.0, 0.0]}, r"knots\[1\]: knots must increase, by 0 or more, got 0.0 after 0.0"),
        ({"knots": [95.0, math.nan]}, r"knots\[1\] must be finite, got nan"),
        ({"knots": [95.0, 1e16]}, r"knots\[1\] must be 0 or 1e-30 to 1e\+15 in size, got 1e\+16"),
        ({"slopes": [0.0, 1.0]}, "slopes: give 3, one per interval of 2 knots, got 2"),
        ({"slopes": [0.0, math.inf, 0.0]}, r"slopes\[1\] must be finite, got inf"),
        ({"slopes": [0.0, 1e300, 0.0]}, r"slopes\[1\] must be 0 or 1e-30 to 1e\+15 in size, got 1e\+300"),
        ({"jumps": [1.0]}, "jumps: give 2, one per knot, or none at all, got 1"),
        ({"jumps": [1.0, math.nan]}, r"jumps\[1\] must be finite, got nan"),
        ({"cash": math.nan}, "cash must be finite, got nan"),
        ({"slopes": [0.0, 1.0, 1.0]}, r"knots\[1\]: neither slope nor cash changes at 105; leave the knot out"),
        ({"slopes": [0.0, 0.0, 0.0]}, r"knots\[0\]: neither slope nor cash changes at 95"),
        ({"slopes": [0.0, "1", 0.0]}, "Expected `float`, got `str`"),
        ({"intercepts": [0.0]}, "unknown field `intercepts`"),
    ],
)
def test_refusals(change: dict[str, Any], message: str) -> None:
    kinds: Any = Payoff
    assert load(kinds, PLAIN)
    with pytest.raises(InvalidSpec, match=message):
        load(kinds, {**PLAIN, **change})


def test_joins_and_legs() -> None:
    assert SPREAD.joins == (Join(bend=1.0, jump=0.0), Join(bend=-1.0, jump=0.0))
    assert [(type(leg.option), leg.knot, leg.amount) for leg in MIXED.legs] == [
        (Put, 0, 1.0),
        (Call, 0, 0.5),
        (Call, 1, 1.5),
        (Digital, 0, 3.0),
    ]
    assert all(leg.option.strike == MIXED.knots[leg.knot] for leg in MIXED.legs)


def paid(option: Call | Put | Digital, levels: Array) -> Array:
    ahead = levels - option.strike
    above: Array = (ahead > 0.0).astype(float)
    match option:
        case Call():
            return ahead * above
        case Put():
            return ahead * above - ahead
        case Digital():
            return option.cash * above


def test_the_legs_add_up_to_the_lines_through_the_corners() -> None:
    levels = np.linspace(50.0, 150.0, 401)
    total = MIXED.cash + sum(leg.amount * paid(leg.option, levels) for leg in MIXED.legs)
    below, between = 8.0 - (levels - 90.0), 11.0 + 0.5 * (levels - 90.0)
    lines = np.where(levels <= 90.0, below, np.where(levels <= 100.0, between, 16.0 + 2.0 * (levels - 100.0)))
    np.testing.assert_allclose(total, lines, rtol=1e-14)
    spread = sum(leg.amount * paid(leg.option, levels) for leg in SPREAD.legs)
    np.testing.assert_allclose(spread, np.interp(levels, [95.0, 105.0], [0.0, 10.0]), atol=1e-12)


@pytest.mark.parametrize(
    ("payoff", "degree", "jumps", "flat"),
    [
        (SPREAD, 1, False, False),
        (MIXED, None, True, False),
        (replace(SPREAD, cash=1.0), None, False, False),
        (replace(SPREAD, jumps=(0.0, 0.0)), 1, False, False),
        (replace(SPREAD, slopes=(0.0, 0.0, 0.0), jumps=(1.0, -1.0), cash=2.0), 0, True, True),
    ],
)
def test_facts(payoff: Pieces, degree: int | None, jumps: bool, flat: bool) -> None:
    facts = payoff.facts
    assert (facts.degree, facts.jumps, facts.flat) == (degree, jumps, flat)
    assert facts.levels == (() if degree is None else ("knot",))


def test_round_trip_and_other_knots() -> None:
    assert load(Pieces, dump(MIXED)) == MIXED
    moved = with_levels(MIXED, {"knot": (91.0, 99.0)})
    assert moved == replace(MIXED, knots=(91.0, 99.0))
    assert MIXED.parameters == {"knot": (90.0, 100.0)}
