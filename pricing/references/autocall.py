"""Autocalls on several assets by one-step survival of what all assets have in common, on common paths.

With x the logarithms of the performances, a date's moves are those of the differences D_i = x_i - x_n and, given these,
one normal t that lifts all assets alike. With m the lowest x at t = 0, what is at a level or above is

    t >= (ln level - m) / a,   a^2 = Var(x_n | D),

so every date is integrated over t beyond its trigger and drawn on below it, smoothly in all parameters. Ties are in m
alone, which no t moves. The minimum is taken as it is for value and gradient, which its kinks leave unbiased; for the
Hessian it is smoothed, with a bias that the errors count in. Labels open another axis, smooth thresholds instead of
levels by another kernel, and are drawn by other streams.

References: Glasserman & Staum (2001); Alm, Harrach, Harrach & Keller (2013) for autocalls.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from pricing.elementary import cumulative, density
from pricing.references.black_scholes import TINY_LEVEL, TINY_VARIANCE, carry
from pricing.references.elementwise import known
from pricing.references.methods import Bent, Replicated
from pricing.references.normal import quantile
from pricing.simulation.fixings import knock_in, missed_coupons
from pricing.simulation.scenario import Scenario, clock, correlation, dates, discount
from pricing.specs.payoff import Autocall
from pricing.specs.process import BlackScholes

# Paths of one replicate for value and gradient, and for the Hessian, whose passes cost ten times as much.
PATHS, BENT_PATHS = 1 << 11, 1 << 9
# Points that take about a minute: nine features and four dates with memory, measured.
POINTS = 1 << 7
# Width of a tie in deviations of the difference that decides it, and the share of a gamma at the tie that it misses:
# 3/8 w^4, the kernel n(x) (3 - x^2) / 2 having no moments but its fourth.
WIDTH = 0.15
BIAS = 0.375 * WIDTH**4
# P(|z| > 8) is 1e-15: further out a threshold is none.
END = 8.0
# Volatilities below this are taken to be it, so that no difference is certain.
LEAST_VOLATILITY = 1e-5


def method(process: BlackScholes, payoff: Autocall) -> Replicated:
    """How a note is referenced."""
    return Replicated(
        sampled=partial(value, process, payoff, width=0.0),
        bent=Bent(sampled=partial(value, process, payoff, width=WIDTH), paths=BENT_PATHS, bias=BIAS),
        dimension=payoff.assets * len(payoff.dates),
        paths=PATHS,
        points=POINTS,
        relative_error=0.0,
        known="all",
    )


@dataclass(frozen=True, kw_only=True)
class Lifted:
    """What the dates are decided by.

    Shape: lowest (m without any t) batch path date; reach (a of every date) batch-or-1 date; uniforms path date.
    """

    lowest: Tensor
    reach: Tensor
    uniforms: Tensor

    def threshold(self, level: Tensor, above: Tensor, date: int) -> Tensor:
        """The t from which on all assets are at a level. Shape: level batch-or-1 1; above branch batch path -> same."""
        gap = level.clamp(min=TINY_LEVEL).log() - self.lowest[..., date]
        return (gap - above) * self.reach[:, date, None].reciprocal()

    def below(self, above: Tensor, weight: Tensor, end: Tensor, date: int) -> tuple[Tensor, Tensor]:
        """Paths drawn on below the end, and their weights. Shape: branch batch path."""
        with torch.no_grad():
            at, uniform = end.clamp(-END, END), self.uniforms[:, date]
            chance, slope = cumulative(at), density(at)
            t = quantile(uniform * chance)
            steep = uniform * torch.exp(0.5 * (t.square() - at.square()))
        mass = known(end, chance, slope, -at * slope)
        return above + self.reach[:, date, None] * known(end, t, steep, steep * (steep * t - at)), weight * mass


def value(process: BlackScholes, payoff: Autocall, at: Scenario, points: Tensor, *, width: float) -> Tensor:
    """Value of a note. Shape: points path (date asset) -> batch."""
    lifted, paid = _lifted(process, payoff, at, points, width), discount(process, at, dates(payoff, at))[:, 0]
    above = torch.zeros(1, 1, 1, dtype=torch.float64)
    weight, total, last = torch.ones_like(above), torch.zeros_like(above[0]), len(payoff.dates) - 1
    for date, trigger in enumerate(payoff.triggers):
        call = lifted.threshold(at["spot"].new_tensor([[trigger]]), above, date)
        coupon = lifted.threshold(at.scalar("coupon_barrier"), above, date)
        owed = weight * (1.0 + missed_coupons(at)) if date == 0 else weight  # the first coupon brings those before it
        cash = payoff.coupon * (owed * _beyond(coupon)).sum(dim=0)
        alive = above[:1], weight[:1]
        if date == last:
            knocked = torch.minimum(lifted.threshold(knock_in(payoff, at), alive[0], date), call[:1])
            moved, chance = lifted.below(*alive, knocked, date)
            lost = 1.0 - torch.exp(lifted.lowest[..., date] + moved) / payoff.strike
            cash = cash + (alive[1] - chance * lost)[0]
        else:
            cash = cash + (alive[1] * _beyond(call[:1]))[0]
            kept = [lifted.below(*alive, call[:1], date)]
            if payoff.memory:
                kept.append(lifted.below(above, owed, torch.minimum(coupon, call), date))
            above, weight = (torch.cat(parts) for parts in zip(*kept, strict=True))
        total = total + paid[:, date, None] * cash
    return payoff.notional * total.mean(dim=1)


def _lifted(process: BlackScholes, payoff: Autocall, at: Scenario, points: Tensor, width: float) -> Lifted:
    until = dates(payoff, at)
    ticks, grown = clock(process, at, until)[:, 0], carry(process, at, until)[:, 0]
    root = torch.diff(ticks, dim=1, prepend=torch.zeros_like(ticks[:, :1])).clamp(min=TINY_VARIANCE).sqrt()
    sigma = at["volatility"][:, 0].clamp(min=LEAST_VOLATILITY)
    factor = sigma[..., None] * torch.linalg.cholesky(correlation(process, at))
    apart = factor[:, :-1] - factor[:, -1:]
    across = torch.linalg.cholesky(apart @ apart.mT)
    common = torch.linalg.solve_triangular(across, apart @ factor[:, -1, :, None], upper=False)
    alone = (factor[:, -1].square().sum(dim=-1) - common.square().sum(dim=(1, 2))).clamp(min=TINY_VARIANCE).sqrt()

    uniforms = points.reshape(len(points), until.shape[-1], payoff.assets)
    normals = quantile(uniforms[..., 1:])
    middle = at["spot"][:, 0].clamp(min=TINY_LEVEL).log() - at["spot"].new_tensor(payoff.initial).log()
    middle = middle[:, None] + grown - 0.5 * sigma[:, None].square() * ticks[..., None]
    walked = (root[:, None, :, None] * normals).cumsum(dim=2)
    last = middle[:, None, :, -1] + (walked @ common[:, None])[..., 0]
    differences = (middle[..., :-1] - middle[..., -1:])[:, None] + walked @ across.mT[:, None]
    widths = width * (root[:, None, :, None] * _distances(across)[:, None, None]).detach()
    return Lifted(
        lowest=last + _lowest(differences, widths),
        reach=root * alone[:, None],
        uniforms=uniforms[..., 0],
    )


def _distances(across: Tensor) -> Tensor:
    """Deviation of D_i from the nearest of 0 and the D that follow. Shape: batch asset-1 normal -> batch asset-1."""
    count = across.shape[1]
    others = torch.cat([across, across.new_zeros(len(across), 1, count)], dim=1)
    follows = torch.arange(count + 1) > torch.arange(count)[:, None]
    nearest: Tensor = (across[:, :, None] - others[:, None]).norm(dim=-1).where(follows, torch.inf).amin(dim=-1)
    return nearest


def _lowest(differences: Tensor, widths: Tensor) -> Tensor:
    """min(D_1, ..., 0), from the last on: min(a, b) = b - r(b - a) with r a ramp as wide as stated, or as it is.

    Shape: differences batch path date asset-1; widths batch-or-1 1 date asset-1 -> batch path date.
    """
    low = torch.zeros(differences.shape[:-1], dtype=differences.dtype)
    for i in reversed(range(differences.shape[-1])):
        gap, w = low - differences[..., i], widths[..., i].clamp(min=TINY_VARIANCE)
        low = low - torch.where(widths[..., i] > 0.0, w * _ramp(gap / w), gap.clamp(min=0.0))
    return low


def _beyond(x: Tensor) -> Tensor:
    """P(t > x). Shape: any -> the same."""
    with torch.no_grad():
        slope = density(x)
    return known(x, cumulative(-x.detach()), -slope, x.detach() * slope)


def _ramp(u: Tensor) -> Tensor:
    """The smooth u^+ whose second derivative is n(u) (3 - u^2) / 2. Shape: any -> the same."""
    with torch.no_grad():
        below, bell = cumulative(u), density(u)
        value, slope, bend = u * below + 0.5 * bell, below + 0.5 * u * bell, 0.5 * bell * (3.0 - u.square())
    return known(u, value, slope, bend)
