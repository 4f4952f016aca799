from __future__ import annotations

import pytest

from surrogate.learning.adam import learning_rate
from surrogate.spec import Adam


def test_cosine_falls_from_the_peak_to_zero() -> None:
    spec = Adam(learning_rate=0.02)
    assert [learning_rate(spec, t) for t in (0.0, 0.5, 1.0)] == pytest.approx([0.02, 0.01, 0.0])


def test_one_cycle_follows_huge_and_savine() -> None:
    spec = Adam(learning_rate=0.1, schedule="one_cycle")
    rates = [learning_rate(spec, t) for t in (0.0, 0.2, 0.6, 0.9, 1.0)]
    assert rates == pytest.approx([1e-8, 0.1, 0.01, 1e-6, 1e-8])
