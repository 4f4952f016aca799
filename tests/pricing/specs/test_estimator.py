"""Settings of an estimator that make no sense are refused with the field, its bound and the value."""

from __future__ import annotations

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import dump, load
from pricing.specs.estimator import Smoothed
from pricing.specs.labels import LabelSpec
from tests.pricing.cases import changed


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("estimator", {"kind": "smoothed", "width": 1.5}, "width must be 0"),
        ("estimator", {"kind": "smoothed", "gamma_bias": 0.0}, "gamma_bias must be in"),
        ("estimator", {"kind": "smoothed", "kernel": "relu"}, "Invalid enum value 'relu'"),
        ("estimator", {"kind": "bridge", "steps": 0}, r"steps must be in \[1, 4096\], got 0"),
        ("estimator", {"kind": "frozen", "degree": 9}, r"degree must be in \[1, 8\], got 9"),
        ("estimator", {"kind": "frozen", "paths": 100}, "paths must be a power of two from 1 to 16777216, got 100"),
        ("estimator", {"kind": "frozen", "width": -0.1}, r"width must be in \[1e-06, 1\], got -0.1"),
        ("estimator", {"kind": "magic"}, "Invalid value 'magic'"),
    ],
)
def test_estimators_that_make_no_sense(path: str, value: object, message: str) -> None:
    with pytest.raises(InvalidSpec, match=message):
        load(LabelSpec, changed(dump(LabelSpec()), path, value))


@pytest.mark.parametrize("width", [0.0, 1.0])
def test_a_width_is_automatic_or_at_most_a_standard_deviation(width: float) -> None:
    assert Smoothed(width=width).width == width
