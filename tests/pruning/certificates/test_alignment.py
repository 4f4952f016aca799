from __future__ import annotations

import torch

from pruning.certificates.alignment import align
from pruning.compact import fold
from surrogate.functions.network import Network, initialise, outputs


def smaller(dense: Network, generator: torch.Generator) -> Network:
    """Without two nodes of each hidden layer, the rest in another order."""
    network = dense
    for layer in (1, 2):
        keep = torch.ones(network.widths[layer], dtype=torch.bool)
        keep[[1, 4]] = False
        network = fold(network, layer, keep, torch.full((network.widths[layer],), 0.3, dtype=torch.float64))
    order = torch.randperm(network.widths[1], generator=generator)
    return Network(
        weights=(network.weights[0][order], network.weights[1][:, order], network.weights[2]),
        biases=(network.biases[0][order], *network.biases[1:]),
        activation=network.activation,
    )


def test_the_function_does_not_change(generator: torch.Generator) -> None:
    dense = initialise((3, 7, 6, 2), "silu", generator=generator)
    for other in (smaller(dense, generator), initialise((3, 5, 6, 2), "silu", generator=generator)):
        x = torch.randn(100, 3, generator=generator, dtype=torch.float64)
        aligned = align(dense, other, x)
        assert aligned is not None
        assert aligned.widths == dense.widths
        torch.testing.assert_close(outputs(aligned, x), outputs(other, x), rtol=1e-13, atol=1e-13)


def test_nodes_that_stayed_are_found_again(generator: torch.Generator) -> None:
    dense = initialise((3, 7, 6, 2), "silu", generator=generator)
    aligned = align(dense, smaller(dense, generator), torch.randn(50, 3, generator=generator, dtype=torch.float64))
    assert aligned is not None
    assert torch.equal(aligned.weights[0], dense.weights[0])
    gone = (aligned.weights[1] != dense.weights[1]).any(dim=0)
    assert gone.nonzero().flatten().tolist() == [1, 4]


def test_what_has_another_shape_is_refused(generator: torch.Generator) -> None:
    dense = initialise((3, 4, 4, 1), "silu", generator=generator)
    points = torch.zeros(1, 3, dtype=torch.float64)
    for widths in ((3, 5, 4, 1), (3, 4, 1), (2, 4, 4, 1)):
        assert align(dense, initialise(widths, "silu", generator=generator), points) is None
    assert align(dense, initialise((3, 4, 4, 1), "tanh", generator=generator), points) is None
