"""The derivatives that have names of their own, as parts of the delta by all features. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from pricing.domain import Box

# What the derivative by a feature is called. Features of imported labels may have other names, and no such output.
NAMES = {
    "volatility": "vega",
    "volatility_scale": "vega",
    "maturity": "theta",
    "rate": "rho",
    "loading": "correlation",
    "dividend_yield": "dividend",
    **{
        name: name
        for name in (
            *("strike", "correlation", "barrier", "knock_in", "coupon_barrier", "skew", "curvature"),
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
    """The named derivatives of a surrogate on these features.

    ``theta`` is the derivative by time, the negative of that by the maturity. Where both the volatilities and their
    scale vary, ``vega`` is by the volatilities and the other one has the feature's name.
    """
    names = [part.name for part in box.features]
    found = []
    for part in box.features:
        if part.name not in NAMES:
            continue
        both = part.name == "volatility_scale" and "volatility" in names
        found.append(
            Greek(
                name=part.name if both else NAMES[part.name],
                feature=part.name,
                columns=box.columns(part.name),
                sign=-1.0 if part.name == "maturity" else 1.0,
                unit=f"currency per {part.unit}",
            )
        )
    return tuple(found)
