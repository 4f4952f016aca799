"""When to exercise: continuation values as polynomials of the state, fitted backward on paths of their own.

C_k(s) = E[cash from the later dates | S_k = s], in currency of date k; the holder exercises where h_k(s) >= C_k(s) and
h_k(s) > 0. Paths start all over the Box, so that one rule serves every sample. The target of the regression is the cash
that the rule of the later dates takes on the path itself, on paths in the money alone (Longstaff & Schwartz 2001), with
its pathwise derivatives by the state (Huge & Savine 2020): a 5-asset max-call reaches with 8,192 paths the value that
takes 131,072 without them.

A rule needs C where it decides and nowhere else: the regression is repeated with weights around h = C, which leaves the
degree free of what the cash does far from there. Greeks are of first order in the error there, values of second.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pricing.draws import stream, uniforms
from pricing.errors import InvalidSpec
from pricing.exercise.inputs import exchangeable, gain, inputs, region, regions, relative, require_bermudan, scale
from pricing.processes.simulate import blocks, simulate
from pricing.regression import Basis, Polynomial, evaluate, fit, make_basis
from pricing.simulation.paths import Paths
from pricing.simulation.scenario import Scenario, growth, scenario, times
from pricing.specs.estimator import Frozen
from pricing.specs.problem import PricingProblem

# Fewer paths in the money than this many a term say less than all paths together.
PATHS_PER_TERM = 20
# Weights are normal in h - C, this many of its standard deviations wide, beside a share for all that keeps the sign of
# h - C right far away; so often are they settled anew.
NEAR, FAR, ROUNDS = 1.0, 1e-2, 2


# One polynomial for each of `regions`.
Fits = tuple[Polynomial, ...]


@dataclass(frozen=True, kw_only=True)
class ExerciseRule:
    """Continuation values of every date but the last.

    Args:
        near: C_k of `inputs`, in units of `scale`, fitted where exercise is close: the rule.
        inside: the same wherever the option is in the money.
        outside: where it is not; for who needs its value, as is ``inside``.
        spreads: standard deviation of h_k - C_k in the money, in units of `scale`.
    """

    problem: PricingProblem
    near: tuple[Fits, ...]
    inside: tuple[Fits, ...]
    outside: tuple[Fits, ...]
    spreads: tuple[float, ...]

    def continuation(self, levels: Tensor, at: Scenario, *, date: int) -> Tensor:
        """C_k where exercise is close, currency of the date. Shape: levels batch path asset -> batch path."""
        return self._value(self.near[date], levels, at)

    def worth(self, levels: Tensor, at: Scenario, *, date: int) -> Tensor:
        """max(h_k, C_k, 0) anywhere, currency of the date. Shape: levels batch path asset -> batch path."""
        now = gain(self.problem, levels, at)
        if date == len(self.inside):
            return now.clamp(min=0.0)
        inside, outside = (self._value(polynomials[date], levels, at) for polynomials in (self.inside, self.outside))
        return torch.where(now > 0.0, inside, outside).maximum(now).clamp(min=0.0)

    def _value(self, fits: Fits, levels: Tensor, at: Scenario) -> Tensor:
        x, place = inputs(self.problem, levels, at), region(self.problem, levels)
        values = value(fits, x.flatten(end_dim=1), place.flatten())
        return scale(self.problem, at) * values.reshape(x.shape[:2])


def value(fits: Fits, x: Tensor, place: Tensor) -> Tensor:
    """The polynomial of every row's region. Shape: x batch input, place batch -> batch."""
    result = evaluate(fits[0], x)
    for i, polynomial in enumerate(fits[1:], start=1):
        result = torch.where(place == i, evaluate(polynomial, x), result)
    return result


@dataclass(frozen=True, kw_only=True)
class Sample:
    """States at a date with the cash that follows, in units of `scale` and currency of the date.

    Shape: x batch input; place batch; cash batch; gradient batch input, None where it is not known.
    """

    x: Tensor
    place: Tensor
    cash: Tensor
    gradient: Tensor | None

    def continuation(self, degree: int, *, rows: Tensor, regions: int) -> Fits:
        """Continuation value fitted region by region on the rows, or on all where those are few. Shape: rows batch."""
        return tuple(self._whole(degree, rows & (self.place == i)) for i in range(regions))

    def close(self, fits: Fits, now: Tensor, *, rows: Tensor) -> Fits:
        """The same fitted where it is close to what exercise pays. Shape: now batch; rows batch."""
        return tuple(self._around(one, now, rows=rows & (self.place == i)) for i, one in enumerate(fits))

    def _whole(self, degree: int, rows: Tensor) -> Polynomial:
        basis = make_basis(self.x, degree)
        kept = rows if int(rows.sum()) >= PATHS_PER_TERM * len(basis) else torch.ones_like(rows)
        return self._fit(basis, kept)

    def _around(self, polynomial: Polynomial, now: Tensor, *, rows: Tensor) -> Polynomial:
        """With weights around where the polynomial says that is; itself where too few rows are close."""
        if int(rows.sum()) < PATHS_PER_TERM * len(polynomial.basis):
            return polynomial
        degree = polynomial.basis.degree
        for _ in range(ROUNDS):
            excess = now - evaluate(polynomial, self.x)
            width = NEAR * excess[rows].std(correction=0)
            weight = torch.exp(-0.5 * (excess / width).square())
            if not width > 0.0 or float(weight[rows].sum()) < PATHS_PER_TERM * len(polynomial.basis):
                return polynomial
            basis = make_basis(self.x[rows & (excess.abs() < 2.0 * width)], degree)
            polynomial = self._fit(basis, rows, weight=weight + FAR)
        return polynomial

    def _fit(self, basis: Basis, rows: Tensor, *, weight: Tensor | None = None) -> Polynomial:
        gradient = None if self.gradient is None else self.gradient[rows]
        return fit(
            basis, self.x[rows], self.cash[rows], gradient=gradient, weight=None if weight is None else weight[rows]
        )


def fit_rule(problem: PricingProblem, estimator: Frozen, *, seed: int) -> ExerciseRule:
    """The rule of a Bermudan problem, from ``estimator.paths`` paths of a stream of its own.

    Raises:
        InvalidSpec: a payoff without exercise dates, an estimator without a degree (`pricing.exercise.degree` finds
            one), or more terms than a regression takes.
    """
    degree = estimator.given_degree
    if degree is None:
        raise InvalidSpec("estimator.degree: a rule is fitted with a degree; give one", path="estimator.degree")
    count, generator = len(require_bermudan(problem).dates), stream("exercise", seed=seed)
    points = uniforms("sobol", estimator.paths, problem.box.dimension, generator=generator)
    normals = generator.standard_normal((estimator.paths, 1, sum(blocks(problem.process, count))))
    at = scenario(problem, torch.from_numpy(problem.box.from_uniforms(points)))
    paths = simulate(problem.process, at, torch.from_numpy(normals), times(problem, at))
    unit = scale(problem, at)
    cash, slope = exercised(problem, paths, at, date=-1)
    nears, insides, outsides, spreads = [], [], [], []
    for date in reversed(range(count - 1)):
        numeraire = (paths.discount[..., date] * unit).expand_as(cash)
        now, slope_now = exercised(problem, paths, at, date=date)
        x, gradient = inputs(problem, paths.levels(date), at)[:, 0], None
        if differentiates(problem):
            slopes = by_inputs(problem, paths, at, slope, date=date) / numeraire
            gradient = torch.nn.functional.pad(slopes, (0, x.shape[1] - slopes.shape[1]))
        place, inside = region(problem, paths.levels(date))[:, 0], now[:, 0] > 0.0
        sample = Sample(x=x, place=place, cash=(cash / numeraire)[:, 0], gradient=gradient)
        whole = sample.continuation(degree, rows=inside, regions=regions(problem))
        paid = (now / numeraire)[:, 0]
        near = sample.close(whole, paid, rows=inside)
        nears.append(near)
        insides.append(whole)
        outsides.append(sample.continuation(degree, rows=~inside, regions=regions(problem)))
        spreads.append(float((paid - value(whole, x, place))[inside].std(correction=0)) if inside.any() else 0.0)
        excess = paid - value(near, x, place)
        stop = (inside & (excess >= 0.0))[:, None]
        cash, slope = torch.where(stop, now, cash), torch.where(stop[..., None], slope_now, slope)
    return ExerciseRule(
        problem=problem,
        near=tuple(reversed(nears)),
        inside=tuple(reversed(insides)),
        outside=tuple(reversed(outsides)),
        spreads=tuple(reversed(spreads)),
    )


def differentiates(problem: PricingProblem) -> bool:
    """Whether derivatives by the inputs are known."""
    return problem.process.facts.independent_increments


def exercised(problem: PricingProblem, paths: Paths, at: Scenario, *, date: int) -> tuple[Tensor, Tensor]:
    """Discounted cash of exercise at a date, and its derivative by ln S_0, or by S_0 where increments are added.

    Later dates scale, or shift, with the state at any earlier date as they do with S_0.

    Shape: -> batch path; batch path asset.
    """
    levels = paths.levels(date).detach().requires_grad_()
    cash = paths.discount[..., date] * torch.relu(gain(problem, levels, at))
    (slope,) = torch.autograd.grad(cash.sum(), levels)
    return cash.detach(), slope * (levels.detach() if paths.law == "multiplicative" else grown(problem, at, date))


def grown(problem: PricingProblem, at: Scenario, date: int) -> Tensor:
    """e^G at a date, G the integral of the carry. Shape: -> batch-or-1 1 asset."""
    return torch.exp(growth(problem.process, at, times(problem, at))[:, :, date])


def by_inputs(problem: PricingProblem, paths: Paths, at: Scenario, slope: Tensor, *, date: int) -> Tensor:
    """Derivatives of later cash by those of the `inputs` that are levels; those by parameters are left at 0, unused.

    Shape: slope batch 1 asset -> batch asset.
    """
    levels = paths.levels(date)
    if not problem.process.facts.positive:
        result = slope / grown(problem, at, date)
    else:
        u = relative(problem, levels, at)
        result = 2.0 * slope / (1.0 - u.square()).clamp(min=torch.finfo(u.dtype).eps)
    if exchangeable(problem):
        result = result.gather(-1, levels.argsort(dim=-1, descending=True))
    return result[:, 0]
