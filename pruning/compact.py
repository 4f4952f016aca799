"""Nodes that carry no information are folded into the next bias and removed: the same function, fewer nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from surrogate.activations import ACTIVATIONS
from surrogate.network import Network


def put(parts: Sequence[Tensor], index: int, part: Tensor) -> tuple[Tensor, ...]:
    """The parts with one of them replaced."""
    return (*parts[:index], part, *parts[index + 1 :])


def fold(network: Network, layer: int, keep: Tensor, constants: Tensor) -> Network:
    """Replace the nodes of a layer that are not kept by constants c, carried by the next bias: b += W[:, j] c_j.

    Layer 0 are the inputs, whose columns become 0 (the features stay what they are); hidden nodes are removed.

    Shape: keep, constants (width of the layer,).
    """
    weights, biases = network.weights, network.biases
    carried = biases[layer] + weights[layer][:, ~keep] @ constants[~keep]
    biases = put(biases, layer, carried)
    if layer == 0:
        return replace(network, weights=put(weights, 0, weights[0] * keep), biases=biases)
    weights = put(weights, layer, weights[layer][:, keep])
    weights = put(weights, layer - 1, weights[layer - 1][keep])
    return replace(network, weights=weights, biases=put(biases, layer - 1, biases[layer - 1][keep]))


def compact(network: Network) -> Network:
    """The same function without its dead hidden nodes, exact to rounding; at least one node stays in every layer.

    A node without incoming weights is the constant phi(b); one without outgoing weights is never heard. Both are
    folded, which may leave others dead: repeated to the fixpoint.
    """
    smaller = network
    for layer in range(1, len(network.weights)):
        alive = smaller.weights[layer - 1].any(dim=1) & smaller.weights[layer].any(dim=0)
        if not alive.any():
            alive[0] = True
        if not alive.all():
            constants = ACTIVATIONS[network.activation](smaller.biases[layer - 1])[0]
            smaller = fold(smaller, layer, alive, constants)
    return network if smaller.widths == network.widths else compact(smaller)
