"""Labels from a simulation of what is priced."""

from __future__ import annotations

import math
from operator import attrgetter
from typing import Any

import numpy as np
import torch
from msgspec import UNSET
from msgspec.structs import replace
from torch import Tensor

from app.files import replacing
from app.pipeline.derived import canonical, generator, reduction_of, unseen_build
from app.pipeline.folder import JobFolder
from app.settings import Settings
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
from pricing.specs.exchange import copies
from pricing.specs.kinks import require_no_kink
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Autocall
from pricing.specs.pieces import Pieces
from pricing.specs.problem import PricingProblem
from pricing.specs.sampler import MoneynessSampler, TableSampler
from pricing.specs.states import states_sha256
from pricing.time_step_bias import time_step_bias
from pricing.types import Progress
from pruning.sparse_flow import learn_states
from surrogate.flows.flow import transport
from surrogate.learning.training import silent
from surrogate.reductions.alive import living
from surrogate.reductions.reduction import to_canonical
from surrogate.report.curves import HeldOutLabels
from surrogate.report.sources import SimulatedLabels, StatesFacts

# Share of the label step that a flow takes to learn a table, where there is one: a minute beside simulated labels.
FLOW_SHARE = 0.5
# Least share of the samples that a barrier may leave alive.
LEAST_ALIVE = 1.0 / 16.0
# Values that differ by no more than this share of the largest value, or of the levels that the payoff takes from each
# other, differ by rounding.
ROUNDING = 1e-12


def simulate_labels(folder: JobFolder, progress: Progress) -> None:
    """Draw features and label them; what nothing can judge is refused before it is simulated.

    Raises:
        InvalidSpec: a problem without a reference, a sampler that does not fit, a maturity over which the value bends
            and which scaling has left, or labels that are all the same.
    """
    build = folder.build()
    references.kind(build.pricing)
    simulated = canonical(build)
    require_no_kink(simulated)
    before = FLOW_SHARE if isinstance(build.labels.sampler, TableSampler) else 0.0
    features, states = draw_canonical(build, lambda done: progress(before * done))
    wanted = build.labels if build.polynomial is None else replace(build.labels, order=build.polynomial.order)
    threads = Settings().label_threads

    def told(done: float) -> None:
        progress(before + (1.0 - before) * done)

    labels = make_labels(simulated, features, wanted, seed=build.seed, threads=threads, progress=told)
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
            arrangements=many if (many := copies(simulated, len(features))) > 1 else UNSET,
            standard_error=label_error(labels),
            noise=label_noise(labels, simulated, wanted) or UNSET,
            estimator=estimator_facts(simulated, estimator, seed=build.seed),
            bias=bias(simulated, estimator) | time_steps(simulated, features, wanted, seed=build.seed),
            table=states,
        )
    )


def time_steps(problem: PricingProblem, features: Tensor, labels: LabelSpec, *, seed: int) -> dict[str, Any]:
    """What twice the time steps would change in the labels, if anything. Shape: features batch feature."""
    found = time_step_bias(problem, features, labels, seed=seed)
    return {} if found is None else {"time_steps": found}


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
    labels = label_unseen(build, count)
    with replacing(folder.unseen.path) as partial:
        save(labels, partial)
    folder.unseen_facts.write(HeldOutLabels(source="simulated", samples=count, simulated_paths=labels.paths))


def label_unseen(build: BuildSpec, count: int) -> Labels:
    """So many labels beside those that are learnt from."""
    drawn = unseen_build(build, count)
    features, _ = draw_canonical(drawn, silent)
    return make_labels(canonical(drawn), features, drawn.labels, seed=drawn.seed, threads=Settings().label_threads)


def draw_canonical(build: BuildSpec, progress: Progress) -> tuple[Tensor, StatesFacts | None]:
    """The features to label, those of the problem that is simulated, and the facts of a table that they follow.

    Where a barrier has left nothing there is nothing to learn: as many as the others are drawn in their place, but of a
    table, which has no others.

    Shape: -> batch feature, float64.

    Raises:
        InvalidSpec: less than a share of `LEAST_ALIVE` of the samples is alive.
    """
    labels, problem = build.labels, canonical(build)
    features, states = draw_everywhere(build, progress)
    kept, drawn = features[living(problem, features)], labels.samples
    while len(kept) < labels.samples and states is None and drawn < labels.samples / LEAST_ALIVE:
        drawn = 2 * drawn
        more = replace(labels, samples=drawn, paths=2, replicates=1, held_out=UNSET)
        features, _ = draw_everywhere(replace(build, labels=more), silent)
        kept = features[living(problem, features)]
    if len(kept) < (labels.samples if states is None else LEAST_ALIVE * labels.samples):
        raise InvalidSpec(
            f"problem.payoff.barrier: it has ended the option at {1.0 - len(kept) / drawn:.0%} of the samples, and too "
            "few are left to learn from; move the barrier or the bounds of the features",
            path="problem.payoff.barrier",
        )
    if states is not None or len(kept) == labels.samples:
        return kept, states
    return kept[torch.arange(labels.samples) * len(kept) // labels.samples], None  # from all over what was drawn


def draw_everywhere(build: BuildSpec, progress: Progress) -> tuple[Tensor, StatesFacts | None]:
    """The same, dead or alive. Shape: -> batch feature, float64."""
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
    if most - least > ROUNDING * max(abs(least), abs(most), gross(problem)):
        return
    levels = ", ".join(f"{name} {level[0]:g}" for name, level in problem.payoff.parameters.items())
    raise InvalidSpec(
        f"problem.payoff: its value is {most:.3g} at all {len(values)} samples of the Box, so there is nothing to "
        f"learn; look at {levels} and at the bounds of the features",
        path="problem.payoff",
    )


def gross(problem: PricingProblem) -> float:
    """The size of what the payoff is a difference of: its weighted levels, whatever their unit; 0 where it has none."""
    payoff, facts, spots = problem.payoff, problem.payoff.facts, problem.box.columns("spot")
    levels = np.maximum(np.abs(problem.box.lower[spots]), np.abs(problem.box.upper[spots]))
    match payoff:
        case Pieces():
            slopes = [abs(leg.amount) for leg in payoff.legs if not leg.option.facts.flat]
            return max(slopes, default=0.0) * float(np.abs(payoff.weights) @ levels)
        case Autocall():
            return payoff.notional
        case _ if facts.flat:
            return 0.0
        case _ if facts.weights is not None:
            return float(np.abs(facts.weights) @ levels)
        case _:
            return float((levels / np.array(attrgetter(str(facts.sized_by))(payoff))).max())


def label_error(labels: Labels) -> dict[str, float]:
    """Root mean square standard error of each kind of label: the noise floor of everything learnt from them."""
    errors = {"value": labels.value_error, "delta": labels.gradient_error, "curvature": labels.curvature_error}
    return {name: _rms(error) for name, error in errors.items() if error is not None}


def label_noise(labels: Labels, simulated: PricingProblem, spec: LabelSpec) -> dict[str, float]:
    """Root mean square standard errors of the value, of the derivatives by each feature, and of gamma if known."""
    noise, box = dict[str, float](), simulated.box
    if labels.value_error is not None:
        noise["value"] = _rms(labels.value_error)
    if labels.gradient_error is not None:
        noise |= {part.name: _rms(labels.gradient_error[:, box.columns(part.name)]) for part in box.features}
    gamma = gamma_noise(labels, spec) if len(box.features) == 1 else None
    return noise if gamma is None else noise | {"gamma": gamma}


def gamma_noise(labels: Labels, spec: LabelSpec) -> float | None:
    """Root mean square standard error of the Hessian's entries, where the directions of the curvatures tell it.

    A random direction v of identity covariance has E[(E v)_i^2] = sum_j E_ij^2 of an error E. Of as many axes V as
    there are features the Hessian is V^-1 (V H), and its errors follow from those of V H where these are independent.
    """
    errors, along = labels.curvature_error, labels.directions
    if errors is None or along is None:
        return None
    if spec.direction_law == "random":
        return _rms(errors) / math.sqrt(along.shape[2])
    if along.shape[1] < along.shape[2]:
        return None
    return _rms((torch.linalg.inv(along).square() @ errors.square()).sqrt())


def _rms(errors: Tensor) -> float:
    return float(errors.square().mean().sqrt())
