"""Nearly the value of a European option on several lognormal assets, in closed form: a regressor, never a reference.

A basket is taken to be lognormal with its own first two moments, or normal where weights have both signs; the best of
the assets to be lognormal with the moments of the maximum of their logarithms, pair after pair, the worst likewise.

References: Levy (1992) for the basket; Clark (1961), The greatest of a finite set of random variables.
"""

from __future__ import annotations

from typing import assert_never

from torch import Tensor

from pricing.references.market import Market
from pricing.references.normal import density, distribution, gaussian, lognormal
from pricing.specs.european import BestOf, Call, Put, WorstOf

# A variance below this is one: square roots of it keep a derivative.
LEAST_VARIANCE = 1e-16


def proxy(market: Market, x: Tensor, k: int, last: int) -> Tensor:
    """Of exercise at date ``last`` alone, seen from date k, in today's money. Shape: asset row -> row."""
    sigma = market.sigma
    covariance = market.rho * sigma[:, None] * sigma * (market.ticks[last] - market.ticks[k])
    forward = x + (market.carry[last] - market.carry[k])[:, None]
    mean = forward - 0.5 * covariance.diagonal()[:, None]
    option, strike, paid = market.option, market.at["strike"][0, 0, 0], market.paid[last]
    sign = 1.0 if option.side == "call" else -1.0
    match option:
        case Call(weights=weights) | Put(weights=weights):
            amounts = forward.exp() * forward.new_tensor(weights)[:, None]
            first, square = amounts.sum(dim=0), (amounts * (covariance.exp() @ amounts)).sum(dim=0)
            if min(weights) >= 0.0:
                variance = (square / first.square()).log().clamp(min=0.0)
                return paid * lognormal(first, strike, variance, sign=sign)
            return paid * gaussian(first, strike, (square - first.square()).clamp(min=0.0), sign=sign)
        case WorstOf(initial=initial) | BestOf(initial=initial):
            turn = 1.0 if isinstance(option, BestOf) else -1.0
            logs = turn * (mean - mean.new_tensor(initial).log()[:, None])
            middle, variance = greatest(logs, covariance)
            return paid * lognormal((turn * middle + 0.5 * variance).exp(), strike, variance, sign=sign)
        case _:
            assert_never(option)


def greatest(mean: Tensor, covariance: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of the maximum of normals, as if it of a pair were normal. Shape: asset row -> row; row."""
    middle, variance = mean[0], covariance[0, 0].expand_as(mean[0])
    shared = covariance[0][:, None].expand_as(mean)
    for i in range(1, len(mean)):
        spread = (variance + covariance[i, i] - 2.0 * shared[i]).clamp(min=LEAST_VARIANCE).sqrt()
        ahead = (middle - mean[i]) / spread
        chance, peak = distribution(ahead), spread * density(ahead)
        first = middle * chance + mean[i] * (1.0 - chance) + peak
        square = (middle.square() + variance) * chance + (mean[i].square() + covariance[i, i]) * (1.0 - chance)
        square = square + (middle + mean[i]) * peak
        shared = shared * chance + covariance[i][:, None] * (1.0 - chance)
        middle, variance = first, (square - first.square()).clamp(min=LEAST_VARIANCE)
    return middle, variance
