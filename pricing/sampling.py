"""Where labels are made: feature vectors from scrambled Sobol sets by the law that a specification names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

import torch
from msgspec import UNSET
from msgspec.structs import replace
from torch import Tensor

from pricing.domain import Box
from pricing.draws import stream, to_normals, uniforms
from pricing.errors import InvalidSpec
from pricing.monte_carlo import batches
from pricing.processes.simulate import blocks, simulate
from pricing.simulation.scenario import scenario
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.refusals import require_sampler
from pricing.specs.sampler import DiffusedSampler, MoneynessSampler, TableSampler, UniformSampler
from pricing.spread import require_reached, spread_moneyness

# A law with less than this share of its mass in the Box is one of another market than the Box was made for.
LEAST_SHARE = 0.01
# Least number of points of one set, so that the share inside is known well enough to judge by it.
LEAST_POINTS = 1024


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
        case MoneynessSampler(bound=bound, share=share):
            features = torch.from_numpy(problem.box.from_uniforms(points[:, :dimension]))
            levels = torch.from_numpy(points[:, dimension])
            moved = len(features) if share is UNSET else max(1, round(share * len(features)))
            slices = batches(moved, path_numbers(problem))
            spread = [spread_moneyness(problem, features[rows], levels[rows], bound=bound) for rows in slices]
            require_reached(problem, spread, bound=bound)
            return torch.cat([*(part.features for part in spread), features[moved:]])
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


def path_numbers(problem: PricingProblem) -> int:
    """Numbers of one path of a sample whose parameters are all its own: its normals, and a factor a date."""
    count = len(problem.payoff.facts.dates)
    return max(sum(blocks(problem.process, count)), count * problem.process.assets**2)
