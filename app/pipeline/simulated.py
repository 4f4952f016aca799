"""Labels from a simulation of what is priced."""

from __future__ import annotations

from typing import Any

import torch
from msgspec.structs import replace
from torch import Tensor

from app.files import replacing
from app.pipeline.derived import canonical, generator, reduction_of, unseen_build
from app.pipeline.folder import JobFolder
from app.specification.build import BuildSpec
from app.specification.requirements import flow_pruning
from pricing.errors import InvalidSpec
from pricing.estimators.contribute import bias
from pricing.exercise.degree import chosen_degree
from pricing.labels import Labels, make_labels, save
from pricing.references import reference as references
from pricing.sampling import sample_features, sample_inside, sample_uniform
from pricing.specs.base import dump
from pricing.specs.choice import settle
from pricing.specs.estimator import Estimator, Frozen
from pricing.specs.problem import PricingProblem
from pricing.specs.sampler import MoneynessSampler, TableSampler
from pricing.specs.states import states_sha256
from pricing.types import Progress
from pruning.sparse_flow import learn_states
from surrogate.flows.flow import transport
from surrogate.learning.training import silent
from surrogate.reductions.reduction import to_canonical
from surrogate.report.curves import HeldOutLabels
from surrogate.report.sources import SimulatedLabels, StatesFacts

# Share of the label step that a flow takes to learn a table, where there is one: a minute beside simulated labels.
FLOW_SHARE = 0.5
# Values that differ by no more than this share of the largest value or spot differ by rounding.
ROUNDING = 1e-12


def simulate_labels(folder: JobFolder, progress: Progress) -> None:
    """Draw features and label them; what nothing can judge is refused before it is simulated.

    Raises:
        InvalidSpec: a problem without a reference, a sampler that does not fit, or labels that are all the same.
    """
    build = folder.build()
    references.kind(build.pricing)
    before = FLOW_SHARE if isinstance(build.labels.sampler, TableSampler) else 0.0
    features, states = draw_canonical(build, lambda done: progress(before * done))
    simulated = canonical(build)
    wanted = build.labels if build.polynomial is None else replace(build.labels, order=build.polynomial.order)
    labels = make_labels(
        simulated, features, wanted, seed=build.seed, progress=lambda done: progress(before + (1.0 - before) * done)
    )
    require_variation(build.pricing, labels.value)
    if build.polynomial is None:
        simulate_unseen(folder, build, simulated)
    with replacing(folder.labels.path) as partial:
        save(labels, partial)
    estimator = settle(simulated, build.labels.estimator)
    folder.label_facts.write(
        SimulatedLabels(
            simulated_paths=labels.paths,
            payoff_evaluations=labels.payoffs,
            standard_error=label_error(labels),
            estimator=estimator_facts(simulated, estimator, seed=build.seed),
            bias=bias(simulated, estimator),
            table=states,
        )
    )


def estimator_facts(problem: PricingProblem, estimator: Estimator, *, seed: int) -> dict[str, Any]:
    """The estimator's specification as plain data; of an exercise rule the degree that was chosen, and the regrets."""
    chosen = chosen_degree(problem, estimator, seed=seed) if isinstance(estimator, Frozen) else None
    if chosen is None:
        return dump(estimator)
    return dump(estimator) | {"degree": chosen.degree, "regrets": {str(n): lost for n, lost in chosen.regrets.items()}}


def simulate_unseen(folder: JobFolder, build: BuildSpec, simulated: PricingProblem) -> None:
    """Label what the training is watched by: samples and paths of their own, by the same specification."""
    count = build.labels.unseen(fitted=isinstance(settle(simulated, build.labels.estimator), Frozen))
    if not count:
        return
    drawn = unseen_build(build, count)
    features, _ = draw_canonical(drawn, silent)
    labels = make_labels(simulated, features, drawn.labels, seed=drawn.seed)
    with replacing(folder.unseen.path) as partial:
        save(labels, partial)
    folder.unseen_facts.write(HeldOutLabels(source="simulated", samples=count, simulated_paths=labels.paths))


def draw_canonical(build: BuildSpec, progress: Progress) -> tuple[Tensor, StatesFacts | None]:
    """The features to label, those of the problem that is simulated, and the facts of a table that they follow.

    Shape: -> batch feature, float64.
    """
    if isinstance(build.labels.sampler, MoneynessSampler):
        return sample_features(canonical(build), build.labels, seed=build.seed), None
    (features, states), reduction = draw_features(build, progress), reduction_of(build)
    return features if reduction is None else to_canonical(reduction, features), states


def draw_features(build: BuildSpec, progress: Progress) -> tuple[Tensor, StatesFacts | None]:
    """Features of the build's own Box, uniform where nobody knows what is priced, and the facts of a table.

    Shape: -> batch feature, float64.
    """
    match build.labels.sampler:
        case TableSampler() as sampler:
            return follow_states(build, sampler, progress)
        case _ if build.problem is None:
            return sample_uniform(build.box, build.labels.samples, seed=build.seed), None
        case _:
            return sample_features(build.problem, build.labels, seed=build.seed), None


def follow_states(build: BuildSpec, sampler: TableSampler, progress: Progress) -> tuple[Tensor, StatesFacts]:
    """Features in the Box by the law of a table of states, which a flow learns first. Shape: -> batch feature."""
    flow = learn_states(
        torch.tensor(sampler.states, dtype=torch.float64),
        sampler.flow,
        flow_pruning(sampler.flow),
        generator=generator("flow", seed=build.seed),
        progress=progress,
    )
    inside = sample_inside(build.box, lambda normals: transport(flow, normals), build.labels.samples, seed=build.seed)
    facts = StatesFacts(states=len(sampler.states), inside=inside.share, states_sha256=states_sha256(sampler.states))
    return inside.features, facts


def require_variation(problem: PricingProblem, values: Tensor) -> None:
    """Raise InvalidSpec where the labels are all the same: there is nothing to learn. Shape: values batch."""
    least, most = float(values.min()), float(values.max())
    spots = problem.box.columns("spot")
    if most - least > ROUNDING * max(abs(least), abs(most), problem.box.upper[spots].max()):
        return
    levels = ", ".join(f"{name} {level[0]:g}" for name, level in problem.payoff.parameters.items())
    raise InvalidSpec(
        f"problem.payoff: its value is {most:.3g} at all {len(values)} samples of the Box, so there is nothing to "
        f"learn; look at {levels} and at the bounds of the features",
        path="problem.payoff",
    )


def label_error(labels: Labels) -> dict[str, float]:
    """Root mean square standard error of each kind of label: the noise floor of everything learnt from them."""
    errors = {"value": labels.value_error, "delta": labels.gradient_error, "curvature": labels.curvature_error}
    return {name: float(error.square().mean().sqrt()) for name, error in errors.items() if error is not None}
