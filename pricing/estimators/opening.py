"""Which direction of the driving normals conditional Monte Carlo leaves open."""

from __future__ import annotations

import torch
from torch import Tensor

from pricing.elementary import ratio
from pricing.errors import InvalidSpec
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.payoffs import moneyness
from pricing.simulation.rotation import Rotation
from pricing.simulation.scenario import Scenario, times
from pricing.specs.estimator import Conditional
from pricing.specs.payoff import Payoff
from pricing.specs.problem import PricingProblem

# Slopes against the weight's sign smaller than this share of the largest are rounding.
ROUNDING = 1e-12
# A normal that carries less than this share of the standard deviation smooths nothing: kernels that narrow put all
# curvature on a handful of paths.
MINIMUM_SHARE = 1e-6
# Share of equal spacing in the slopes of ranked assets. Measured on worst-of puts and best-of calls on 2 to 7 assets,
# standard error of curvature over its size: 0.001 to 0.015 at 1/2, 0.0004 to 0.19 on the first axis itself, which has
# no spacing at all, and then a bias, where assets are alike.
SPACING = 0.5
# Least slope of a ranked asset, as a share of its distance from the next: its kink at the strike is smoothed too. Below
# a half, so that one asset alone is that near to 0 and the order stays.
LEAST_SLOPE = 1.0 / 3.0


def opening(problem: PricingProblem, estimator: Conditional, at: Scenario, rotation: Rotation) -> Tensor:
    """The unit vector that is integrated, a constant: the first (or last) turned normal of the open block, bent.

    A basket of multiplicative levels is made to increase along it: where a level would move against the sign of its
    weight it is held still, so that one root ends the exercise region. Ranked assets are made to move apart: only
    where they cross does integration smooth the change of the worst.

    Shape: -> 1-or-batch 1 dimension.
    """
    sizes = blocks(problem.process, len(problem.payoff.facts.dates))
    unit = torch.zeros(1, 1, sum(sizes), dtype=torch.float64)
    unit[..., 0 if estimator.normal == "first" else sizes[0] - 1] = 1.0
    columns = slice(0, sizes[0])
    direction = bent(problem, problem.payoff, at.detach(), axis=rotation(unit), columns=columns)
    require_share(problem, at.detach(), direction)
    return direction


def bent(problem: PricingProblem, payoff: Payoff, at: Scenario, *, axis: Tensor, columns: slice) -> Tensor:
    """The axis, or the unit vector in these columns that serves the terminal payoff better.

    Shape: axis 1 1 dimension -> 1-or-batch 1 dimension.
    """
    if payoff.assets == 1:
        return axis
    response, law = responses(problem, at, axis)
    if payoff.facts.ranked:
        target = spaced(response)
    elif payoff.facts.weights is not None and law == "multiplicative":
        target = increasing(response, torch.tensor(payoff.facts.weights, dtype=torch.float64).sign())
    else:
        return axis
    if torch.equal(target, response):
        return axis
    return towards(problem, at, target, columns=columns, axis=axis)


def require_share(problem: PricingProblem, at: Scenario, axis: Tensor) -> None:
    """Raise InvalidSpec where the payoff's event hardly moves along the axis, as it does along the last of a basket.

    Shape: axis 1-or-batch 1 dimension.
    """
    normals = torch.zeros(len(at["spot"]), 1, axis.shape[-1], dtype=axis.dtype, requires_grad=True)
    with torch.enable_grad():
        event = moneyness(problem.payoff, simulate(problem.process, at, normals, times(problem, at)), at)
        (gradient,) = torch.autograd.grad(event.sum(), normals)
    shares, totals = (gradient * axis).sum(dim=-1).abs()[:, 0], gradient.norm(dim=-1)[:, 0]
    still = shares < MINIMUM_SHARE * totals
    if still.any():
        row = int(still.nonzero()[0])
        raise InvalidSpec(
            f"estimator: the normal that 'conditional' integrates carries {float(shares[row]):.3g} of a standard "
            f"deviation of {float(totals[row]):.3g}, which smooths nothing; use normal = 'first' with rotation = "
            "'gradient_pca', or 'smoothed'",
            path="labels.estimator.normal",
        )


def increasing(slopes: Tensor, signs: Tensor) -> Tensor:
    """The slopes, or 0 where one is against its sign. Shape: slopes batch date asset, signs asset -> as slopes."""
    along = signs * slopes
    if bool((along >= -ROUNDING * along.abs().amax(dim=(1, 2), keepdim=True)).all()):
        return slopes
    along = along * torch.where(along.sum(dim=(1, 2), keepdim=True) < 0.0, -1.0, 1.0)
    return signs * along.clamp(min=0.0)


def spaced(slopes: Tensor) -> Tensor:
    """The slopes pulled towards equal distances, in their order, and away from 0. Shape: batch 1 asset -> the same."""
    size, assets = slopes.norm(dim=-1, keepdim=True), slopes.shape[-1]
    even = torch.linspace(-1.0, 1.0, assets, dtype=slopes.dtype)
    ranks = slopes.argsort(dim=-1, stable=True).argsort(dim=-1)
    pulled = (1.0 - SPACING) * slopes + SPACING * size * even[ranks]
    least = LEAST_SLOPE * SPACING * size * 2.0 / (assets - 1)
    return torch.where(pulled.abs() < least, least.copysign(pulled), pulled)


def towards(problem: PricingProblem, at: Scenario, target: Tensor, *, columns: slice, axis: Tensor) -> Tensor:
    """The unit vector in some columns along which the slopes are proportional to the target; the axis if there is none.

    Shape: target batch date asset, axis 1 1 dimension -> batch 1 dimension.
    """
    size = columns.stop - columns.start
    units = torch.zeros(1, size, axis.shape[-1], dtype=axis.dtype)
    units[0, :, columns] = torch.eye(size, dtype=axis.dtype)
    matrix = responses(problem, at, units)[0].reshape(len(target), size, -1).transpose(1, 2)
    solution = (torch.linalg.pinv(matrix) @ target.flatten(1)[..., None])[..., 0]
    length = solution.norm(dim=-1, keepdim=True)
    along = torch.zeros(len(target), axis.shape[-1], dtype=axis.dtype)
    along[:, columns] = solution / torch.where(length > 0.0, length, 1.0)
    unit: Tensor = torch.where(length > 0.0, along, axis[0])
    return unit[:, None]


def responses(problem: PricingProblem, at: Scenario, normals: Tensor) -> tuple[Tensor, str]:
    """How the levels, or their logarithms, move with the normals, all others at 0; and the law of the process.

    A level that a dividend in cash has brought to 0 does not move.

    Shape: normals 1 direction dimension -> 1-or-batch*direction date asset.
    """
    until = times(problem, at)
    still, moved = (simulate(problem.process, at, z, until) for z in (torch.zeros_like(normals[:, :1]), normals))
    if moved.law == "additive":
        return (moved.noise - still.noise).flatten(0, 1), moved.law
    return torch.log(ratio(moved.noise, still.noise, limit=1.0)).flatten(0, 1), moved.law
