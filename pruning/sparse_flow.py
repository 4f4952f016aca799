"""Sparse flows: a normalising flow whose field is pruned by any method, step by step, and trained again after each.

Reference: Liebenwein, Hasani, Amini & Rus (2021), "Sparse flows: pruning continuous-depth models".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec
import torch
from torch import Tensor

from pricing.specs.sampler import FlowSpec
from pricing.types import Progress
from pruning.budget import budgets
from pruning.methods import METHODS
from pruning.prune import prune
from pruning.spec import PruningSpec
from pruning.stage import Budget
from surrogate.dataset import Dataset
from surrogate.flows.flow import Flow, start_flow, trajectories
from surrogate.flows.training import train_flow
from surrogate.functions.network import Network
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

    Raises:
        ImpossibleSparsity: the target leaves no field; raised before any work.
    """
    path = budgets(flow.field, spec, METHODS[spec.method])
    for stage, budget in enumerate(path):

        def report(share: float, stage: int = stage) -> None:
            if progress is not None:
                progress((stage + share) / len(path))

        samples = _labelled(flow, states, generator)
        pruned = prune(flow.field, samples, _step(flow.field, spec, budget), generator=generator)
        smaller = replace(flow, field=pruned.network)
        flow = train_flow(smaller, states, training, generator=generator, masks=pruned.masks, progress=report).flow
    return flow


def learn_states(
    states: Tensor, spec: FlowSpec, pruning: PruningSpec | None, *, generator: torch.Generator, progress: Progress
) -> Flow:
    """The flow of a table sampler: trained from the Gaussian of the states and, if asked for, pruned.

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


def _step(field: Network, spec: PruningSpec, budget: Budget) -> PruningSpec:
    """The specification of one step, for a field that earlier steps may have made smaller."""
    one = msgspec.structs.replace(spec, stages=1, initial_sparsity=0.0)
    if budget.unit == "parameters":
        return msgspec.structs.replace(one, parameters=budget.count)
    inputs = 0 if spec.protect_inputs else field.widths[0]
    nodes, weights = sum(field.widths[1:-1]) + inputs, sum(weight.numel() for weight in field.weights)
    total = weights if budget.unit == "weights" else nodes
    return msgspec.structs.replace(one, sparsity=1.0 - budget.count / total, parameters=None)
