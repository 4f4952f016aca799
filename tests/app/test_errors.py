from __future__ import annotations

import pytest

from app.errors import EXPECTED, STATUS, AppError


def test_every_refusal_of_the_app_has_a_status() -> None:
    assert set(AppError.__subclasses__()) <= set(STATUS)
    assert all(400 <= status < 600 for status in STATUS.values())


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_what_has_a_status_is_told_in_a_sentence(kind: type[Exception]) -> None:
    assert issubclass(kind, EXPECTED)
