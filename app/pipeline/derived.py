"""What follows from a build's specification alone: what is simulated, what a network is given, its random numbers."""

from __future__ import annotations

import torch
from msgspec import UNSET
from msgspec.structs import replace

from app.specification.build import BuildSpec
from pricing.domain import Box
from pricing.draws import stream
from pricing.specs.problem import PricingProblem
from surrogate.artifact.manifest import Manifest
from surrogate.dataset import Dataset
from surrogate.functions.network import Network
from surrogate.learning.training import draw
from surrogate.reductions.choice import reduce
from surrogate.reductions.reduction import Reduction


def reduction_of(build: BuildSpec) -> Reduction | None:
    """The exact scaling of what is priced; None where there is none, or nobody knows what is priced."""
    return None if build.problem is None else reduce(build.problem, controlled=build.control != "none")


def as_learnt(build: BuildSpec, published: Manifest) -> BuildSpec:
    """The build of a version with what it was learnt beside: one from before there were controls had none."""
    today = reduction_of(build)
    newer = today is not None and today.controlled and not published.controlled
    return replace(build, control="none") if newer else build


def canonical(build: BuildSpec) -> PricingProblem:
    """The problem that is simulated: the one that is priced, or what exact scaling leaves of it."""
    reduction = reduction_of(build)
    return build.pricing if reduction is None else reduction.canonical


def input_box(build: BuildSpec) -> Box:
    """The domain of the network's inputs."""
    reduction = reduction_of(build)
    return build.box if reduction is None else reduction.box


def generator(name: str, *, seed: int) -> torch.Generator:
    """The torch generator of one named use."""
    return torch.Generator().manual_seed(int(stream(name, seed=seed).integers(1 << 63)))


def unseen_build(build: BuildSpec, samples: int) -> BuildSpec:
    """The build with so many samples, and a seed that gives them and their labels random numbers of their own."""
    seed = int(stream("unseen", seed=build.seed).integers(1 << 63))
    return replace(build, seed=seed, labels=replace(build.labels, samples=samples, held_out=UNSET))


def draw_network(build: BuildSpec, data: Dataset) -> Network:
    """The random network that training starts from; the scaling of the data is folded into it.

    Shape: data x (batch, input).
    """
    return draw(data, build.network, generator=generator("training", seed=build.seed))
