from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from surrogate.reductions.expressions import (
    Expression,
    constant,
    enclose,
    evaluate,
    exp,
    feature,
)

WIDTH = 3


def test_constants_meet_before_features_do() -> None:
    x = feature(0, 1)
    assert (x * 1.0) is x
    assert (x + 0.0) is x
    assert (x * 0.0).is_constant
    assert exp(constant(0.0) * 3.0).numbers.item() == 1.0
    twice = x * 2.0 * 3.0
    assert twice.inputs[0] is x
    assert twice.inputs[1].numbers.item() == 6.0


@given(st.floats(0.05, 2.0), st.floats(0.01, 1.0))
def test_intervals_hold_what_points_give(formula: tuple[Expression, list[Expression]], low: float, size: float) -> None:
    end, _ = formula
    lower = torch.full((WIDTH,), low, dtype=torch.float64)
    upper = lower + size
    found = enclose(end, lower, upper)
    points = torch.lerp(lower, upper, torch.rand(64, WIDTH, dtype=torch.float64))
    values = evaluate([end], points)[0]
    assert (values >= found[0] - 1e-12).all()
    assert (values <= found[1] + 1e-12).all()


def test_an_interval_is_sharp_where_no_feature_occurs_twice() -> None:
    """S e^((r - q) T) / K, whose extremes lie at corners."""
    s, r, t, k = (feature(i, i + 1) for i in range(4))
    lower, upper = (torch.tensor(x, dtype=torch.float64) for x in ([0.5, -0.02, 0.1, 0.8], [1.5, 0.05, 2.0, 1.2]))
    low, high = enclose(s * exp(r * t) / k, lower, upper)
    assert low.item() == pytest.approx(0.5 * math.exp(-0.04) / 1.2)
    assert high.item() == pytest.approx(1.5 * math.exp(0.1) / 0.8)
