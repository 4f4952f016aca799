from __future__ import annotations

import pytest
import torch
from torch import Tensor

from pricing.specs.sampler import FlowSpec
from pruning.compact import compact
from pruning.errors import ImpossibleSparsity
from pruning.methods import METHODS
from pruning.sparse_flow import learn_states, prune_flow
from pruning.spec import MethodName, PruningSpec
from pruning.stage import size
from surrogate.flows.flow import Flow, log_density, sample, start_flow
from surrogate.flows.training import train_flow
from surrogate.spec import Adam

TRAINING = (Adam(epochs=8, learning_rate=3e-2),)
BRIEF = (Adam(epochs=1, learning_rate=1e-2),)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def states() -> Tensor:
    """Two hills, at (-2, 0) and (2, 0)."""
    generator = seeded(1)
    side = 4.0 * torch.randint(0, 2, (512,), generator=generator).double() - 2.0
    noise = 0.5 * torch.randn(512, 2, generator=generator, dtype=torch.float64)
    return noise + torch.stack([side, torch.zeros_like(side)], dim=1)


@pytest.fixture(scope="module")
def flow(states: Tensor) -> Flow:
    start = start_flow(states, (16, 12), "tanh", steps=4, generator=seeded())
    return train_flow(start, states, TRAINING, generator=seeded()).flow


def likelihood(flow: Flow, states: Tensor) -> float:
    with torch.no_grad():
        return float(log_density(flow, states, generator=seeded()).mean())


@pytest.mark.parametrize("method", [name for name, method in METHODS.items() if method.phase != "during"])
def test_every_method_that_prunes_what_it_is_given_prunes_a_flow(
    method: MethodName, flow: Flow, states: Tensor
) -> None:
    spec = PruningSpec(method=method, sparsity=0.5, samples=128)
    pruned = prune_flow(flow, states[:128], spec, BRIEF, generator=seeded())
    unit = METHODS[method].granularity
    whole = sum(w.numel() for w in flow.field.weights) if unit == "weights" else 28
    kept = size(pruned.field, unit)
    assert kept == whole // 2 if METHODS[method].traits.exact else kept <= whole // 2
    assert (pruned.field.widths[0], pruned.field.widths[-1]) == (3, 2)
    assert torch.isfinite(sample(pruned, 8, generator=seeded())).all()


@pytest.mark.parametrize("method", ["magnitude", "magnitude_neuron"])
def test_a_cascade_meets_the_schedule_of_the_given_field(method: MethodName, flow: Flow, states: Tensor) -> None:
    spec = PruningSpec(method=method, sparsity=0.75, stages=3, schedule="linear")
    pruned = prune_flow(flow, states, spec, BRIEF, generator=seeded())
    unit = METHODS[method].granularity
    assert size(pruned.field, unit) == size(flow.field, unit) // 4
    shares: list[float] = []
    prune_flow(flow, states[:32], spec, BRIEF, generator=seeded(), progress=shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


@pytest.mark.parametrize("method", ["magnitude", "magnitude_neuron"])
def test_a_target_in_parameters_is_met(method: MethodName, flow: Flow, states: Tensor) -> None:
    spec = PruningSpec(method=method, parameters=120, stages=2)
    assert compact(prune_flow(flow, states, spec, BRIEF, generator=seeded()).field).parameters <= 120


def test_training_between_the_steps_repairs(flow: Flow, states: Tensor) -> None:
    spec = PruningSpec(method="magnitude", sparsity=0.7, stages=2)
    untouched = prune_flow(flow, states, spec, (Adam(epochs=1, learning_rate=1e-12),), generator=seeded())
    repaired = prune_flow(flow, states, spec, TRAINING, generator=seeded())
    assert likelihood(repaired, states) > likelihood(untouched, states)
    assert likelihood(repaired, states) > likelihood(flow, states) - 0.15


def test_gradient_scores_tell_weights_apart_on_a_fitted_field(flow: Flow, states: Tensor) -> None:
    """The labels are the field's own outputs: without noise every gradient were 0, and the order of weights decided."""
    spec = PruningSpec(method="salience_per_sample", sparsity=0.5)
    pruned = prune_flow(flow, states, spec, BRIEF, generator=seeded())
    shares = [(weight != 0).double().mean().item() for weight in pruned.field.weights]
    assert all(0.0 < share < 1.0 for share in shares)


def test_an_impossible_target_is_refused(flow: Flow, states: Tensor) -> None:
    with pytest.raises(ImpossibleSparsity):
        prune_flow(flow, states, PruningSpec(method="magnitude", sparsity=0.999), BRIEF, generator=seeded())


def test_a_table_is_learnt_dense_or_sparse(states: Tensor) -> None:
    spec, shares = FlowSpec(hidden=(8, 8), steps=2, epochs=2), list[float]()
    dense = learn_states(states, spec, None, generator=seeded(), progress=shares.append)
    pruning = PruningSpec(method="magnitude", sparsity=0.5, stages=2)
    sparse = learn_states(states, spec, pruning, generator=seeded(), progress=shares.append)
    assert size(dense.field, "weights") == 104
    assert size(sparse.field, "weights") == 52
    assert shares[1] == shares[-1] == 1.0
    assert dense.evaluations == sparse.evaluations == 8
