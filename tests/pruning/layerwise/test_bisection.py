from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pruning.layerwise.bisection import bisect


@given(exponent=st.floats(-29.0, 29.0))
def test_both_ends_close_on_the_number_from_which_it_holds(exponent: float) -> None:
    edge = 10.0**exponent
    holds, fails = bisect(lambda number: number >= edge, 1e30, 1e-30)
    assert fails < edge <= holds
    assert holds / fails == pytest.approx(1.0, rel=1e-9)


@given(exponent=st.floats(-29.0, 29.0))
def test_it_may_hold_below_as_well(exponent: float) -> None:
    edge = 10.0**exponent
    holds, fails = bisect(lambda number: number <= edge, 1e-30, 1e30)
    assert holds <= edge < fails


def test_what_holds_everywhere_holds_at_the_end() -> None:
    assert bisect(lambda _: True, 1e12, 1e-12) == (1e-12, 1e-12)
