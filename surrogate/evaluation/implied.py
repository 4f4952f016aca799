"""How far off the implied volatility of a call's or put's surrogate is, weighted by vega."""

from __future__ import annotations

import numpy as np

from pricing.implied.volatility import UNITS, implied_law, implied_volatility, why_not_implied
from pricing.specs.problem import PricingProblem
from pricing.types import Array
from surrogate.report.scores import ImpliedScore

# Samples of a vega above this share of the largest: of the others a value says little of a volatility.
TELLING = 0.1


def implied_score(problem: PricingProblem, features: Array, predicted: Array, exact: Array) -> ImpliedScore | None:
    """Errors of the implied volatility; None where values of the problem imply none.

    The root mean square is weighted by the square of the true vega, sqrt(sum (vega (sigma^ - sigma))^2 / sum vega^2):
    far from the strike neither value says much of a volatility.

    Shape: features batch feature; predicted, exact batch.
    """
    if why_not_implied(problem) is not None:
        return None
    truth, found = (implied_volatility(problem, features, value) for value in (exact, predicted))
    known = np.isfinite(truth.volatility)
    both = known & np.isfinite(found.volatility)
    vega, missed = truth.vega[both], np.abs(found.volatility - truth.volatility)[both]
    law, weight = implied_law(problem), float((vega**2).sum())
    telling = missed[vega >= TELLING * vega.max(initial=0.0)]
    return ImpliedScore(
        law=law,
        unit=UNITS[law],
        samples=int(both.sum()),
        undefined=int((~known).sum()),
        missing=int((known & ~both).sum()),
        rmse=float(np.sqrt(((vega * missed) ** 2).sum() / weight)) if weight > 0.0 else None,
        max_error=float(telling.max()) if len(telling) else None,
    )
