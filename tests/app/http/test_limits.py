from __future__ import annotations

from contextlib import suppress

import pytest

from app.errors import Overloaded
from app.http.limits import SMALL_BYTES, Admission


def test_requests_are_counted_from_their_body_until_their_answer() -> None:
    admission = Admission(requests=2, size=100)
    with admission.ticket() as first, admission.ticket() as second, admission.ticket() as third:
        assert admission.in_progress == 0
        first.enter()
        second.enter()
        with pytest.raises(Overloaded, match="2 price requests"):
            third.enter()
        second.leave()
        third.enter()
        assert admission.in_progress == 2
    assert admission.in_progress == 0


def test_bytes_are_given_back_even_after_a_failure() -> None:
    unit = SMALL_BYTES
    admission = Admission(requests=2, size=10 * unit)
    with admission.ticket() as ticket:
        ticket.charge(6 * unit)
        with suppress(Overloaded), admission.ticket() as other:
            other.charge(3 * unit)
            other.charge(3 * unit)
        assert admission.held == 6 * unit
        with pytest.raises(Overloaded, match=f"{6 * unit} bytes"):
            ticket.charge(4 * unit + 1)
        ticket.charge(4 * unit)
    assert admission.held == 0


def test_small_ones_are_let_in_beside_large_ones_that_fill_the_memory() -> None:
    admission = Admission(requests=2, size=SMALL_BYTES)
    with admission.ticket() as large, admission.ticket() as small:
        large.charge(SMALL_BYTES)
        small.charge(SMALL_BYTES - 1)
        assert admission.held == SMALL_BYTES
