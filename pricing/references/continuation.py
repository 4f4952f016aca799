"""Continuation values around one sample, by regression of expectations over one step.

    C_k(x) = E[w_(k+1)(x_(k+1)) | x_k = x],   w_k = max(h_k, C_k),   w_n = max(h_n, 0),

backward, all in today's money. The states of a date follow the sample's own law, a little wider; the expectation at
each is a mean over a quasi-random step of its own, not the cash of a path, so that little noise is left to fit. C_k is
a polynomial in the principal components of the logarithms (in order of size where assets are alike) and a linear
function of them times each of two European options: what is left of those at the next date and at the last.

References: Tsitsiklis & Van Roy (2001) for the recursion; Broadie & Cao (2008) for European options as regressors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import torch
from scipy.stats import qmc
from torch import Tensor

from pricing.references.market import Market
from pricing.references.normal import quantile
from pricing.references.proxies import proxy
from pricing.references.replicates import MARGIN, STREAM
from pricing.types import Array

# States that a date is fitted on, and points of the step from each of them.
STATES, POINTS = 1 << 10, 1 << 6
# How much wider than the law the states lie, so that inner points are inside.
WIDER = 1.15
# Terms of a polynomial, and its degree, at most; one in the components has degree 1 at least.
TERMS, DEGREE = 70, 8
# Components with less than this share of the largest variance are rounding.
NEGLIGIBLE = 1e-12
# Rows that are evaluated at once: a column of them stays in the cache.
ROWS = 1 << 13
# Bits of a shifted point.
BITS = 40


@dataclass(frozen=True, kw_only=True)
class Continuation:
    """C_k of one date: coefficients on `terms`. Shape: centre input 1; axes component input; coefficients term."""

    date: int
    ordered: bool
    centre: Tensor
    axes: Tensor
    degree: int
    coefficients: Tensor

    def __call__(self, market: Market, x: Tensor) -> Tensor:
        """Shape: asset row -> row."""
        total = torch.zeros_like(x[0])
        for coefficient, term in zip(self.coefficients, self.terms(market, x), strict=True):
            total = torch.addcmul(total, coefficient, term)
        return total.clamp(min=0.0)

    def terms(self, market: Market, x: Tensor) -> list[Tensor]:
        """What C_k is linear in. Shape: asset row -> each row."""
        known = x.sort(dim=0, descending=True).values if self.ordered else x
        y = (self.axes @ (known - self.centre)).unbind()
        powers: dict[tuple[int, ...], Tensor] = {(): torch.ones_like(x[0])}
        for total in range(1, self.degree + 1):
            for chosen in combinations_with_replacement(range(len(y)), total):
                powers[chosen] = powers[chosen[:-1]] * y[chosen[-1]]
        columns = list(powers.values())
        for last in sorted({self.date + 1, market.dates - 1}):
            european = proxy(market, x, self.date, last)
            columns += [european, *(european * component for component in y)]
        return columns


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Continuation values of every date but the last, fitted at one sample."""

    market: Market
    continuations: tuple[Continuation, ...]

    def worth(self, market: Market, x: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """w_k and whether the holder exercises at date k. Shape: asset row -> row; row.

        Args:
            market: what exercise is worth; C_k is a function of the state as it was fitted.
        """
        now = market.exercised(x, k)
        if k == market.dates - 1:
            return now.clamp(min=0.0), now > 0.0
        later = self.continuation(x, k)
        stops = ((now >= later) & (now > 0.0)).detach()
        return torch.where(stops, now, later), stops

    def continuation(self, x: Tensor, k: int) -> Tensor:
        """C_k. Shape: asset row -> row."""
        fitted = self.continuations[k - self.market.dates + 1]
        blocks = [x[:, start : start + ROWS] for start in range(0, x.shape[1], ROWS)]
        return torch.cat([fitted(self.market, block) for block in blocks])

    def expected(self, market: Market, x: Tensor, k: int, z: Tensor) -> Tensor:
        """E[w_(k+1)] from states of date k, over points z of the step. Shape: asset row, asset row point -> row."""
        after = market.step(x[:, :, None].expand_as(z).flatten(1), z.flatten(1), k + 1)
        return self.worth(market, after, k + 1)[0].reshape(z.shape[1:]).mean(dim=1)


def fit(market: Market, *, ordered: bool) -> Rule:
    """The rule around one sample, its numbers a stream of their own. Shape of the market: no features."""
    rule = Rule(market=market, continuations=())
    for k in reversed(range(market.dates - 1)):
        generator = np.random.default_rng([STREAM, STATES, k])
        first = normals(sobol(STATES, len(market.start), generator))
        width = WIDER * market.sigma * market.ticks[k].sqrt()
        centre = market.start + market.mean[: k + 1].sum(dim=0)
        x = centre[:, None] + width[:, None] * (market.factor @ first)
        targets = rule.expected(market, x, k, shifted(POINTS, x, generator))
        blank = _blank(x, k, ordered=ordered)
        phi = torch.stack(blank.terms(market, x), dim=1)
        solved = torch.linalg.lstsq(phi, targets[:, None], driver="gelsd").solution[:, 0]
        found = Continuation(**{**vars(blank), "coefficients": solved})
        rule = Rule(market=market, continuations=(found, *rule.continuations))
    return rule


def _blank(x: Tensor, date: int, *, ordered: bool) -> Continuation:
    known = x.sort(dim=0, descending=True).values if ordered else x
    centre = known.mean(dim=1, keepdim=True)
    size, axes = torch.linalg.eigh(torch.cov(known).reshape(len(x), len(x)))
    kept = size > NEGLIGIBLE * size[-1]
    return Continuation(
        date=date,
        ordered=ordered,
        centre=centre,
        axes=axes[:, kept].T / size[kept].sqrt()[:, None],
        degree=_degree(int(kept.sum())),
        coefficients=x.new_zeros(0),
    )


def _degree(inputs: int) -> int:
    fits = [degree for degree in range(1, DEGREE + 1) if math.comb(inputs + degree, degree) <= TERMS]
    return max(fits, default=1)


def sobol(points: int, dimension: int, generator: np.random.Generator) -> Array:
    """A scrambled Sobol set. Shape: -> point dimension."""
    result: Array = qmc.Sobol(dimension, scramble=True, rng=generator).random(points)
    return result


def normals(points: Array) -> Tensor:
    """Normals of uniforms. Shape: point dimension -> dimension point."""
    return quantile(torch.from_numpy(points.T.clip(MARGIN, 1.0 - MARGIN).copy()))


def shifted(points: int, x: Tensor, generator: np.random.Generator) -> Tensor:
    """Points of a step for every state: one Sobol set, a digital shift of its own each.

    A shift of the digits keeps the balance of the set, one of the numbers does not: half of the noise.

    Shape: x asset row -> asset row point.
    """
    base = (sobol(points, len(x), generator).T * 2.0**BITS).astype(np.int64)
    shifts = generator.integers(1 << BITS, size=x.shape)
    moved = ((base[:, None] ^ shifts[:, :, None]) + 0.5) / 2.0**BITS
    return quantile(torch.from_numpy(moved))
