"""A call on a basket of Black-Scholes assets: exact in their common factor, quasi-random in the others.

    S_i(u) = s_i exp(-sigma_i^2 T / 2 + sigma_i sqrt(T) (sqrt(rho) u + sqrt(1 - rho) eps_i)) = a_i exp(b_i u),  b_i > 0

Given eps the basket rises in u, so it meets the strike at one u*, and with c_i = w_i a_i exp(b_i^2 / 2)

    V = sum_i c_i Phi(b_i - u*) - K Phi(-u*),     dV/ds_i = c_i Phi(b_i - u*) / s_i,
    d2V/ds_i ds_j = phi(u*) g_i g_j / B'(u*),     g_i = w_i a_i exp(b_i u*) / s_i,   B' = sum_i w_i a_i b_i exp(b_i u*)

averaged over eps. Without rates.

References: Glasserman, Monte Carlo Methods in Financial Engineering (2003), 7.2.3, for conditioning on all but one
factor.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr

from pricing.draws import stream, to_normals, uniforms
from pricing.types import Array
from surrogate.evaluation.accuracy import Prediction

WEIGHTS = np.full(5, 0.2)
VOLATILITIES = np.array([0.15, 0.2, 0.25, 0.3, 0.4])
CORRELATION, MATURITY, STRIKE = 0.4, 1.0, 1.0
LOWER, UPPER = 0.6, 1.4
# Newton steps for u*: the basket is convex in u, so that they come from one side after the first and never leave.
NEWTON_STEPS = 12
# Samples in one block: 64 x 4,096 paths x 5 assets take 10 MB an array.
ROWS = 64


@dataclass(frozen=True, kw_only=True)
class TerminalNormals:
    """Normals of the assets' own factors. Shape: (path, asset)."""

    normals: Array


def draw(paths: int, *, seed: int, name: str) -> TerminalNormals:
    """A scrambled Sobol set."""
    points = uniforms("sobol", paths, len(WEIGHTS), generator=stream(f"black_scholes/{name}", seed=seed))
    return TerminalNormals(normals=to_normals(points))


def greeks(spots: Array, paths: TerminalNormals) -> Prediction:
    """Value, delta and gamma, averaged over the paths. Shape: batch asset -> batch; batch asset; batch asset asset."""
    blocks = [_block(spots[start : start + ROWS], paths) for start in range(0, len(spots), ROWS)]
    value, delta, gamma = (np.concatenate(parts) for parts in zip(*blocks, strict=True))
    return Prediction(value=value, delta=delta, gamma=gamma)


def _block(spots: Array, paths: TerminalNormals) -> tuple[Array, Array, Array]:
    scale = VOLATILITIES * np.sqrt(MATURITY)
    own = np.exp(-0.5 * scale**2 + scale * np.sqrt(1.0 - CORRELATION) * paths.normals)
    amounts: Array = WEIGHTS * spots[:, None, :] * own  # w_i a_i, (batch, path, asset)
    slopes = scale * np.sqrt(CORRELATION)
    root = _meets(amounts, slopes)[..., None]
    first = amounts * np.exp(0.5 * slopes**2) * ndtr(slopes - root)
    value = (first.sum(axis=2) - STRIKE * ndtr(-root[..., 0])).mean(axis=1)
    at_root = amounts * np.exp(slopes * root)
    rise = (slopes * at_root).sum(axis=2)
    density = np.exp(-0.5 * root[..., 0] ** 2) / np.sqrt(2.0 * np.pi)
    share = at_root / spots[:, None, :]
    gamma = np.einsum("np,npi,npj->nij", density / rise, share, share, optimize=True) / len(own)
    return value, first.mean(axis=1) / spots, gamma


def _meets(amounts: Array, slopes: Array) -> Array:
    """u* with sum_i amounts_i exp(slopes_i u*) = K, by Newton's method. Shape: batch path asset -> batch path."""
    total = amounts.sum(axis=2)
    u: Array = np.log(STRIKE / total) * total / (amounts * slopes).sum(axis=2)
    for _ in range(NEWTON_STEPS):
        grown = amounts * np.exp(slopes * u[..., None])
        u = u - (grown.sum(axis=2) - STRIKE) / (grown * slopes).sum(axis=2)
    return u
