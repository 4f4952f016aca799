from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from pruning.compact import compact
from pruning.intervals.interval import Interval
from pruning.removal.masks import apply
from pruning.stage import Evidence, size
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise


@pytest.fixture
def sparse(generator: torch.Generator) -> Network:
    """Weights at random, the second input and the first hidden node without any."""
    network = initialise((3, 9, 7, 1), "silu", generator=generator)
    masks = [torch.rand(w.shape, generator=generator) < 0.4 for w in network.weights]
    masks[0][:, 1], masks[0][0] = False, False
    return apply(network, masks)


def test_weights_are_those_that_are_not_0(sparse: Network) -> None:
    assert size(sparse, "weights") == sum(int((weight != 0).sum()) for weight in sparse.weights)


def test_nodes_are_hidden_ones_and_inputs_that_are_read(sparse: Network) -> None:
    assert size(sparse, "nodes") == 16
    assert size(sparse, "nodes", protect_inputs=False) == 16 + 2


def test_parameters_are_those_of_the_compacted_network(sparse: Network) -> None:
    smaller = compact(sparse)
    assert size(sparse, "parameters") == size(smaller, "weights") + sum(len(bias) for bias in smaller.biases)
    assert size(sparse, "parameters") < size(sparse, "weights") + sum(len(bias) for bias in sparse.biases)


def test_layers_without_activation_have_no_biases_that_count(sparse: Network) -> None:
    factored = replace(sparse, linear=frozenset({1}))
    smaller = compact(factored)
    assert size(factored, "parameters") == size(smaller, "weights") + len(smaller.biases[1]) + 1


def test_a_dense_network_has_everything(generator: torch.Generator) -> None:
    network = initialise((3, 5, 4, 2), "tanh", generator=generator)
    assert size(network, "weights") == 15 + 20 + 8
    assert size(network, "parameters") == 15 + 20 + 8 + 5 + 4 + 2


def test_bounds_hold_over_the_domain_or_over_all_samples(
    dataset: Dataset, interval: Interval, evidence_of: Callable[..., Evidence]
) -> None:
    assert evidence_of(dataset, domain=interval).box is interval
    single = evidence_of(dataset.to(torch.float32)).box
    assert single.lower.dtype == torch.float64
    assert torch.equal(single.lower, dataset.x.float().amin(dim=0).double())
    assert torch.equal(single.upper, dataset.x.float().amax(dim=0).double())
