from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pricing.domain import Box, Feature
from pricing.errors import InvalidSpec, OutOfDomain


@pytest.fixture
def box() -> Box:
    return Box(
        features=(
            Feature(name="spot", lower=(0.5, 1.0), upper=(1.5, 3.0)),
            Feature(name="maturity", lower=(0.0,), upper=(2.0,), unit="years"),
        )
    )


def test_coordinates_follow_the_features(box: Box) -> None:
    assert box.dimension == 3
    assert box.labels == ("spot[0]", "spot[1]", "maturity")
    assert box.columns("spot") == slice(0, 2)
    assert box.columns("maturity") == slice(2, 3)
    with pytest.raises(InvalidSpec, match=r"no feature 'rate'.*\['spot', 'maturity'\]"):
        box.columns("rate")


def test_bounds_belong_to_the_box(box: Box) -> None:
    assert box.contains(np.array([box.lower, box.upper])).all()
    assert not box.contains(np.nextafter(box.upper, np.inf)[None]).any()


def test_check_names_row_coordinate_bound_and_value(box: Box) -> None:
    box.check(np.array([[1.0, 2.0, 1.0]]))
    with pytest.raises(OutOfDomain, match=r"row 1: spot\[1\] = 3.5 is outside its upper bound 3;"):
        box.check(np.array([[1.0, 2.0, 1.0], [1.0, 3.5, 1.0]]))
    with pytest.raises(OutOfDomain, match=r"row 0: maturity = -0.1 is outside its lower bound 0;"):
        box.check(np.array([[1.0, 2.0, -0.1]]))


def test_nan_is_outside(box: Box) -> None:
    features = np.array([[1.0, np.nan, 1.0]])
    assert not box.contains(features).any()


@given(share=st.lists(st.floats(-2.0, 3.0), min_size=3, max_size=3))
def test_distance_is_the_largest_excess_in_widths(share: list[float]) -> None:
    box = Box(features=(Feature(name="x", lower=(0.0, -1.0, 10.0), upper=(1.0, 3.0, 30.0)),))
    excess = max(max(-s, s - 1.0, 0.0) for s in share)
    features = box.from_uniforms(np.array([share]))
    assert box.distance(features)[0] == pytest.approx(excess, abs=1e-14)
    assert box.contains(features)[0] == (box.distance(features)[0] == 0.0)


def test_uniforms_map_onto_the_box(box: Box) -> None:
    corners = box.from_uniforms(np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.5, 0.5]]))
    np.testing.assert_array_equal(corners, [box.lower, box.upper, [1.0, 2.0, 1.0]])


@pytest.mark.parametrize("shape", [(3,), (4, 2), (0, 3), (1, 3, 1)])
def test_shape_of_features(shape: tuple[int, ...], box: Box) -> None:
    box.require_shape((1, 3))
    with pytest.raises(InvalidSpec, match=r"\(samples, 3\)"):
        box.require_shape(shape)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "two words"}, "must be an identifier"),
        ({"lower": ()}, "lower has 0 bounds and upper 1"),
        ({"lower": (1.0,)}, "need finite lower < upper, got 1.0 and 1.0"),
        ({"lower": (float("nan"),)}, "need finite lower < upper"),
        ({"upper": (float("inf"),)}, "need finite lower < upper"),
    ],
)
def test_features_that_make_no_sense(changes: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {"name": "spot", "lower": (0.0,), "upper": (1.0,), **changes}
    with pytest.raises(InvalidSpec, match=message):
        Feature(**fields)  # type: ignore[arg-type]


def test_boxes_that_make_no_sense() -> None:
    feature = Feature(name="spot", lower=(0.0,), upper=(1.0,))
    with pytest.raises(InvalidSpec, match="names must differ"):
        Box(features=(feature, feature))
    with pytest.raises(InvalidSpec, match="at least one feature"):
        Box(features=())


def test_bounds_given_as_integers_are_float64() -> None:
    box = Box(features=(Feature(name="spot", lower=(0, 1), upper=(2, 3)),))
    assert box.lower.dtype == box.upper.dtype == np.float64
