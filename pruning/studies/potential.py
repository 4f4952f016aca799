"""How far a network can be pruned, and what pruning costs away from the data it was judged on.

    prune potential   P(theta, D; delta) = max { r : err(theta_r; D) <= err(theta; D) (1 + delta) }
    excess error      e(theta, D') = err(theta; D') - err(theta; D)

The maximum is over all ratios that were evaluated, not up to the first failure, and the dense network is judged on the
same D. Whatever is an error fits: the RMSE of a value or a Greek, a classification error rate.

References: Liebenwein, Baykal, Carter, Gifford, Rus, Lost in pruning, 2021.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pricing.types import Array
from pruning.errors import PruningError

# Resamples of the bootstrap: the 2.5 % quantile of 2,000 is its 50th smallest.
RESAMPLES = 2000
# Quantiles of a 95 % interval.
INTERVAL = (0.025, 0.975)


def prune_potential(
    ratios: Sequence[float], errors: Sequence[float], *, dense: float, delta: float, relative: bool = True
) -> float:
    """Largest ratio whose error is at most ``delta`` above that of the dense network, 0 if none is.

    Args:
        ratios: shares of the network that are pruned, in any order.
        errors: of the pruned networks, one per ratio, on one D.
        dense: error of the unpruned network on the same D.
        delta: share of ``dense``, or an amount of its own if not ``relative``, as error rates are compared.

    Raises:
        PruningError: not one error per ratio.

    >>> prune_potential([0.5, 0.8, 0.9], [1.0, 1.2, 1.04], dense=1.0, delta=0.05)
    0.9
    """
    r, err = _pairs(ratios, errors)
    bound = dense * (1.0 + delta) if relative else dense + delta
    return float(max([0.0, *r[err <= bound]]))


def excess_error(shifted: Sequence[float], nominal: Sequence[float]) -> Array:
    """e = err(D') - err(D), network by network. Shape: network -> network.

    Raises:
        PruningError: not one error per network on both.
    """
    elsewhere, here = _pairs(shifted, nominal)
    return elsewhere - here


@dataclass(frozen=True, kw_only=True)
class Slope:
    """A slope with its 95 % bootstrap interval; units of the error per unit of prune ratio."""

    slope: float
    low: float
    high: float


def excess_slope(ratios: Sequence[float], difference: Sequence[float], *, generator: np.random.Generator) -> Slope:
    """Regression through the origin of e(pruned) - e(dense) on the prune ratio, its interval by resampling the pairs.

    b = sum r d / sum r^2: at ratio 0 nothing is pruned and the difference is 0, so there is no intercept. A slope above
    0 says that pruning costs more off the nominal domain than on it.

    Args:
        ratios: shares of the network that are pruned; at least one is not 0.
        difference: e of the pruned networks less e of their dense ones, one per ratio.

    Raises:
        PruningError: not one difference per ratio, or no ratio above 0.
    """
    r, d = _pairs(ratios, difference)
    if not r.any():
        raise PruningError("ratios: a slope needs at least one network with a prune ratio above 0")
    rows = generator.integers(len(r), size=(RESAMPLES, len(r)))
    size, product = (r[rows] ** 2).sum(axis=1), (r[rows] * d[rows]).sum(axis=1)
    # A resample of unpruned networks alone says nothing of the slope.
    slopes = product[size > 0.0] / size[size > 0.0]
    low, high = np.quantile(slopes, INTERVAL)
    return Slope(slope=float(r @ d / (r @ r)), low=float(low), high=float(high))


def _pairs(first: Sequence[float], second: Sequence[float]) -> tuple[Array, Array]:
    """Two columns of the same length."""
    one, two = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.shape != two.shape or one.ndim != 1:
        raise PruningError(f"give as many numbers on both sides, one per network; got {one.shape} and {two.shape}")
    return one, two
