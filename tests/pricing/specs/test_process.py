"""Dynamics that make no sense are refused with the field, its bound and the value."""

from __future__ import annotations

from typing import Any

import pytest

from pricing.errors import InvalidSpec
from pricing.specs.base import MAXIMUM_ASSETS, load
from pricing.specs.diffusion import MAXIMUM_STEPS
from pricing.specs.process import BlackScholes, Process

PLAIN = {"kind": "black_scholes", "volatilities": [0.2, 0.3], "correlation": [[1.0, 0.5], [0.5, 1.0]]}
HESTON = {
    "kind": "heston",
    "initial_variances": [0.04],
    "mean_reversions": [1.5],
    "long_variances": [0.04],
    "variance_volatilities": [0.5],
    "spot_variance_correlations": [-0.7],
    "correlation": [[1.0]],
}
LOCAL = {
    "kind": "local_volatility",
    "volatilities": [0.2],
    "skews": [-0.4],
    "curvatures": [1.0],
    "powers": [0.4],
    "reference_spots": [100.0],
    "correlation": [[1.0]],
}


@pytest.mark.parametrize(
    ("plain", "change", "message"),
    [
        (PLAIN, {"volatilities": [0.2] * (MAXIMUM_ASSETS + 1)}, f"give 1 to {MAXIMUM_ASSETS} of them, got 1001"),
        (PLAIN, {"correlation": [[1.0, 2.0], [2.0, 1.0]]}, "correlation"),
        (PLAIN, {"rate_pieces": [{"start": 0.0, "value": 0.1}]}, "rate_pieces: times must increase, got 0.0 after 0.0"),
        (
            PLAIN,
            {"volatility_pieces": [{"start": 0.5, "value": 1.0}, {"start": 0.25, "value": 1.0}]},
            "volatility_pieces: times must increase, got 0.25 after 0.5",
        ),
        (PLAIN, {"volatility_pieces": [{"start": 0.5, "value": -1.0}]}, r"volatility_pieces\[0\] must be >= 0"),
        (
            PLAIN,
            {"rate_pieces": [{"start": float("nan"), "value": 0.1}]},
            r"start must be finite, got nan - at `rate_pieces\[0\].start`",
        ),
        (
            PLAIN,
            {"rate_pieces": [{"start": 0.2, "value": 0.1}, {"start": 0.5, "value": float("inf")}]},
            r"value must be finite, got inf - at `rate_pieces\[1\].value`",
        ),
        (PLAIN, {"rate": float("nan")}, "rate must be finite, got nan - at `rate`"),
        (PLAIN, {"dividends": [{"time": 0.5, "asset": 2}]}, r"dividends\[0\].asset must be in \[0, 1\], got 2"),
        (PLAIN, {"dividends": [{"time": 0.5, "amount": -1.0}]}, r"amount must be in \[0, 1e\+12\], got -1.0"),
        (PLAIN, {"dividends": [{"time": 0.5, "proportion": 1.5}]}, r"proportion must be in \[0, 1\], got 1.5"),
        (PLAIN, {"dividends": [{"time": -0.5}]}, r"time must be in \[0, 1000\], got -0.5"),
        (PLAIN, {"dividends": [{"time": 0.5}, {"time": 0.2}]}, "dividends: times must increase, got 0.2 after 0.5"),
        (HESTON, {"mean_reversions": [1.0, 2.0]}, "mean_reversions: give 1, one per asset, got 2"),
        (HESTON, {"mean_reversions": [-0.1]}, r"mean_reversions\[0\] must be >= 0 \(per year\), got -0.1"),
        (HESTON, {"long_variances": [-0.1]}, r"long_variances\[0\] must be >= 0 \(per year\), got -0.1"),
        (HESTON, {"spot_variance_correlations": [1.1]}, "spot_variance_correlations.* got 1.1"),
        (HESTON, {"steps": 0}, rf"steps must be in \[1, {MAXIMUM_STEPS}\], got 0"),
        (LOCAL, {"skews": [1.0]}, r"skews\[0\] must be in \[-0.999, 0.999\], got 1.0"),
        (LOCAL, {"curvatures": [2.0]}, r"curvatures\[0\] must be in \[0, 1.42857\], got 2.0"),
        (LOCAL, {"powers": [0.6]}, r"powers\[0\] must be in \[0, 0.5\], got 0.6"),
        (LOCAL, {"reference_spots": [0.0]}, r"reference_spots\[0\] must be in \[1e-300, 1e\+300\], got 0.0"),
        (LOCAL, {"reference_spots": []}, "reference_spots: give 1, one per asset, got 0"),
        (LOCAL, {"scheme": "heun"}, "Invalid enum value 'heun'"),
    ],
)
def test_refusals(plain: dict[str, Any], change: dict[str, Any], message: str) -> None:
    kinds: Any = Process
    assert load(kinds, plain)
    with pytest.raises(InvalidSpec, match=message):
        load(kinds, {**plain, **change})


def test_two_dividends_may_fall_on_one_day() -> None:
    process = load(BlackScholes, {**PLAIN, "dividends": [{"time": 0.5}, {"time": 0.5, "asset": 1}]})
    assert [dividend.asset for dividend in process.dividends] == [0, 1]


def test_pieces_are_coordinates_of_their_parameter() -> None:
    pieces = {"rate_pieces": [{"start": 0.5, "value": 0.03}], "volatility_pieces": [{"start": 0.2, "value": 1.5}]}
    assert load(BlackScholes, {**PLAIN, "rate": 0.01, **pieces}).parameters == {
        "volatility": (0.2, 0.3),
        "volatility_scale": (1.0, 1.5),
        "rate": (0.01, 0.03),
        "dividend_yield": (0.0, 0.0),
    }
