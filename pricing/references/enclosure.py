"""Early exercise at one sample between a lower bound and its dual, by one set of quasi-random points.

With a rule of continuation values C_k (`pricing.references.continuation`), w_k = max(h_k, C_k) and its date tau,

    L = E[w_1] + E[sum_(k < tau) r_k],   r_k = E[w_(k+1) | x_k] - C_k,

is what the rule earns: a lower bound, however C was come by, without the noise of the cash. w makes a martingale too,
M_(k+1) - M_k = w_(k+1) - E[w_(k+1) | x_k]; its dual is an upper bound, and the gap is, path by path,

    U - L = E[g],   g = max_k (h_k - M_k) - (h_tau - M_tau) >= 0.

Spots enter by the first step alone. With its score s, derivatives of L are those of E[w_1], pathwise and again times s,
and those of E[s sum r]. What L misses is E[e(x_1)] with 0 <= e(x_1) <= E[g | x_1], so that its derivatives are at most
E[g |s|], second ones likewise. By any other feature the rule is off to first order in the share of paths that it
exercises wrongly: with a density f of h - C at 0 a loss g takes the share sqrt(2 f g).

References: Andersen & Broadie (2004); Rogers (2002); Haugh & Kogan (2004); Broadie & Glasserman (1996) for the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pricing.references.continuation import Rule, normals, shifted, sobol
from pricing.references.market import Market, market
from pricing.specs.problem import PricingProblem
from pricing.types import Array

# First steps, whole paths, and points of every later step of a path.
FIRST, PATHS, INNER = 1 << 12, 1 << 5, 1 << 9
# Relative step of the differences that the scores of other features are.
BUMP = 1e-5
# Half the width that the density of h - C at 0 is counted in, in its standard deviations.
NEAR = 0.25


@dataclass(frozen=True, kw_only=True)
class Enclosed:
    """L with its derivatives, and what it misses: of the value, of the gradient and of the Hessian by spots.

    Shape: value, gap (); gradient, slack feature; hessian, bend asset asset.
    """

    value: Array
    gradient: Array
    hessian: Array
    gap: Array
    slack: Array
    bend: Array


@dataclass(frozen=True, kw_only=True)
class Setting:
    """A sample with its rule. Shape: row 1 feature; the market of the row has no derivatives."""

    problem: PricingProblem
    rule: Rule
    row: Tensor

    @property
    def market(self) -> Market:
        """At the row."""
        return self.rule.market

    @property
    def others(self) -> list[int]:
        """Columns of the features that are no spots."""
        spots = self.problem.box.columns("spot")
        return [j for j in range(self.row.shape[1]) if not spots.start <= j < spots.stop]

    def spot_score(self, z: Tensor) -> Tensor:
        """Of the first step. Shape: asset row -> asset row."""
        here = self.market
        weighed: Tensor = torch.linalg.solve(here.factor.T, z)
        return weighed / (here.deviation[0] * here.start.exp())[:, None]

    def second_score(self, score: Tensor) -> Tensor:
        """Shape: asset row -> asset asset row."""
        here = self.market
        root = here.deviation[0][:, None] * here.factor
        spot = here.start.exp()
        precision: Tensor = torch.linalg.inv(root @ root.T) / (spot[:, None] * spot)
        own = torch.diag_embed((score / spot[:, None]).T).permute(1, 2, 0)
        return score[:, None] * score[None] - precision[:, :, None] - own

    def bumped(self) -> list[tuple[Market, Market, float]]:
        """Markets on either side of every other feature, and how far apart they are."""
        markets = []
        for j in self.others:
            step = BUMP * max(1.0, abs(float(self.row[0, j])))
            move = torch.zeros_like(self.row)
            move[0, j] = step
            markets.append((market(self.problem, self.row + move), market(self.problem, self.row - move), 2.0 * step))
        return markets


def enclose(setting: Setting, generator: np.random.Generator) -> Enclosed:
    """By one set of points."""
    value, gradient, hessian = _first_step(setting, generator)
    paths = _whole_paths(setting, generator)
    spots = setting.problem.box.columns("spot")
    score = paths.score[: len(setting.market.start)]
    second, rest = setting.second_score(score), paths.residual - paths.residual.mean()
    gradient[spots] += (rest * score).mean(dim=1)
    gradient[setting.others] += paths.moved
    hessian = hessian + (rest * second).mean(dim=2)
    slack = torch.zeros_like(gradient)
    slack[spots] = (paths.gap * score.abs()).mean(dim=1)
    wrong = (2.0 * paths.crowd * paths.gap.mean()).sqrt()
    beyond = (paths.gap * paths.score[len(score) :].abs()).mean(dim=1)
    slack[setting.others] = beyond + wrong * gradient[setting.others].abs()
    return Enclosed(
        value=(value + paths.residual.mean()).numpy(),
        gradient=gradient.numpy(),
        hessian=hessian.numpy(),
        gap=paths.gap.mean().numpy(),
        slack=slack.numpy(),
        bend=(paths.gap * second.abs()).mean(dim=2).numpy(),
    )


def _first_step(setting: Setting, generator: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """E[w_1] with its derivatives. Shape: -> (); feature; asset asset."""
    row = setting.row.clone().requires_grad_()
    there, assets = market(setting.problem, row), len(setting.market.start)
    z = normals(sobol(FIRST, assets, generator))
    after = there.step(there.start[:, None], z, 0)
    worth = setting.rule.worth(there, after, 0)[0]
    gradient, slope = torch.autograd.grad(worth.mean(), [row, after])
    slope = FIRST * slope / setting.market.start.exp()[:, None]
    mean = slope.mean(dim=1)
    moments = (slope - mean[:, None]) @ setting.spot_score(z).T / FIRST
    hessian = 0.5 * (moments + moments.T) - torch.diag(mean / setting.market.start.exp())
    return worth.mean().detach(), gradient[0], hessian


@dataclass(frozen=True, kw_only=True)
class Walk:
    """What whole paths tell.

    Shape: residual sum of r before exercise, gap path; score of the first step by spots, of all by others feature path;
    moved what residuals add to the gradient by others; crowd the density of h - C at 0.
    """

    residual: Tensor
    gap: Tensor
    score: Tensor
    moved: Tensor
    crowd: Tensor


def _whole_paths(setting: Setting, generator: np.random.Generator) -> Walk:
    here, rule, bumped = setting.market, setting.rule, setting.bumped()
    assets, dates = len(here.start), here.dates
    draws = normals(sobol(PATHS, assets * dates, generator)).reshape(dates, assets, PATHS)
    x, alive = here.start[:, None].expand(-1, PATHS), torch.ones(PATHS, dtype=torch.bool)
    zero = torch.zeros(PATHS, dtype=torch.float64)
    martingale, residual, low, expected, best = zero, zero, zero, zero, torch.full_like(zero, -torch.inf)
    others, moved = zero.expand(len(bumped), -1), torch.zeros(len(bumped), dtype=torch.float64)
    crowd = torch.zeros((), dtype=torch.float64)
    for k in range(dates):
        before, x = x, here.step(x, draws[k], k)
        if bumped:
            by = [(up.log_density(before, x, k) - down.log_density(before, x, k)) / gap for up, down, gap in bumped]
            others = others + torch.stack(by)
        worth, stops = rule.worth(here, x, k)
        now = here.exercised(x, k).clamp(min=0.0)
        martingale = martingale + worth - expected
        best = torch.maximum(best, now - martingale)
        ends = alive & stops if k < dates - 1 else alive
        low = torch.where(ends, now - martingale, low)
        if k == dates - 1:
            break
        crowd = crowd + _crowd(now - rule.continuation(x, k), alive & (now > 0.0))
        alive = alive & ~ends
        expected, slope = _expected(setting, x, k, alive, shifted(INNER, x, generator))
        step = torch.where(alive, expected - worth, 0.0)
        residual = residual + step
        moved = moved + slope + ((step - step.mean()) * others).mean(dim=1)
    score = torch.cat([setting.spot_score(draws[0]), others])
    return Walk(residual=residual, gap=best - low, score=score, moved=moved, crowd=crowd)


def _crowd(excess: Tensor, rows: Tensor) -> Tensor:
    """Density of the excess at 0 among the rows. Shape: path, path -> ()."""
    if int(rows.sum()) < 2:
        return excess.new_zeros(())
    width = NEAR * excess[rows].std().clamp(min=torch.finfo(excess.dtype).tiny)
    return (rows & (excess.abs() < width)).sum() / (2.0 * width * len(excess))


def _expected(setting: Setting, x: Tensor, k: int, alive: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """E[w_(k+1)], and the gradient of its mean over living paths by the other features. Shape: -> path; other."""
    if not setting.others:
        return setting.rule.expected(setting.market, x, k, z), x.new_zeros(0)
    row = setting.row.clone().requires_grad_()
    means = setting.rule.expected(market(setting.problem, row), x, k, z)
    (gradient,) = torch.autograd.grad((means * alive).mean(), row, allow_unused=True)
    slope = torch.zeros_like(row) if gradient is None else gradient
    return means.detach(), slope[0, setting.others]
