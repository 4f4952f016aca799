from __future__ import annotations

from contextlib import suppress

import pytest

from app.errors import Overloaded
from app.http.limits import Admission


def test_requests_are_counted_until_they_leave() -> None:
    admission = Admission(requests=2, size=100)
    with admission.enter(), admission.enter():
        with pytest.raises(Overloaded, match="2 price requests"), admission.enter():
            pass
        assert admission.in_progress == 2
    assert admission.in_progress == 0
    with admission.enter():
        assert admission.in_progress == 1


def test_bytes_are_given_back_even_after_a_failure() -> None:
    admission = Admission(requests=2, size=100)
    with admission.enter() as ticket:
        ticket.charge(60)
        with suppress(Overloaded), admission.enter() as other:
            other.charge(30)
            other.charge(30)
        assert admission.held == 60
        with pytest.raises(Overloaded, match="60 bytes"):
            ticket.charge(41)
        ticket.charge(40)
    assert admission.held == 0
