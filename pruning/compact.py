"""Nodes that carry no information are folded into the next bias and removed: the same function, fewer nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from surrogate.functions.activations import ACTIVATIONS
from surrogate.functions.network import Network


def put(tensors: Sequence[Tensor], index: int, new: Tensor) -> tuple[Tensor, ...]:
    """The tensors with one of them replaced. Shape: any, new as the one it replaces."""
    return (*tensors[:index], new, *tensors[index + 1 :])


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
    folded, which may leave others dead: repeated to the fixpoint. The bias of a layer without activation moves to the
    next one.
    """
    return compact_with_places(network)[0]


def compact_with_places(network: Network) -> tuple[Network, tuple[Tensor, ...]]:
    """`compact`, and which nodes of every layer of the given network stayed: for `spread`. Shape: -> (kept,) each."""
    smaller, places = network, [torch.arange(width) for width in network.widths]
    while True:
        before = smaller.widths
        for layer in range(1, len(smaller.weights)):
            alive = smaller.weights[layer - 1].any(dim=1) & smaller.weights[layer].any(dim=0)
            if not alive.any():
                alive[0] = True
            if not alive.all():
                constants = ACTIVATIONS[smaller.activation_of(layer)](smaller.biases[layer - 1])[0]
                smaller, places[layer] = fold(smaller, layer, alive, constants), places[layer][alive]
        if smaller.widths == before:
            # Last, as folding leaves biases behind everywhere.
            return _without_linear_biases(smaller), tuple(places)


def _without_linear_biases(network: Network) -> Network:
    """The biases of layers without activation, carried to the next layer."""
    for layer in sorted(network.linear):
        offset = network.biases[layer - 1]
        if offset.any():
            carried = network.biases[layer] + network.weights[layer] @ offset
            biases = put(put(network.biases, layer, carried), layer - 1, torch.zeros_like(offset))
            network = replace(network, biases=biases)
    return network


def spread(smaller: Network, places: Sequence[Tensor], like: Network) -> Network:
    """A compacted network in its old shape: the nodes that are gone have neither weights nor bias.

    Shape: places (kept,) each -> weights out in, per layer, of ``like``.
    """
    weights, biases = [], []
    for layer, (weight, bias) in enumerate(zip(like.weights, like.biases, strict=True)):
        wide, offsets = torch.zeros_like(weight), torch.zeros_like(bias)
        wide[places[layer + 1][:, None], places[layer]] = smaller.weights[layer]
        offsets[places[layer + 1]] = smaller.biases[layer]
        weights.append(wide)
        biases.append(offsets)
    return replace(like, weights=tuple(weights), biases=tuple(biases))
