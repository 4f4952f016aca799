from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pruning.compact import compact, compact_with_places, fold, spread
from pruning.removal.masks import apply
from surrogate.functions.activations import ACTIVATIONS, ActivationName
from surrogate.functions.network import Network, initialise, outputs, value_gradient_hessian


def masked(activation: ActivationName, density: float, generator: torch.Generator) -> Network:
    network = initialise((3, 8, 7, 6, 1), activation, generator=generator)
    return apply(network, [torch.rand(w.shape, generator=generator) < density for w in network.weights])


@pytest.mark.parametrize("activation", list(ACTIVATIONS))
@pytest.mark.parametrize("density", [0.05, 0.2, 0.5])
def test_compact_is_the_same_function_with_the_same_greeks(
    activation: ActivationName, density: float, generator: torch.Generator
) -> None:
    x = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    for _ in range(5):
        network = masked(activation, density, generator)
        smaller = compact(network)
        for before, after in zip(value_gradient_hessian(network, x), value_gradient_hessian(smaller, x), strict=True):
            torch.testing.assert_close(after, before, rtol=0.0, atol=1e-12)
        assert compact(smaller) is smaller
        assert all(w.any(dim=1).all() and w.any(dim=0).all() for w in smaller.weights[1:-1] if min(w.shape) > 1)


def test_layers_without_activation_lose_dead_nodes_and_their_bias(generator: torch.Generator) -> None:
    network = replace(masked("silu", 0.3, generator), linear=frozenset({2}))
    smaller = compact(network)
    x = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    for before, after in zip(value_gradient_hessian(network, x), value_gradient_hessian(smaller, x), strict=True):
        torch.testing.assert_close(after, before, rtol=0.0, atol=1e-12)
    assert smaller.linear == {2}
    assert not smaller.biases[1].any()
    assert compact(smaller) is smaller


def test_a_dead_chain_goes_altogether(generator: torch.Generator) -> None:
    network = initialise((2, 3, 3, 3, 1), "softplus", generator=generator)
    weights = list(network.weights)
    weights[0] = weights[0].clone()
    weights[0][0] = 0.0
    weights[1] = torch.tensor([[1.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.5, 0.0, 0.0]], dtype=torch.float64)
    smaller = compact(replace(network, weights=tuple(weights)))
    assert smaller.widths == (2, 2, 1, 3, 1)


def test_a_network_without_paths_becomes_a_constant_of_one_node_a_layer(generator: torch.Generator) -> None:
    network = initialise((2, 4, 5, 1), "silu", generator=generator)
    cut = replace(network, weights=(network.weights[0], torch.zeros_like(network.weights[1]), network.weights[2]))
    smaller = compact(cut)
    assert smaller.widths == (2, 1, 1, 1)
    x = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(outputs(smaller, x), outputs(cut, x), rtol=0.0, atol=1e-13)


def test_folding_an_input_fixes_it_at_its_constant(generator: torch.Generator) -> None:
    network = initialise((3, 4, 1), "tanh", generator=generator)
    keep, constants = torch.tensor([True, False, True]), torch.tensor([9.0, 0.3, 9.0], dtype=torch.float64)
    folded = fold(network, 0, keep, constants)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    fixed = x.clone()
    fixed[:, 1] = 0.3
    torch.testing.assert_close(outputs(folded, x), outputs(network, fixed))


def test_a_compacted_network_spreads_to_its_old_shape(generator: torch.Generator) -> None:
    network = masked("silu", 0.2, generator)
    smaller, places = compact_with_places(network)
    again = spread(smaller, places, network)
    assert again.widths == network.widths
    x = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(outputs(again, x), outputs(network, x))
    assert all((b == 0)[a == 0].all() for a, b in zip(network.weights, again.weights, strict=True))
