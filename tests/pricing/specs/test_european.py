from __future__ import annotations

from typing import Any

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.european import BestOf, Call, Digital, Put, WorstOf
from pricing.specs.payoff import Payoff

CALL = {"kind": "call", "weights": [1.0], "strike": 100.0}
WORST = {"kind": "worst_of", "initial": [100.0, 90.0], "strike": 1.0}


@pytest.mark.parametrize(
    ("plain", "change", "message"),
    [
        (CALL, {"weights": []}, "weights must not all be zero"),
        (CALL, {"weights": [0.0, 0.0]}, "weights must not all be zero"),
        (CALL, {"weights": [float("nan")]}, r"weights\[0\] must be finite, got nan"),
        (CALL, {"kind": "digital", "cash": 0.0}, r"cash must be in \[1e-300, 1e\+300\], got 0.0"),
        (CALL, {"kind": "digital", "side": "both"}, "Invalid enum value 'both'"),
        (WORST, {"initial": []}, r"initial: levels must be > 0, at least one, got \[\]"),
        (WORST, {"initial": [100.0, 0.0]}, r"initial: levels must be > 0, at least one, got \[100.0, 0.0\]"),
        (WORST, {"strike": float("inf")}, r"strike\[0\] must be finite, got inf"),
    ],
)
def test_refusals(plain: dict[str, Any], change: dict[str, Any], message: str) -> None:
    kinds: Any = Payoff
    assert load(kinds, plain)
    with pytest.raises(InvalidSpec, match=message):
        load(kinds, {**plain, **change})


def test_a_call_and_a_put_say_their_side_and_others_are_told_it() -> None:
    assert (Call(weights=(1.0,), strike=1.0).side, Put(weights=(1.0,), strike=1.0).side) == ("call", "put")
    assert {leaf(initial=(1.0,), strike=1.0).side for leaf in (WorstOf, BestOf)} == {"call"}
    assert Digital(weights=(1.0,), strike=1.0, side="put").side == "put"


def test_the_strike_of_a_rank_is_a_share_and_that_of_a_basket_currency() -> None:
    shares, level = WorstOf(initial=(100.0, 90.0), strike=1.0), Call(weights=(0.5, 0.5), strike=100.0)
    assert (shares.facts.strike_unit, level.facts.strike_unit) == ("1", "currency")
    assert dump(level) == {"kind": "call", "weights": (0.5, 0.5), "strike": 100.0}
