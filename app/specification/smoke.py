"""A build made small: does its specification run, from labels to file? Torch-free.

Every field that says how much is done is held to a bound; what is priced and which method does what stay. What a
problem costs by itself, a reference in a thousand assets say, is no field: there `sobolite build --smoke` ends by time.
"""

from __future__ import annotations

from typing import Any, TypeVar

from msgspec import UNSET
from msgspec.structs import replace

from app.specification.build import BuildSpec
from pricing.specs.base import Spec
from pricing.specs.estimator import Bridge, Frozen
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.sampler import FlowSpec, TableSampler
from pricing.specs.variations import on_grid
from pruning.spec import PruningSpec
from surrogate.spec import NetworkSpec, TrainingSpec

# The most of each field that a smoke build keeps: everything runs in seconds and nothing is learnt.
LABELS = {"samples": 64, "paths": 64, "replicates": 2, "directions": 4}
PILOT = 64
# Levels of assets at dates over all samples and paths, for which fewer paths are taken, but no fewer than can be few.
LEVELS, LEAST_PATHS = 1 << 18, 8
RULE = {"paths": 1024, "degree": 3}
BRIDGE, GRID = {"steps": 8}, 8
FLOW = {"steps": 4, "epochs": 2}
FLOW_DEPTH, FLOW_WIDTH = 2, 32
# The first of the optimisers, of which a specification may have any number.
OPTIMISERS = 4
OPTIMISER = {"epochs": 2, "iterations": 3, "starts": 2, "short": 2, "finalists": 1, "long": 2}
DEGREE = 9
POINTS = 4
# Pruning: rows, and what a network of many weights is treated by at a time.
PRUNING = {"stages": 1, "samples": 64, "draws": 1, "splits": 1}
ROUNDS, BLOCK = 2, 256
# Networks up to this size are kept: a target of their pruning is possible, or refused, as in the build. Of larger ones
# so many layers of so many neurons, and half of it, at most, is pruned away.
MOST_PARAMETERS = 100_000
DEPTH, WIDTH = 4, 32
SPARSITY = 0.5

SpecType = TypeVar("SpecType", bound=Spec)


def smoke(spec: BuildSpec) -> BuildSpec:
    """The same build with budgets cut until it takes seconds. What it publishes prices nothing."""
    learnt, problem = spec.polynomial is None, None if spec.problem is None else coarse(spec.problem)
    network = small(spec.network, spec) if learnt else spec.network
    pruning = None if spec.pruning is None else gentle(spec.pruning, whole=network == spec.network)
    return replace(
        spec,
        problem=problem,
        labels=few(spec.labels, problem) if spec.dataset is None or spec.labels.teacher else spec.labels,
        network=network,
        training=quick(spec.training) if learnt else spec.training,
        polynomial=None if spec.polynomial is None else cut(spec.polynomial, {"degree": DEGREE}),
        pruning=pruning,
        evaluation=replace(spec.evaluation, samples=POINTS, seconds=UNSET),
    )


def coarse(problem: PricingProblem) -> PricingProblem:
    """The problem on a grid of fewer steps, where its process has one."""
    return replace(problem, process=on_grid(problem.process, min(GRID, problem.process.facts.grid or GRID)))


def few(labels: LabelSpec, problem: PricingProblem | None) -> LabelSpec:
    """Labels at a handful of samples, by fewer paths the longer each is."""
    estimator, sampler = labels.estimator, labels.sampler
    if isinstance(estimator, Frozen):
        estimator = cut(estimator, RULE)
    elif isinstance(estimator, Bridge):
        estimator = cut(estimator, BRIDGE)
    if isinstance(sampler, TableSampler):
        sampler = replace(sampler, flow=brief(sampler.flow))
    held_out = labels.held_out if labels.held_out is UNSET else min(labels.held_out, LABELS["samples"])
    labels = replace(cut(replace(labels, held_out=UNSET), LABELS), held_out=held_out)
    while labels.paths > LEAST_PATHS and labels.samples * labels.paths * length(problem) > LEVELS:
        labels = replace(labels, paths=labels.paths // 2)
    return replace(labels, estimator=estimator, sampler=sampler, draws=cut(labels.draws, {"pilot": PILOT}))


def length(problem: PricingProblem | None) -> int:
    """Levels of one path: assets by dates, of the payoff or of the grid, whichever are more."""
    if problem is None:
        return 1
    dates = len(getattr(problem.payoff, "dates", ()))
    return problem.process.assets * max(1, dates, problem.process.facts.grid or 1)


def brief(flow: FlowSpec) -> FlowSpec:
    """A small flow, for two passes over its table."""
    hidden = tuple(min(width, FLOW_WIDTH) for width in flow.hidden[:FLOW_DEPTH])
    sparsity = flow.sparsity if hidden == flow.hidden or flow.sparsity is None else min(flow.sparsity, SPARSITY)
    return replace(cut(flow, FLOW), hidden=hidden, sparsity=sparsity)


def small(network: NetworkSpec, spec: BuildSpec) -> NetworkSpec:
    """The network, or its first layers where it is large; that of a dataset by what is known of its features."""
    inputs = (
        1 if spec.dataset is not None and not spec.dataset.features and spec.problem is None else spec.box.dimension
    )
    if network.parameters(inputs) <= MOST_PARAMETERS:
        return network
    return replace(network, hidden=tuple(min(width, WIDTH) for width in network.hidden[:DEPTH]))


def gentle(pruning: PruningSpec, *, whole: bool) -> PruningSpec:
    """Pruning in one stage by a few rounds, and no more of a network that is not ``whole`` than it can spare."""
    changes: dict[str, Any] = {
        "rounds": min(pruning.rounds or ROUNDS, ROUNDS),
        "block": min(pruning.block or BLOCK, BLOCK),
        "kernel_sharing": UNSET,
        "dynamics": replace(pruning.dynamics, optimiser=cut(pruning.dynamics.optimiser, OPTIMISER)),
        "fine_tuning": None if pruning.fine_tuning is None else quick(pruning.fine_tuning),
    }
    if not whole:
        changes |= {"initial_sparsity": 0.0}
        if pruning.relative_error is UNSET:
            changes |= {"sparsity": min(pruning.sparsity or SPARSITY, SPARSITY), "parameters": None}
    return replace(pruning, **changes, **bounded(pruning, PRUNING))


def quick(training: TrainingSpec) -> TrainingSpec:
    """Every optimiser, for a few steps."""
    optimisers = tuple(cut(optimiser, OPTIMISER) for optimiser in training.optimisers[:OPTIMISERS])
    return replace(training, optimisers=optimisers)


def cut(spec: SpecType, most: dict[str, int]) -> SpecType:
    """The specification with those of its fields that exceed a bound at the bound."""
    return replace(spec, **bounded(spec, most))


def bounded(spec: Spec, most: dict[str, int]) -> dict[str, int]:
    """Those of its fields that have a bound, at the most at it; at it where they are left open."""
    given = {name: getattr(spec, name) for name in most if hasattr(spec, name)}
    return {name: most[name] if value is UNSET else min(value, most[name]) for name, value in given.items()}
