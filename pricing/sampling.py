"""Where labels are made: feature vectors from scrambled Sobol sets by the law that a specification names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import torch
from msgspec.structs import replace
from torch import Tensor

from pricing.domain import Box
from pricing.draws import stream, to_normals, uniforms
from pricing.errors import InvalidSpec
from pricing.monte_carlo import batches
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.payoffs import kinks, moneyness
from pricing.simulation.scenario import scenario, times
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.refusals import require_sampler
from pricing.specs.sampler import DiffusedSampler, MoneynessSampler, TableSampler, UniformSampler

# A law with less than this share of its mass in the Box is one of another market than the Box was made for.
LEAST_SHARE = 0.01
# Least number of points of one set, so that the share inside is known well enough to judge by it.
LEAST_POINTS = 1024
# Halvings of the segment on which a target is met: 6e-8 of its length, far below what a law of points can show.
BISECTIONS = 24


def sample_features(problem: PricingProblem, spec: LabelSpec, *, seed: int) -> Tensor:
    """The N features to label, from one scrambled Sobol set. Shape: -> batch feature, float64.

    Raises:
        InvalidSpec: a sampler that does not fit the problem.
    """
    require_sampler(problem, spec.sampler)
    generator = stream("features", seed=seed)
    dimension = problem.box.dimension
    points = uniforms("sobol", spec.samples, dimension + 1, generator=generator)
    match spec.sampler:
        case UniformSampler():
            return torch.from_numpy(problem.box.from_uniforms(points[:, :dimension]))
        case DiffusedSampler():
            features = torch.from_numpy(problem.box.from_uniforms(points[:, :dimension]))
            spots = problem.box.columns("spot")
            features[:, spots] = diffuse(problem, spec.sampler, torch.from_numpy(to_normals(points[:, spots])))
            return features
        case MoneynessSampler(bound=bound):
            features = torch.from_numpy(problem.box.from_uniforms(points[:, :dimension]))
            levels, slices = torch.from_numpy(points[:, dimension]), batches(len(features), path_numbers(problem))
            return torch.cat([spread_moneyness(problem, features[rows], levels[rows], bound=bound) for rows in slices])
        case TableSampler():
            raise InvalidSpec(
                "sampler: 'table' needs a flow that has learnt its states; give that one to sample_inside",
                path="labels.sampler",
            )
        case _:
            assert_never(spec.sampler)


def sample_uniform(box: Box, samples: int, *, seed: int) -> Tensor:
    """Features that are uniform in the Box, from one scrambled Sobol set. Shape: -> batch feature, float64."""
    points = uniforms("sobol", samples, box.dimension, generator=stream("features", seed=seed))
    return torch.from_numpy(box.from_uniforms(points))


@dataclass(frozen=True, kw_only=True)
class Inside:
    """Features in the Box, and the share of what was drawn that they are. Shape: batch feature."""

    features: Tensor
    share: float


def sample_inside(box: Box, law: Callable[[Tensor], Tensor], samples: int, *, seed: int) -> Inside:
    """States of a law that lie in the Box; those outside are drawn again, from the next scrambled Sobol set.

    Args:
        law: from standard normals to states. Shape: batch feature -> batch feature, float64.

    Raises:
        InvalidSpec: less than `LEAST_SHARE` of the states lie in the Box.
    """
    generator = stream("features", seed=seed)
    points, drawn, kept = max(samples, LEAST_POINTS), 0, torch.empty(0, box.dimension, dtype=torch.float64)
    while len(kept) < samples:
        states = law(torch.from_numpy(to_normals(uniforms("sobol", points, box.dimension, generator=generator))))
        kept = torch.cat([kept, states[torch.from_numpy(box.contains(states.numpy()))]])
        drawn += points
        if len(kept) < LEAST_SHARE * drawn:
            raise InvalidSpec(
                f"sampler: {len(kept)} of {drawn} states drawn lie in the Box, at least {LEAST_SHARE:.0%} must; widen "
                "the Box to where the states are, or look at their units",
                path="labels.sampler",
                bound=LEAST_SHARE,
            )
    return Inside(features=kept[:samples], share=len(kept) / drawn)


def diffuse(problem: PricingProblem, sampler: DiffusedSampler, normals: Tensor) -> Tensor:
    """Spots at the horizon with their random part inflated; a Gaussian law, so some lie outside the Box.

    Without carry this is S = initial + multiplier sqrt(horizon) L z (Huge & Savine 2020); other features stay uniform.

    Shape: batch asset -> batch asset.
    """
    initial = normals.new_tensor(sampler.initial)[None]
    fixed = replace(problem, features=tuple(feature for feature in problem.features if feature.name == "spot"))
    at = scenario(fixed, initial)
    paths = simulate(problem.process, at, normals[None], normals.new_tensor([[[sampler.horizon]]]))
    if paths.law == "additive":
        return (paths.forward + sampler.multiplier * paths.noise)[0, :, -1]
    return (paths.forward * paths.noise**sampler.multiplier)[0, :, -1]


def spread_moneyness(problem: PricingProblem, features: Tensor, levels: Tensor, *, bound: float) -> Tensor:
    """Move spots inside the Box so that the standardised moneyness of the forward is uniform around the kinks.

    Each point's spots move straight towards the corner of the Box where the moneyness is largest, or smallest, until
    they meet their target: the Box is convex, so the point stays inside, and none is clipped or thrown away. Targets
    are uniform in the part of [-bound, bound] that the Box reaches, and from the first knot's -bound to the last one's
    bound where there are several. Other features stay where they are.

    Shape: features batch feature, levels (uniforms) batch -> batch feature.
    """
    spots = problem.box.columns("spot")
    x, (_, deviation) = features.clone().requires_grad_(), forward_moneyness(problem, features)
    start = forward_event(problem, x)
    (slope,) = torch.autograd.grad(start.sum(), x)
    lower, upper = features.clone(), features.clone()
    lower[:, spots] = torch.from_numpy(problem.box.lower[spots])
    upper[:, spots] = torch.from_numpy(problem.box.upper[spots])
    # All but the worst of several do not move the moneyness where the point is, but may do so later; others never do.
    if problem.payoff.facts.ranked:
        slope = slope.where(slope != 0.0, slope.sum(dim=1, keepdim=True))
    top = upper.where(slope > 0.0, lower.where(slope < 0.0, features))
    bottom = lower.where(slope > 0.0, upper.where(slope < 0.0, features))
    low = torch.maximum(-bound * deviation, forward_event(problem, bottom))
    last = kinks(problem.payoff, scenario(problem, features))[:, -1]
    high = torch.minimum(bound * deviation + last, forward_event(problem, top))
    if not deviation.min() > 0.0:
        raise InvalidSpec(
            "sampler: 'moneyness' needs a random payoff, but volatilities or maturity leave it a standard deviation of "
            "0; sample 'uniform'",
            path="labels.sampler",
        )
    if not (low < high).all():
        raise InvalidSpec(
            f"sampler: no point of the Box lies within {bound:g} terminal standard deviations of the strike; move the "
            "Box or the strike, raise bound, or sample 'uniform'"
        )
    target = low + (high - low) * levels
    corner = top.where((target > start.detach())[:, None], bottom)
    return torch.clamp(meet(problem, features, corner, target), lower, upper)


def meet(problem: PricingProblem, begin: Tensor, end: Tensor, target: Tensor) -> Tensor:
    """The point between two where the moneyness, monotone in between, meets its target, by bisection.

    Shape: begin, end batch feature; target batch -> batch feature.
    """
    low, high = torch.zeros_like(target), torch.ones_like(target)
    rising = forward_event(problem, end) > forward_event(problem, begin)
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        here = forward_event(problem, begin + middle[:, None] * (end - begin))
        before = (here < target) == rising
        low, high = middle.where(before, low), high.where(before, middle)
    return begin + low[:, None] * (end - begin)


def forward_event(problem: PricingProblem, features: Tensor) -> Tensor:
    """The deciding event of the payoff on the path of zero normals. Shape: batch feature -> batch."""
    at = scenario(problem, features)
    normals = features.new_zeros(1, 1, sum(blocks(problem.process, len(problem.payoff.facts.dates))))
    return moneyness(problem.payoff, simulate(problem.process, at, normals, times(problem, at)), at)[:, 0]


def forward_moneyness(problem: PricingProblem, features: Tensor) -> tuple[Tensor, Tensor]:
    """The deciding event of the payoff on the path of zero normals, and its first-order standard deviation.

    Shape: batch feature -> batch; batch.
    """
    at, dimension = scenario(problem, features), sum(blocks(problem.process, len(problem.payoff.facts.dates)))
    normals = torch.zeros(len(features), 1, dimension, dtype=torch.float64, requires_grad=True)
    paths = simulate(problem.process, at, normals, times(problem, at))
    event = moneyness(problem.payoff, paths, at)
    (gradient,) = torch.autograd.grad(event.sum(), normals)
    return event.detach()[:, 0], gradient.norm(dim=-1)[:, 0]


def path_numbers(problem: PricingProblem) -> int:
    """Numbers of one path of a sample whose parameters are all its own: its normals, and a factor a date."""
    count = len(problem.payoff.facts.dates)
    return max(sum(blocks(problem.process, count)), count * problem.process.assets**2)
