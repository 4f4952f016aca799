"""Where labels are made: feature vectors from scrambled Sobol sets by the law that a specification names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor

from pricing.domain import Box
from pricing.draws import stream, to_normals, uniforms
from pricing.errors import InvalidSpec
from pricing.monte_carlo import driving_gradient, simulate
from pricing.payoffs import moneyness
from pricing.spec import DiffusedSampler, LabelSpec, MoneynessSampler, PricingProblem, TableSampler, UniformSampler

# A law with less than this share of its mass in the Box is one of another market than the Box was made for.
LEAST_SHARE = 0.01
# Least number of points of one set, so that the share inside is known well enough to judge by it.
LEAST_POINTS = 1024


def sample_features(problem: PricingProblem, spec: LabelSpec, *, seed: int) -> Tensor:
    """The N features to label, from one scrambled Sobol set. Shape: -> batch feature, float64.

    Raises:
        InvalidSpec: a sampler that does not fit the problem.
    """
    generator = stream("features", seed=seed)
    dimension = problem.box.dimension
    points = uniforms("sobol", spec.samples, dimension + 1, generator=generator)
    match spec.sampler:
        case UniformSampler():
            return torch.from_numpy(problem.box.from_uniforms(points[:, :dimension]))
        case DiffusedSampler():
            return diffuse(problem, spec.sampler, torch.from_numpy(to_normals(points[:, :dimension])))
        case MoneynessSampler(bound=bound):
            features = torch.from_numpy(problem.box.from_uniforms(points[:, :dimension]))
            return spread_moneyness(problem, features, torch.from_numpy(points[:, dimension]), bound=bound)
        case TableSampler():
            raise InvalidSpec(
                "sampler: 'table' needs a flow that has learnt its states; give that one to sample_inside",
                path="labels.sampler",
            )
        case _:
            assert_never(spec.sampler)


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

    Without carry this is S = initial + multiplier sqrt(horizon) L z (Huge & Savine 2020).

    Shape: batch asset -> batch asset.
    """
    if len(sampler.initial) != problem.process.assets:
        raise InvalidSpec(f"initial must have {problem.process.assets} spots, got {len(sampler.initial)}")
    initial = normals.new_tensor(sampler.initial).expand(1, 1, -1)
    terminal = simulate(problem.process, initial, normals[None], sampler.horizon)
    return (terminal.forward + sampler.multiplier * terminal.increments)[0]


def spread_moneyness(problem: PricingProblem, features: Tensor, levels: Tensor, *, bound: float) -> Tensor:
    """Move features inside the Box so that the standardised moneyness of the forward is uniform.

    Each point moves straight towards the corner of the Box where the moneyness is largest, or smallest, until it meets
    its target: the Box is convex, so the point stays inside, and none is clipped or thrown away. Targets are uniform in
    the part of [-bound, bound] that the Box reaches.

    Shape: features batch feature, levels (uniforms) batch -> batch feature.
    """

    def forward_moneyness(spots: Tensor) -> Tensor:
        terminal = simulate(problem.process, spots[:, None, :], torch.zeros_like(spots)[:, None, :], problem.maturity)
        return moneyness(problem.payoff, terminal)[:, 0]

    x = features.clone().requires_grad_()
    start = forward_moneyness(x)
    (slope,) = torch.autograd.grad(start.sum(), x)
    start = start.detach()
    lower, upper = torch.from_numpy(problem.box.lower), torch.from_numpy(problem.box.upper)
    top = features.where(slope == 0, upper.where(slope > 0, lower))
    bottom = features.where(slope == 0, lower.where(slope > 0, upper))
    deviation = driving_gradient(problem, features).norm(dim=1)
    low = torch.maximum(-bound * deviation, forward_moneyness(bottom))
    high = torch.minimum(bound * deviation, forward_moneyness(top))
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
    corner = top.where((target > start)[:, None], bottom)
    share = (target - start) / (forward_moneyness(corner) - start)
    return torch.clamp(features + share[:, None] * (corner - features), lower, upper)
