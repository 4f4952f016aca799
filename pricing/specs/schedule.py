"""What changes at fixed times: pieces of a rate or a volatility, and dividends."""

from __future__ import annotations

from pricing.specs.base import MAXIMUM_ASSETS, Spec, require_number, require_range


class Piece(Spec, frozen=True, kw_only=True):
    """A value of a piecewise-constant parameter.

    Args:
        start: from when on it holds, years, > 0.
        value: in the parameter's unit, or a factor.
    """

    start: float
    value: float

    def __post_init__(self) -> None:
        require_number("start", self.start)
        require_number("value", self.value)


class Dividend(Spec, frozen=True, kw_only=True):
    """A discrete dividend: the asset falls by a proportion of itself, then by an amount.

    Args:
        time: years.
        asset: which one, counted from 0.
        amount: currency.
        proportion: share of the level, 0 to 1.
    """

    time: float
    asset: int = 0
    amount: float = 0.0
    proportion: float = 0.0

    def __post_init__(self) -> None:
        require_range("time", self.time, 0.0, 1e3)
        require_range("asset", self.asset, 0, MAXIMUM_ASSETS - 1)
        require_range("amount", self.amount, 0.0, 1e12)
        require_range("proportion", self.proportion, 0.0, 1.0)
