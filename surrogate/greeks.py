"""The derivatives that have names of their own, as parts of the delta by all features. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from pricing.domain import Box, Feature

# What the derivative by a feature is called: by its own name, but for those that have one on a trading desk. Features
# of imported labels may have other names, and no such output.
NAMES = {
    "volatility": "vega",
    "maturity": "theta",
    "rate": "rho",
    "dividend_yield": "dividend",
    **{
        name: name
        for name in (
            *("strike", "volatility_scale", "correlation", "loading"),
            *("barrier", "knock_in", "coupon_barrier", "skew", "curvature"),
            *("initial_variance", "mean_reversion", "long_variance", "variance_volatility"),
            "spot_variance_correlation",
        )
    },
}


@dataclass(frozen=True, kw_only=True)
class Greek:
    """``sign`` times the derivative by the columns of one feature.

    Args:
        feature: whose columns they are.
        unit: of the derivative.
    """

    name: str
    feature: str
    columns: slice
    sign: float
    unit: str

    @property
    def size(self) -> int:
        """Number of columns; 1 is exported as [n], more as [n, size]."""
        return int(self.columns.stop - self.columns.start)


def greeks(box: Box) -> tuple[Greek, ...]:
    """The named derivatives of a surrogate on these features; theta is the negative of that by the maturity."""
    return tuple(
        Greek(
            name=NAMES[part.name],
            feature=part.name,
            columns=box.columns(part.name),
            sign=-1.0 if part.name == "maturity" else 1.0,
            unit=f"currency per {_one(part)}",
        )
        for part in box.features
        if part.name in NAMES
    )


def _one(part: Feature) -> str:
    """What a derivative is per: a unit that has a name, or 1.00 of the feature."""
    if part.unit == "years":
        return "year"
    return f"1.00 of {part.name}" if part.unit == "1" or "/" in part.unit else part.unit
