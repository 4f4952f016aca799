"""Closed forms for value and every Greek of a Bachelier basket; shares no code with the simulation, which it checks.

With b_i = r - q_i, g_i = e^(b_i T), c_ij = w_i w_j sigma_i sigma_j rho_ij, v(x) = integral of e^(x t) over [0, T]:

    F = sum_i w_i S_i g_i     s^2 = sum_ij c_ij v(b_i + b_j)     d = (F - K) / s     D = e^(-r T)
    call  D s psi(d)          put  D s psi(-d)                   psi(x) = x N(x) + n(x)

A parameter moves the value through F, s and D: dV = D (+-N(+-d) dF + n(d) ds) + V dD / D. Since ds = d(s^2 / 2) / s,
two numbers a sample carry every Greek: +-D N(+-d), and the discounted density of the basket at the strike, D n(d) / s.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import erfcx, exprel, ndtr

from pricing.errors import InvalidSpec
from pricing.specs.european import Call, Put
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.types import Array, BoolArray

# Below this standard deviation, relative to max(|F|, |K|), d is rounding noise and the limit s -> 0 is returned.
DEGENERATE = 1e-12
# At d = +-40, N is exactly 1 or 0 in float64 and n is 0: what a degenerate sample is given.
CERTAIN = 40.0
# Gauss-Legendre nodes: integrates t e^(x t) to rounding for |x T| up to 50.
QUADRATURE = 32


@dataclass(frozen=True, kw_only=True)
class Greeks:
    """Value and its derivatives; units as in `pricing.types`.

    Args:
        value: V, currency. Shape: batch.
        delta: dV/dS_i. Shape: batch asset.
        gamma: d2V/dS_i dS_j, of rank one. Shape: batch asset asset.
        strike: dV/dK. Shape: batch.
        strike_curvature: d2V/dK2, the discounted density of the basket at the strike. Shape: batch.
        vega: dV/dsigma_i. Shape: batch asset.
        theta: -dV/dT. Shape: batch.
        rho: dV/dr at fixed dividend yields, through carry and discount; 0 in the forward convention. Shape: batch.
        dividend: dV/dq_i; 0 in the forward convention. Shape: batch asset.
        correlation: dV/drho_ij with rho_ji moving along, diagonal 0. Shape: batch asset asset.
        moneyness: d = (F - K) / s, or +-40 where degenerate. Shape: batch.
        degenerate: no randomness left; the limit s -> 0 is given, with its gamma of 0. Shape: batch.
    """

    value: Array
    delta: Array
    gamma: Array
    strike: Array
    strike_curvature: Array
    vega: Array
    theta: Array
    rho: Array
    dividend: Array
    correlation: Array
    moneyness: Array
    degenerate: BoolArray


def greeks(problem: PricingProblem, features: Array) -> Greeks:
    """Value and all Greeks at once. Shape: features batch feature.

    References: Bachelier (1900); PDE dV/dT = 1/2 sum sigma_i sigma_j rho_ij gamma_ij + sum b_i S_i delta_i - r V.

    Raises:
        InvalidSpec: features of another width than the problem's.
    """
    problem.box.require_shape(features.shape)
    process, payoff, names = problem.process, problem.payoff, [feature.name for feature in problem.features]
    constant = names == ["spot"] and not (process.rate_pieces or process.volatility_pieces)
    if constant and isinstance(process, Bachelier) and isinstance(payoff, Call | Put):
        return bachelier(process, payoff, problem.maturity, spots=features)
    raise InvalidSpec(
        f"no closed form here for a {type(payoff).__name__} under {type(process).__name__} with the features {names}; "
        "see pricing.references",
        path="problem",
    )


def bachelier(process: Bachelier, payoff: Call | Put, maturity: float, *, spots: Array) -> Greeks:
    """The formulas of this module. Shape: spots batch asset."""
    sign, w, T = 1.0 if payoff.side == "call" else -1.0, np.array(payoff.weights), maturity
    rho = np.array(process.correlation)
    b = process.rate - np.array(process.dividend_yields or (0.0,) * process.assets)
    pair = np.add.outer(b, b)
    exposure = w * np.array(process.volatilities)
    pairs = np.outer(exposure, exposure)
    c, v = pairs * rho, T * exprel(pair * T)
    c_slope = (c * first_moment(pair, T)).sum(axis=1)

    D, gw = math.exp(-process.rate * T), np.exp(b * T) * w
    F, variance = spots @ gw, float((c * v).sum())
    m, s = sign * (F - payoff.strike), math.sqrt(variance)
    degenerate = s <= DEGENERATE * np.maximum(np.abs(payoff.strike), np.abs(F))
    x = np.divide(m, s, out=np.where(m > 0.0, CERTAIN, -CERTAIN), where=~degenerate)
    probability = ndtr(x)
    density = np.divide(normal_density(x), s, out=np.zeros_like(x), where=~degenerate)
    value = D * np.where(degenerate, np.maximum(m, 0.0), s * partial_moment(x))

    F_slope, s_slope = D * sign * probability, D * density  # dV/dF and dV/d(s^2 / 2)
    F_time, s_time = spots @ (b * gw), 0.5 * float((c * np.exp(pair * T)).sum())
    has_rate = process.convention == "carry"
    return Greeks(
        value=value,
        delta=np.multiply.outer(F_slope, gw),
        gamma=np.multiply.outer(s_slope, np.outer(gw, gw)),
        strike=-F_slope,
        strike_curvature=s_slope,
        vega=np.multiply.outer(s_slope, w * ((rho * v) @ exposure)),
        theta=process.rate * value - F_slope * F_time - s_slope * s_time,
        rho=has_rate * (F_slope * T * F + s_slope * c_slope.sum() - T * value),
        dividend=-has_rate * (np.multiply.outer(F_slope * T, gw) * spots + np.multiply.outer(s_slope, c_slope)),
        correlation=np.multiply.outer(s_slope, np.where(np.eye(len(w)), 0.0, pairs * v)),
        moneyness=sign * x,
        degenerate=degenerate,
    )


def normal_density(x: Array) -> Array:
    """n(x). Shape: any -> the same."""
    result: Array = np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    return result


def partial_moment(x: Array) -> Array:
    """psi(x) = E[(x + z)^+] = x N(x) + n(x), never negative. Shape: any -> the same.

    For x < 0 it is n(x) (1 + x N(x) / n(x)) with the Mills ratio N / n from erfcx. The bracket cancels to about 1 / x^2
    and costs x^2 units of rounding: 1e-12 relative at x = -38, where n underflows. The plain sum is noise at x = -8.
    """
    tail = np.minimum(x, 0.0)
    mills = math.sqrt(0.5 * math.pi) * erfcx(-tail / math.sqrt(2.0))
    result: Array = np.where(x < 0.0, normal_density(tail) * (1.0 + tail * mills), x * ndtr(x) + normal_density(x))
    return result


def first_moment(x: Array, T: float) -> Array:
    """Integral of t e^(x t) over [0, T], the derivative of v by x, without its removable singularity at x = 0.

    Shape: any -> the same.
    """
    nodes, weights = np.polynomial.legendre.leggauss(QUADRATURE)
    t = 0.5 * T * (1.0 + nodes)
    result: Array = 0.5 * T * (np.exp(np.multiply.outer(x, t)) * t) @ weights
    return result
