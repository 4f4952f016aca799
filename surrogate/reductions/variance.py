"""Terminal variance of Gaussian baskets, and means over time, as formulas."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pricing.specs.diffusion import Diffusion
from surrogate.reductions.expressions import Expression, constant, product, total
from surrogate.reductions.reduction import Leaves

# Gauss-Legendre nodes on [0, 1]: integrates e^(x t) to 1e-13 of itself for every |x| up to 20, the most that
# `pricing.specs.problem.MAXIMUM_EXPONENT` lets a growth over the maturity, squared, be.
NODES = 16


def nodes(count: int = NODES) -> tuple[Tensor, Tensor]:
    """Nodes and weights on [0, 1]. Shape: -> node; node."""
    points, weights = np.polynomial.legendre.leggauss(count)
    return torch.from_numpy(0.5 * (1.0 + points)), torch.from_numpy(0.5 * weights)


def repeat(count: int, width: int) -> Tensor:
    """The matrix that lines up ``count`` copies of a row. Shape: width (count width)."""
    return torch.eye(width, dtype=torch.float64).repeat(1, count)


def correlated_squares(process: Diffusion, at: Leaves, exposures: Expression, *, power: int = 1) -> Expression:
    """a' rho^power a, entry by entry, of one or several exposures a side by side, by whichever correlation there is.

    Shape: exposures of width k assets -> k.
    """
    assets = len(process.correlation)
    count = exposures.width // assets
    each = torch.kron(torch.eye(count, dtype=torch.float64), torch.ones(assets, 1, dtype=torch.float64))
    squares = product(exposures * exposures, each)
    if "correlation" in at:
        sums = product(exposures, each)
        return squares + raised(at["correlation"], power) * (sums * sums - squares)
    if "loading" in at:
        loaded = exposures * product(raised(at["loading"], power), repeat(count, assets))
        sums = product(loaded, each)
        return squares - product(loaded * loaded, each) + sums * sums
    matrix = torch.tensor(process.correlation, dtype=torch.float64) ** power
    if count == 1:
        return total(exposures * product(exposures, matrix))
    turned = product(exposures, torch.kron(torch.eye(count, dtype=torch.float64), matrix))
    return product(exposures * turned, each)


def raised(x: Expression, power: int) -> Expression:
    """x to a whole power, entry by entry."""
    return x if power == 1 else x * raised(x, power - 1)


def mean_over_time(rates: Expression) -> tuple[Expression, Expression]:
    """The exponents rate t at the nodes side by side, and the weights that average what is made of them.

    Shape: rates of width k -> (NODES k); NODES.
    """
    points, weights = nodes()
    times = torch.kron(points[None], torch.eye(rates.width, dtype=torch.float64))
    return product(rates, times), constant(weights)
