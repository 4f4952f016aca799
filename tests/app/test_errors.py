from __future__ import annotations

import pytest

from app.errors import EXPECTED, STATUS


@pytest.mark.parametrize("kind", STATUS, ids=lambda kind: kind.__name__)
def test_what_has_a_status_is_told_in_a_sentence(kind: type[Exception]) -> None:
    assert issubclass(kind, EXPECTED)
