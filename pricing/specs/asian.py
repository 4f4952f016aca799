"""Options on an average, from before the first of its dates to after the last but one."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType

from pricing.errors import InvalidSpec
from pricing.specs.base import require_number, require_range
from pricing.specs.dates import require_dates
from pricing.specs.european import BasketPayoff, Side
from pricing.specs.facts import PayoffFacts
from pricing.specs.parameters import Parameters

# Fixings that may have passed: one a day for forty years.
MAXIMUM_PAST = 10_000


class Asian(BasketPayoff, frozen=True, kw_only=True, tag="asian"):
    """Pays max(A - K, 0) or max(K - A, 0) at maturity, A the average of the basket w . S over the dates.

    Of one that is running A counts its past fixings too: with n of them, of the average P, and the baskets B_1 ... B_m
    at the dates still to come, A = (n P + B_1 + ... + B_m) / (n + m), or the geometric mean of as many.

    Args:
        side: "call" (A - K) or "put" (K - A).
        average: "arithmetic", or "geometric", which needs positive levels.
        dates: averaging dates still to come as shares of the maturity, increasing, in (0, 1]; the payment is at
            maturity.
        past_fixings: n, averaging dates that have passed; left out, with ``past_average``, where none has.
        past_average: P, the average of the basket over them, currency; > 0 where it is geometric.
    """

    dates: tuple[float, ...]
    side: Side = "call"
    average: Literal["arithmetic", "geometric"] = "arithmetic"
    past_fixings: int | UnsetType = UNSET
    past_average: float | UnsetType = UNSET

    def __post_init__(self) -> None:
        super().__post_init__()
        require_dates(self.dates)
        for name, other in (("past_fixings", "past_average"), ("past_average", "past_fixings")):
            if getattr(self, name) is UNSET and getattr(self, other) is not UNSET:
                raise InvalidSpec(
                    f"{name}: {other} needs it: give how many averaging dates have passed and their average, or "
                    "leave out both",
                    path=name,
                )
        if self.past_average is not UNSET:
            require_range("past_fixings", self.past, 1, MAXIMUM_PAST)
            require_number("past_average", self.past_average)
            if self.average == "geometric" and min(self.weights) < 0.0:
                raise InvalidSpec(
                    f"weights must be >= 0 where a geometric average has past fixings, got {min(self.weights)!r}; "
                    "baskets of both signs have none",
                    path="weights",
                    bound=0.0,
                )
            if self.average == "geometric" and not self.past_average > 0.0:
                raise InvalidSpec(
                    f"past_average must be > 0 (currency), got {self.past_average!r}: it is a geometric average",
                    path="past_average",
                    bound=0.0,
                )

    @property
    def past(self) -> int:
        """How many averaging dates have passed."""
        return 0 if self.past_fixings is UNSET else self.past_fixings

    @property
    def fixings(self) -> int:
        """How many baskets the average is of, past ones counted."""
        return self.past + len(self.dates)

    @property
    def parameters(self) -> Parameters:
        """What may vary: the average of the past fixings where there are any."""
        past = {} if self.past_average is UNSET else {"past_average": (self.past_average,)}
        return {**super().parameters, **past}

    @property
    def facts(self) -> PayoffFacts:
        """What others ask of it."""
        geometric = self.average == "geometric"
        basket = "has no formula for the geometric average of a basket"
        return PayoffFacts(
            dates=self.dates if self.dates[-1] == 1.0 else (*self.dates, 1.0),
            last_look=self.dates[-1],
            decided="average",
            degree=1,
            levels=tuple(self.parameters),
            jumps=False,
            flat=False,
            survives=False,
            unintegrated=basket if geometric and self.assets > 1 else None,
            ranked=False,
            weights=self.weights,
            vanilla=False,
            sized_by="weights",
            positive_levels="average" if geometric else None,
            strike_unit="currency",
        )
