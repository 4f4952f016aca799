"""Dates of a contract as shares of its maturity."""

from __future__ import annotations

from itertools import pairwise

from pricing.errors import InvalidSpec
from pricing.specs.base import require_finite

# Monitoring, averaging and exercise dates of one contract.
MAXIMUM_DATES = 1024


def require_dates(shares: tuple[float, ...]) -> None:
    """Raise InvalidSpec unless the dates are 1 to MAXIMUM_DATES increasing shares of the maturity in (0, 1]."""
    require_finite("dates", shares)
    if not 1 <= len(shares) <= MAXIMUM_DATES:
        raise InvalidSpec(
            f"dates: give 1 to {MAXIMUM_DATES}, got {len(shares)}", path="dates", bound=[1, MAXIMUM_DATES]
        )
    if not (shares[0] > 0.0 and shares[-1] <= 1.0 and all(a < b for a, b in pairwise(shares))):
        raise InvalidSpec(
            f"dates must be increasing shares of the maturity in (0, 1], got {list(shares)}", path="dates", bound=[0, 1]
        )
