"""Training of a flow by maximum likelihood: the same optimisers as a surrogate's, another loss.

    L(theta) = -mean_n log p(x_n)

The gradient goes through the steps of the solver (discretise, then optimise), so it is the exact gradient of the loss
that is reported (Grathwohl et al. 2019 integrate an adjoint equation instead, to save memory).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self, assert_never

import torch
from torch import Tensor

from pricing.types import Progress
from surrogate.errors import SurrogateError, TrainingDiverged
from surrogate.flows.flow import Flow, log_density
from surrogate.functions.network import flatten
from surrogate.learning import adam, lbfgs
from surrogate.learning.losses import free_coordinates, with_coordinates
from surrogate.spec import LBFGS, Adam


@dataclass(frozen=True, kw_only=True)
class TrainedFlow:
    """A trained flow and the losses on the way, nats a state."""

    flow: Flow
    losses: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Likelihood:
    """Negative log-likelihood as a function of the trainable coordinates of the field.

    Args:
        states: raw units. Shape: batch d.
        free: indices of `surrogate.functions.network.flatten` that move.
        noise: seed of the trace's random signs where it is estimated; fixed, so that the loss is a function.
    """

    flow: Flow
    states: Tensor
    free: Tensor
    noise: int

    def __len__(self) -> int:
        return len(self.states)

    def at(self, theta: Tensor) -> Flow:
        """The flow with these coordinates; differentiable. Shape: free ->."""
        return replace(self.flow, field=with_coordinates(self.flow.field, self.free, theta))

    def loss(self, theta: Tensor, rows: Tensor | slice = slice(None)) -> Tensor:
        """-mean log p. Shape: free -> scalar."""
        noise = torch.Generator().manual_seed(self.noise)
        return -log_density(self.at(theta), self.states[rows], generator=noise).mean()

    def to(self, dtype: torch.dtype) -> Self:
        """The same objective in another precision."""
        flow = self.flow
        cast = replace(flow, field=flow.field.to(dtype), mean=flow.mean.to(dtype), factor=flow.factor.to(dtype))
        return replace(self, flow=cast, states=self.states.to(dtype))


def train_flow(
    flow: Flow,
    states: Tensor,
    optimisers: Sequence[Adam | LBFGS],
    *,
    generator: torch.Generator,
    masks: Sequence[Tensor] | None = None,
    progress: Progress | None = None,
) -> TrainedFlow:
    """Maximise the likelihood of the states from the given flow.

    Args:
        states: raw units. Shape: batch d.
        optimisers: one after the other, at least one.
        masks: one per weight matrix of the field, True = kept; a pruned weight stays exactly 0.

    Raises:
        SurrogateError: states of another dimension.
        TrainingDiverged: the result or its loss is not finite.
    """
    if states.ndim != 2 or states.shape[1] != flow.dimension or len(states) == 0:
        raise SurrogateError(f"the flow has {flow.dimension} coordinates, the states the shape {tuple(states.shape)}")
    free = free_coordinates(flow.field, masks)
    noise = int(torch.randint(1 << 62, (), generator=generator))
    objective = Likelihood(flow=flow, states=states, free=free, noise=noise)
    theta, losses = flatten(flow.field)[free], list[float]()
    for stage, optimiser in enumerate(optimisers):

        def report(share: float, stage: int = stage) -> None:
            if progress is not None:
                progress((stage + share) / len(optimisers))

        theta, history = _minimise(objective, theta, optimiser, generator, report)
        losses += history
    if not (torch.isfinite(theta).all() and math.isfinite(losses[-1])):
        raise TrainingDiverged(
            f"the flow's training ended in non-finite parameters or loss (last losses {losses[-3:]}); lower the "
            "learning rate or look at the states"
        )
    return TrainedFlow(flow=objective.at(theta), losses=tuple(losses))


def _minimise(
    objective: Likelihood, theta: Tensor, optimiser: Adam | LBFGS, generator: torch.Generator, progress: Progress
) -> tuple[Tensor, list[float]]:
    match optimiser:
        case Adam():
            return adam.minimise(objective, theta, optimiser, generator=generator, progress=progress)
        case LBFGS():
            return lbfgs.minimise(objective, theta, optimiser, generator=generator, progress=progress)
        case _:
            assert_never(optimiser)
