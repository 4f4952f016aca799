from __future__ import annotations

import re
from pathlib import Path

import pytest

from pricing.domain import Box, Feature
from pricing.specs.parameters import GREEKS
from surrogate.greeks import Greek, greeks

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
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row[1])} == {*GREEKS, *BASIC}
