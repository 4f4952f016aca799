"""Dates are increasing shares of the maturity."""

from __future__ import annotations

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.dates import MAXIMUM_DATES, require_dates


@pytest.mark.parametrize("shares", [(1.0,), (0.25, 0.5), tuple((k + 1) / MAXIMUM_DATES for k in range(MAXIMUM_DATES))])
def test_dates_that_are_taken(shares: tuple[float, ...]) -> None:
    require_dates(shares)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ((), f"dates: give 1 to {MAXIMUM_DATES}, got 0"),
        ((0.0, 1.0), r"increasing shares of the maturity in \(0, 1\], got \[0.0, 1.0\]"),
        ((0.5, 0.5), "must be increasing"),
        ((0.5, 1.0 + 1e-9), r"shares of the maturity in \(0, 1\]"),
        ((float("inf"),), r"dates\[0\] must be finite"),
    ],
)
def test_refusals(shares: tuple[float, ...], message: str) -> None:
    with pytest.raises(InvalidSpec, match=message) as caught:
        require_dates(shares)
    assert str(caught.value.fields["path"]).startswith("dates")
