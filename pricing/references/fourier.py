"""Heston calls, puts and digitals by Fourier-cosine sums, differentiable in every parameter.

With X = ln(S_T / F) and its characteristic function phi, u_n = n pi / (b - a) on a range [a, b] that holds X,

    P(X <= k) = sum' Re(phi(u_n) e^(-i u_n a)) psi_n(a, k),    psi_n = 2 / (b - a) integral of cos(u_n (x - a)),

and the same with chi_n, the integral of e^x cos, for E[e^X; X <= k]. The put comes from both, the call by parity. phi
solves Riccati equations that are integrated exactly over each piece of constant volatility scale, the last piece
first.

References: Heston (1993); Fang & Oosterlee (2008); Albrecher et al. (2007) for the branch of the logarithm.
"""

from __future__ import annotations

import math
from functools import partial
from itertools import pairwise
from typing import assert_never

import torch
from torch import Tensor

from pricing.references.black_scholes import TINY_LEVEL, terminal
from pricing.references.derivatives import ROWS
from pricing.references.methods import Differentiated
from pricing.simulation.scenario import Scenario, dates
from pricing.specs.european import Call, Digital, Put
from pricing.specs.process import Heston

# Half the range in standard deviations (with a root of the fourth cumulant), and the cosines that a sum begins with
# and ends at: doubled until phi at the last one is below NEGLIGIBLE. At most 1e-9 of the forward is lost where xi^2
# is 10 times the Feller bound over three years, where phi decays slowest.
REACH = 14.0
TERMS = (256, 512, 1024, 2048, 4096, 8192)
NEGLIGIBLE = 1e-15
# Cumulants are read from ln phi at frequencies this small in units of the standard deviation.
PROBE = 0.1
# Total variances below this have no randomness left; volatilities of variance below this are zero.
TINY_VARIANCE, TINY_VOLATILITY = 1e-12, 1e-7
# Added to every mean reversion: at u = 0 none at all is 0 / 0, and a clamp would lose the derivative. Where xi is 0 as
# well, the second derivative by kappa is rough: off by a third, measured; all else holds.
TINY_REVERSION = 1e-12
# Sums that take about a minute on one thread.
POINTS = 1 << 12


def method(process: Heston, payoff: Call | Put | Digital) -> Differentiated:
    """How a payoff on one asset is referenced."""
    return Differentiated(kind="fourier", formula=partial(vanilla, process, payoff), rows=ROWS, points=POINTS)


def vanilla(process: Heston, payoff: Call | Put | Digital, at: Scenario) -> Tensor:
    """Value of a payoff on one asset; a negative weight swaps call and put. Shape: -> batch."""
    until = dates(payoff, at)
    forward, paid, _ = terminal(process, at, until)
    (weight,) = payoff.weights
    turn = math.copysign(1.0, weight)
    level, strike = abs(weight) * forward[:, 0, 0], turn * at.scalar("strike")[:, 0]
    below, put = _sums(process, at, until, level, strike)
    rises = (payoff.side == "call") == (turn > 0.0)
    match payoff:
        case Digital(cash=cash):
            return paid[:, 0] * cash * (1.0 - below if rises else below)
        case Call() | Put():
            return paid[:, 0] * (put + level - strike if rises else put)
        case _:
            assert_never(payoff)


def _sums(process: Heston, at: Scenario, until: Tensor, level: Tensor, strike: Tensor) -> tuple[Tensor, Tensor]:
    """P(S_T <= K) and E[max(K - S_T, 0)], the limits where nothing is random. Shape: -> batch; batch."""
    low, high, spread = _range(process, at.detach(), until.detach())
    random = (level > 0.0) & (strike > 0.0) & (spread > TINY_VARIANCE)
    k = strike.clamp(min=TINY_LEVEL).log() - level.clamp(min=TINY_LEVEL).log()
    k = torch.where(random, torch.minimum(torch.maximum(k, low), high), 0.5 * (low + high))
    u = torch.arange(_terms(process, at, until, high - low), dtype=torch.float64) * (math.pi / (high - low))[:, None]
    angle = u * (k - low)[:, None]
    sine, cosine = torch.sin(angle), torch.cos(angle)
    flat = (k - low)[:, None] + torch.zeros_like(u[:, :1])
    mass = torch.cat([flat.expand(len(angle), 1), sine[:, 1:] / u[:, 1:]], dim=1)
    tilted = (torch.exp(k)[:, None] * (cosine + u * sine) - torch.exp(low)[:, None]) / (1.0 + u * u)
    weights = torch.real(torch.exp(exponent(process, at, until, u) - 1j * u * low[:, None]))
    weights = weights * (2.0 / (high - low))[:, None] * torch.where(u == 0.0, 0.5, 1.0)
    below, mean = (weights * mass).sum(dim=1), (weights * tilted).sum(dim=1)
    below = torch.where(random, below, (strike > level).to(below.dtype))
    return below, torch.where(random, strike * below - level * mean, (strike - level).clamp(min=0.0))


def _terms(process: Heston, at: Scenario, until: Tensor, width: Tensor) -> int:
    """How many cosines the slowest sample needs. Shape: width batch-or-1."""
    last = torch.tensor(TERMS, dtype=torch.float64) * (math.pi / width)[:, None]
    left = exponent(process, at.detach(), until.detach(), last).real.amax(dim=0)
    return next((terms for terms, log in zip(TERMS, left, strict=True) if log < math.log(NEGLIGIBLE)), TERMS[-1])


def _range(process: Heston, at: Scenario, until: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Where ln(S_T / F) lives: lower end, upper end, its variance from ln phi. Shape: -> batch-or-1, three times."""
    variance = at["initial_variance"] + at["long_variance"]
    scale = at["volatility_scale"].square().amax(dim=-1, keepdim=True)
    guess = (variance * scale * until)[:, 0].clamp(min=TINY_VARIANCE).sqrt()
    h = PROBE / guess * torch.tensor([1.0, 2.0], dtype=torch.float64)
    logs = exponent(process, at, until, h)
    second = -(16.0 * logs.real[:, 0] - logs.real[:, 1]) / (6.0 * h[:, 0].square())
    fourth = 2.0 * (logs.real[:, 1] - 4.0 * logs.real[:, 0]) / h[:, 0] ** 4
    mean = logs.imag[:, 0] / h[:, 0]
    half = REACH * (second.clamp(min=TINY_VARIANCE) + fourth.clamp(min=0.0).sqrt()).sqrt()
    return mean - half, mean + half, second


def exponent(process: Heston, at: Scenario, until: Tensor, u: Tensor) -> Tensor:
    """ln E[e^(i u ln(S_T / F))]. Shape: until batch-or-1 1 1, u batch-or-1 frequency -> batch-or-1 frequency.

    Backwards from the end, with scale c on a piece of length h and B = kappa - i rho xi c u, D = sqrt(B^2 + xi^2 c^2
    (u^2 + i u)), the coefficient y of v solves y' = xi^2 y^2 / 2 - B y - c^2 (u^2 + i u) / 2 from where the later
    piece left it.
    """
    kappa, theta, xi, rho = (
        at.scalar(name)
        for name in ("mean_reversion", "long_variance", "variance_volatility", "spot_variance_correlation")
    )
    kappa, xi = kappa + TINY_REVERSION, xi.clamp(min=TINY_VOLATILITY)
    starts = [0.0, *(piece.start for piece in process.volatility_pieces), math.inf]
    moment = u * u + 1j * u
    y, total = torch.zeros_like(moment), torch.zeros_like(moment)
    for i, (low, high) in reversed(list(enumerate(pairwise(starts)))):
        length = (until[:, 0].clamp(max=high) - low).clamp(min=0.0)
        c = at["volatility_scale"][:, 0, i, None]
        pull = kappa - 1j * rho * xi * c * u
        root = torch.sqrt(pull * pull + (xi * c) ** 2 * moment)
        small = -(c**2) * moment / (pull + root)
        gap = -(small - y) * torch.expm1(-root * length) / (pull + root - xi**2 * small)
        total = total + kappa * theta * (small * length - 2.0 / xi**2 * torch.log1p(xi**2 * gap))
        y = (y + (pull + root) * gap) / (1.0 + xi**2 * gap)
    return total + at.scalar("initial_variance") * y
