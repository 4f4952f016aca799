from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from surrogate.errors import SurrogateError, TrainingDiverged
from surrogate.flows.flow import Flow, log_density, start_flow
from surrogate.flows.training import Likelihood, train_flow
from surrogate.functions.network import flatten
from surrogate.learning.losses import free_coordinates
from surrogate.spec import LBFGS, Adam

BRIEF = (Adam(epochs=10, batch=256, learning_rate=3e-2),)


def two_hills(count: int, generator: torch.Generator) -> Tensor:
    """Half the states around (-2, 0), half around (2, 0)."""
    side = 4.0 * torch.randint(0, 2, (count,), generator=generator).double() - 2.0
    noise = 0.5 * torch.randn(count, 2, generator=generator, dtype=torch.float64)
    return noise + torch.stack([side, torch.zeros_like(side)], dim=1)


def started(states: Tensor, *, steps: int = 4) -> Flow:
    return start_flow(states, (16, 16), "tanh", steps=steps, generator=torch.Generator().manual_seed(2))


def test_training_beats_the_gaussian_on_states_that_it_has_not_seen(generator: torch.Generator) -> None:
    states, fresh = two_hills(1024, generator), two_hills(1024, generator)
    start = started(states)
    trained = train_flow(start, states, BRIEF, generator=generator)
    before, after = (float(log_density(flow, fresh, generator=generator).mean()) for flow in (start, trained.flow))
    assert after > before + 0.3
    assert trained.losses[-1] < trained.losses[0]


def test_a_polish_continues(generator: torch.Generator) -> None:
    states = two_hills(128, generator)
    both = (*BRIEF, LBFGS(iterations=20))
    shares: list[float] = []
    trained = train_flow(started(states), states, both, generator=generator, progress=shares.append)
    assert trained.losses[-1] < trained.losses[BRIEF[0].epochs - 1]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_pruned_weights_stay_exactly_zero(generator: torch.Generator) -> None:
    states = two_hills(256, generator)
    flow = started(states)
    masks = [torch.rand(w.shape, generator=generator) < 0.4 for w in flow.field.weights]
    zeroed = tuple(weight.where(mask, 0.0) for weight, mask in zip(flow.field.weights, masks, strict=True))
    flow = replace(flow, field=replace(flow.field, weights=zeroed))
    for optimiser in (Adam(epochs=2), LBFGS(iterations=5)):
        flow = train_flow(flow, states, (optimiser,), generator=generator, masks=masks).flow
        assert all(torch.equal(w != 0, mask) for w, mask in zip(flow.field.weights, masks, strict=True))


def test_the_gradient_is_that_of_the_loss(generator: torch.Generator) -> None:
    states = two_hills(8, generator)
    flow = start_flow(states, (3,), "softplus", steps=2, generator=generator)
    free = free_coordinates(flow.field, None)
    objective = Likelihood(flow=flow, states=states, free=free, noise=1)
    theta = flatten(flow.field).requires_grad_()
    assert torch.autograd.gradcheck(objective.loss, (theta,))


def test_the_generator_decides_everything(generator: torch.Generator) -> None:
    states = two_hills(64, generator)
    one, two = (
        train_flow(started(states), states, BRIEF, generator=torch.Generator().manual_seed(4)).flow for _ in range(2)
    )
    assert torch.equal(flatten(one.field), flatten(two.field))


def test_what_cannot_be_trained_says_so(generator: torch.Generator) -> None:
    states = two_hills(64, generator)
    with pytest.raises(SurrogateError, match="2 coordinates, the states the shape"):
        train_flow(started(states), states[:, :1], BRIEF, generator=generator)
    with pytest.raises(TrainingDiverged, match="lower the learning rate"):
        train_flow(started(states), states.index_fill(0, torch.tensor([3]), torch.nan), BRIEF, generator=generator)
