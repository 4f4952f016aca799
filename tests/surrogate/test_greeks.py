from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from pricing.domain import Box, Feature
from pricing.specs.parameters import GREEKS
from surrogate.greeks import CROSS, VOLATILITIES, Greek, crosses, greeks, missing, pair_cross, vega

BASIC = ("value", "delta", "gamma")


def found(*names: str) -> tuple[Greek, ...]:
    return greeks(Box(features=tuple(Feature(name=name, lower=(0.1,), upper=(0.5,)) for name in names)))


def test_spots_and_names_of_somebody_elses_features_have_no_output_of_their_own() -> None:
    assert found("spot", "x", "value") == ()


def test_theta_is_by_time_and_not_by_maturity() -> None:
    theta, vega = found("spot", "maturity", "volatility")
    assert (theta.name, theta.feature, theta.columns, theta.sign) == ("theta", "maturity", slice(1, 2), -1.0)
    assert (vega.name, vega.feature, vega.columns, vega.sign) == ("vega", "volatility", slice(2, 3), 1.0)


@pytest.mark.parametrize("name", ["volatility_scale", "loading"])
def test_a_scale_is_not_called_what_it_scales(name: str) -> None:
    """Whatever else varies: vega is by the volatilities, correlation by the correlation."""
    assert [greek.name for greek in found(name)] == [name]
    assert [greek.name for greek in found(name, "volatility", "correlation")] == [name, "vega", "correlation"]


def test_no_two_outputs_have_one_name() -> None:
    """Imported labels may have any features together."""
    assert len(set(GREEKS)) == len(GREEKS)


@pytest.mark.parametrize(
    ("name", "unit", "shown"),
    [
        ("strike", "currency", "currency per currency"),
        ("strike", "EUR", "currency per EUR"),
        ("maturity", "years", "currency per year"),
        ("volatility", "1 / sqrt(year)", "currency per 1.00 of volatility"),
        ("correlation", "1", "currency per 1.00 of correlation"),
        ("rate", "unit", "currency per unit"),
    ],
)
def test_units_read_as_words(name: str, unit: str, shown: str) -> None:
    feature = Feature(name=name, lower=(0.1,), upper=(0.5,), unit=unit)
    assert greeks(Box(features=(feature,)))[0].unit == shown


def test_the_page_of_greeks_has_every_name() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "greeks.md").read_text()
    rows = [line.split("|") for line in page.splitlines() if line.startswith("| `")]
    further = {*CROSS, "implied_volatility"}
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row[1])} == {*GREEKS, *BASIC, *further}


def box(**sizes: int) -> Box:
    return Box(features=tuple(Feature(name=n, lower=(0.1,) * k, upper=(0.5,) * k) for n, k in sizes.items()))


def test_second_derivatives_are_blocks_of_the_hessian_with_the_signs_of_the_first() -> None:
    """By rows and columns of a Hessian whose entries say where they stand."""
    given = box(spot=2, volatility=2, maturity=1, rate=3, strike=1)
    gamma = np.arange(162.0).reshape(2, 9, 9)
    found = {one.name: one.of(gamma) for one in crosses(given)}
    assert list(found) == list(CROSS)
    np.testing.assert_array_equal(found["vanna"], gamma[:, :2, 2:4])
    np.testing.assert_array_equal(found["volga"], gamma[:, 2:4, 2:4])
    np.testing.assert_array_equal(found["charm"], -gamma[:, :2, 4])
    np.testing.assert_array_equal(found["veta"], -gamma[:, 2:4, 4])
    np.testing.assert_array_equal(found["vera"], gamma[:, 2:4, 5:8])
    np.testing.assert_array_equal(found["dual_gamma"], gamma[:, 8, 8])
    block = pair_cross("gamma.rate.strike", given)
    assert block is not None
    np.testing.assert_array_equal(block.of(gamma), gamma[:, 5:8, 8])
    twice = pair_cross("gamma.maturity.maturity", given)
    assert twice is not None
    assert (twice.sign, twice.sizes, twice.size) == (1.0, (1, 1), 1)


@pytest.mark.parametrize("name", VOLATILITIES)
def test_whatever_is_the_volatility_of_a_box_is_what_the_names_are_by(name: str) -> None:
    """And the first of several."""
    given = box(spot=2, **{name: 2})
    by, (vanna, volga) = vega(given), crosses(given)
    assert by is not None
    assert (by.feature, by.columns) == (name, slice(2, 4))
    assert (vanna.name, vanna.features, vanna.unit) == ("vanna", ("spot", name), "currency per unit per unit")
    assert (volga.name, volga.features) == ("volga", (name, name))
    both = vega(box(spot=1, initial_variance=1, volatility_scale=1, volatility=1))
    assert both is not None
    assert both.feature == "volatility"


@pytest.mark.parametrize(
    "name", ["gamma.", "gamma.spot", "gamma.spot.", "gamma.spot.rho", "gammaXspotXspot", "spot.spot"]
)
def test_a_block_is_by_two_features_of_the_box(name: str) -> None:
    assert pair_cross(name, box(spot=1, rate=1)) is None


def test_what_is_missing_is_said_with_what_to_build() -> None:
    assert missing("charm", box(spot=1)).endswith("it has spot; build it with maturity among problem.features")
    both = missing("vera", box(spot=1, strike=1), possible=["spot", "initial_variance", "rate"])
    assert both.startswith("vera is a derivative by volatility or volatility_scale or initial_variance and rate, which")
    assert both.endswith("build it with initial_variance and rate among problem.features")
    assert missing("rho", box(spot=1), possible=["spot"]).endswith("it has spot, and no other of its problem is one")
    for name in (*GREEKS, *CROSS):
        assert "it has spot" in missing(name, box(spot=1))
