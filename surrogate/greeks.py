"""The derivatives that have names of their own, as parts of the delta by all features. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

from pricing.domain import Box, Feature
from pricing.specs.parameters import PARAMETERS


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
    """The named derivatives of a surrogate on these features; theta is the negative of that by the maturity.

    Features of imported labels may have other names than `PARAMETERS`, and no such output.
    """
    named = [(part, PARAMETERS[part.name]) for part in box.features if part.name in PARAMETERS]
    return tuple(
        Greek(
            name=parameter.greek,
            feature=part.name,
            columns=box.columns(part.name),
            sign=parameter.sign,
            unit=f"currency per {_one(part)}",
        )
        for part, parameter in named
        if parameter.greek is not None
    )


def _one(part: Feature) -> str:
    """What a derivative is per: a unit that has a name, or 1.00 of the feature."""
    if part.unit == "years":
        return "year"
    return f"1.00 of {part.name}" if part.unit == "1" or "/" in part.unit else part.unit
