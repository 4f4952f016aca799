"""Training at a constant number of weights whose places change: the driver of SET and RigL.

References: SET, Mocanu et al. 2018; RigL, Evci et al. 2020.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Protocol

import torch
from torch import Tensor

from pruning.dynamic.regrowth import cosine, erdos_renyi, exchange_at_random, exchange_by_gradient
from pruning.removal.masks import masks_of, top
from pruning.spec import DynamicSpec
from pruning.stage import Budget, Cut, Evidence, trained_with
from surrogate.dataset import normalise
from surrogate.errors import TrainingDiverged
from surrogate.functions.network import Network, flatten, unflatten
from surrogate.learning.adam import learning_rate
from surrogate.learning.losses import Objective, free_coordinates, loss_weights
from surrogate.standardisation import to_normalised, to_raw

# Places change during this share of training, and then the last weights settle (Evci et al. 2020).
UNTIL = 0.75
# What Adam remembers of a parameter.
MOMENTS = ("exp_avg", "exp_avg_sq")


class Exchange(Protocol):
    """New weights and mask of one layer, as many as before."""

    def __call__(
        self, weight: Tensor, kept: Tensor, *, gradient: Tensor, fraction: float, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Shape: out in, each."""


@dataclass(frozen=True, kw_only=True)
class ExchangeRule:
    """When and how places change.

    Args:
        fraction: share of weights to exchange after so many steps, given the steps of an epoch; 0 for none.
        moves: whether Adam steps as well on such a step.
        dense_output: whether the last layer starts dense.
    """

    exchange: Exchange
    fraction: Callable[[DynamicSpec, int, int], float]
    moves: bool
    dense_output: bool


def after_every_epoch(spec: DynamicSpec, step: int, batches: int) -> float:
    """SET exchanges the same share after every epoch.

    Its authors go on to the last epoch but one, at a constant learning rate. Ours ends at 0, and what is grown then
    stays random.
    """
    done = step + 1
    return spec.fraction if done % batches == 0 and done < _end(spec, batches) else 0.0


def at_intervals(spec: DynamicSpec, step: int, batches: int) -> float:
    """RigL exchanges less and less."""
    end = _end(spec, batches)
    return cosine(spec.fraction, step, end) if 0 < step < end and step % spec.interval == 0 else 0.0


def _end(spec: DynamicSpec, batches: int) -> float:
    """The step from which places no longer change."""
    return UNTIL * spec.optimiser.epochs * batches


RULES: Mapping[Literal["set", "rigl"], ExchangeRule] = {
    "set": ExchangeRule(exchange=exchange_at_random, fraction=after_every_epoch, moves=True, dense_output=True),
    "rigl": ExchangeRule(exchange=exchange_by_gradient, fraction=at_intervals, moves=False, dense_output=False),
}


def train_sparse(network: Network, budget: Budget, evidence: Evidence, *, rule: ExchangeRule) -> Cut:
    """Train the given weights at a budget from the first step on; where they are changes by the rule.

    Random places at Erdos-Renyi densities to begin with, those of weights that are not 0 before others. A place may end
    with a weight of 0, grown at 0 or given as 0 and felt by no sample or no output since: fewer than the budget are
    then left.

    Raises:
        TrainingDiverged: parameters are not finite.
    """
    start = to_normalised(network, evidence.standardisation)
    shapes = [(weight.shape[0], weight.shape[1]) for weight in start.weights]
    counts = erdos_renyi(shapes, budget.count, dense_output=rule.dense_output)
    masks = [
        top(torch.rand(alive.shape, generator=evidence.generator) + alive, count)
        for alive, count in zip(masks_of(start), counts, strict=True)
    ]
    sparse = replace(start, weights=tuple(w * mask for w, mask in zip(start.weights, masks, strict=True)))
    everywhere = tuple(torch.ones_like(bias, dtype=torch.bool) for bias in start.biases)
    places = replace(start, weights=tuple(masks), biases=everywhere)
    objective = _objective(sparse, evidence)
    theta = _minimise(objective, flatten(places), rule, evidence.spec.dynamics, generator=evidence.generator)
    if not torch.isfinite(theta).all():
        raise TrainingDiverged("parameters became non-finite; lower dynamics.optimiser.learning_rate")
    return Cut(network=to_raw(unflatten(sparse, theta), evidence.standardisation))


def _objective(network: Network, evidence: Evidence) -> Objective:
    """The loss that is trained with, over all samples and all parameters."""
    data = normalise(evidence.training.to(torch.float64), evidence.standardisation)
    weights = loss_weights(data, trained_with(evidence.spec, data))
    return Objective(network=network, dataset=data, weights=weights, free=free_coordinates(network, None))


def _minimise(
    objective: Objective, kept: Tensor, rule: ExchangeRule, spec: DynamicSpec, *, generator: torch.Generator
) -> Tensor:
    """Trained parameters, from the places of weights and biases at the start. Shape: parameter -> parameter.

    Adam sees 0 as the gradient of a pruned weight and remembers nothing of it, so that it stays exactly 0.
    """
    adam, samples = spec.optimiser, len(objective.dataset)
    working = objective.to(torch.float32) if adam.single_precision else objective
    point = working.start().requires_grad_()
    optimiser = torch.optim.Adam([point], lr=adam.learning_rate)
    batches = math.ceil(samples / adam.batch)
    chunks: Sequence[Tensor] = ()
    for step in range(adam.epochs * batches):
        if step % batches == 0:
            chunks = torch.randperm(samples, generator=generator).tensor_split(batches)
        optimiser.param_groups[0]["lr"] = learning_rate(adam, step / (adam.epochs * batches))
        (gradient,) = torch.autograd.grad(working.loss(point, chunks[step % batches]), point)
        fraction = rule.fraction(spec, step, batches)
        if fraction == 0.0 or rule.moves:
            point.grad = gradient * kept
            optimiser.step()
        if fraction > 0.0:
            change = partial(rule.exchange, fraction=fraction, generator=generator)
            moved, now = _exchanged(working.network, point.detach(), kept=kept, gradient=gradient, change=change)
            settled = kept & now & (moved == point)
            for moment in MOMENTS:
                optimiser.state[point][moment].mul_(settled)
            with torch.no_grad():
                point.copy_(moved)
            kept = now
    return point.detach().to(torch.float64)


def _exchanged(
    like: Network, theta: Tensor, *, kept: Tensor, gradient: Tensor, change: Callable[..., tuple[Tensor, Tensor]]
) -> tuple[Tensor, Tensor]:
    """Parameters and mask after every layer's exchange; a dense layer has none. Shape: parameter each."""
    values, masks = unflatten(like, theta), unflatten(like, kept)
    layers = [
        (weight, mask) if mask.all() else change(weight, mask, gradient=slope)
        for weight, mask, slope in zip(values.weights, masks.weights, unflatten(like, gradient).weights, strict=True)
    ]
    weights, places = zip(*layers, strict=True)
    return flatten(replace(values, weights=weights)), flatten(replace(masks, weights=places))
