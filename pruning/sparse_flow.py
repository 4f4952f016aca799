"""Sparse flows: a normalising flow whose field is pruned by any method, step by step, and trained again after each.

Reference: Liebenwein, Hasani, Amini & Rus (2021), "Sparse flows: pruning continuous-depth models".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import torch
from torch import Tensor

from pricing.specs.base import dump, load
from pricing.specs.sampler import FlowSpec
from pricing.types import Progress
from pruning.driver.budget import budgets
from pruning.driver.cuts import cut_to
from pruning.driver.retraining import retrain
from pruning.driver.samples import draw_evidence, require_fit, standardisation_of
from pruning.driver.stages import Course, Repaired, run
from pruning.removal.masks import masks_of
from pruning.spec import PruningSpec
from pruning.stage import Budget, Cut, Evidence
from surrogate.dataset import Dataset
from surrogate.flows.flow import Flow, start_flow, trajectories
from surrogate.flows.training import train_flow
from surrogate.functions.network import Network
from surrogate.learning.training import silent
from surrogate.spec import LBFGS, Adam

# The labels a field is pruned on are its own outputs, where every error and so every gradient is 0. Noise of this share
# of their spread makes the gradients those of a Gaussian likelihood, whose scale no score minds (`pruning.rows`:
# Fisher), and is too small for CHITA to take it for an error that it should repair.
LABEL_NOISE = 1e-6
# Peak rate of Adam on a flow: the toy densities train as well from 1e-2 to 5e-2.
LEARNING_RATE = 3e-2


def prune_flow(
    flow: Flow,
    states: Tensor,
    spec: PruningSpec,
    training: Sequence[Adam | LBFGS],
    *,
    generator: torch.Generator,
    progress: Progress | None = None,
) -> Flow:
    """The cascade: prune the field to the next budget on its trajectories, maximise the likelihood again, and so on.

    A method that removes weights leaves them exactly 0, one that removes nodes leaves a smaller field. With protected
    inputs z and t stay; outputs always do.

    Args:
        flow: usually trained.
        states: raw units; whose trajectories the scores are measured on and whose likelihood is maximised.
        spec: target, method and schedule; ``fine_tuning`` would first fit the given field's outputs.

    Shape: states (batch, d).

    Raises:
        ImpossibleSparsity: the target leaves no field; raised before any work.
    """
    spec, dtype = load(PruningSpec, dump(spec)), flow.field.dtype
    # Between two cuts likelihood trains the field, not the loss of the rows: to the method each is a single stage.
    single = msgspec.structs.replace(spec, stages=1, initial_sparsity=0.0)

    def at(field: Network) -> Flow:
        return replace(flow, field=field.to(dtype))

    def look(field: Network) -> Evidence:
        samples = _labelled(at(field), states, generator)
        require_fit(field, samples, single, box=None, start=None)
        return draw_evidence(samples, standardisation_of(samples), single, domain=None, generator=generator)

    def repair(field: Network, evidence: Evidence, report: Progress) -> Repaired:
        retrained, losses = retrain(field, evidence, silent, start=None)
        smaller = at(retrained)
        masks = masks_of(smaller.field)
        trained = train_flow(smaller, states, training, generator=generator, masks=masks, progress=report)
        return trained.flow.field.to(torch.float64), (*losses, *trained.losses)

    course = Course(look=look, cut=_cut_once, repair=repair)
    given = flow.field.to(torch.float64)
    return at(run(given, budgets(given, spec), course, progress or silent).network)


def learn_states(
    states: Tensor, spec: FlowSpec, pruning: PruningSpec | None, *, generator: torch.Generator, progress: Progress
) -> Flow:
    """The flow of a table sampler: trained from the Gaussian of the states and, if asked for, pruned.

    Shape: states (batch, d).

    Raises:
        SurrogateError: the states have no density.
        ImpossibleSparsity: the pruning's target leaves no field.
    """
    training = (Adam(epochs=spec.epochs, learning_rate=LEARNING_RATE),)
    share = 1.0 if pruning is None else 1.0 / (1 + pruning.stages)
    start = start_flow(states, spec.hidden, "tanh", steps=spec.steps, generator=generator)
    flow = train_flow(start, states, training, generator=generator, progress=lambda done: progress(share * done)).flow
    if pruning is None:
        return flow

    def report(done: float) -> None:
        progress(share + (1.0 - share) * done)

    return prune_flow(flow, states, pruning, training, generator=generator, progress=report)


def _labelled(flow: Flow, states: Tensor, generator: torch.Generator) -> Dataset:
    """What the field sees on the way of the states and says there, but for a little noise."""
    points, velocity = trajectories(flow, states)
    noise = torch.randn(velocity.shape, generator=generator, dtype=velocity.dtype)
    return Dataset(x=points, y=velocity + LABEL_NOISE * velocity.std(dim=0) * noise)


def _cut_once(network: Network, budget: Budget, evidence: Evidence, *, again: bool) -> Cut:  # noqa: ARG001
    """The cut to a budget, without refits: the labels are the field's own outputs and have nothing to teach."""
    return cut_to(network, budget, evidence, again=False)
