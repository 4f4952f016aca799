"""A smaller network written in the shape of a larger one, its nodes where they most look alike.

Layer by layer every node is put in the place of another node of the larger network, all at the least total distance
between what they say at some points. The places left over are filled with the larger network's own nodes, which nothing
reads: the function does not change, whatever the places, and what was not touched by pruning differs by exactly 0.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from surrogate.functions.network import Network, forward

# Stands for a distance that overflows.
FAR = 1e100


def align(larger: Network, smaller: Network, points: Tensor) -> Network | None:
    """The smaller network in the shape of the larger one; None if depth or activation differ, or it is wider anywhere.

    Shape: points (batch, input).
    """
    alike = (larger.activation, larger.linear, len(larger.weights), larger.widths[0], larger.widths[-1]) == (
        smaller.activation,
        smaller.linear,
        len(smaller.weights),
        smaller.widths[0],
        smaller.widths[-1],
    )
    if not alike or any(a < b for a, b in zip(larger.widths, smaller.widths, strict=True)):
        return None
    said = [[phi[0] for phi in forward(network, points)[1]] for network in (larger, smaller)]
    weights, biases = [], []
    below = torch.arange(larger.widths[0])
    for layer, (weight, bias) in enumerate(zip(larger.weights, larger.biases, strict=True)):
        small_weight, small_bias = smaller.weights[layer], smaller.biases[layer]
        hidden = layer < len(larger.weights) - 1
        places = _places(said[0][layer], said[1][layer]) if hidden else torch.arange(len(bias))
        placed_weight, placed_bias = weight.clone(), bias.clone()
        placed_weight[places] = 0.0
        placed_weight[places[:, None], below[None, :]] = small_weight
        placed_bias[places] = small_bias
        weights.append(placed_weight)
        biases.append(placed_bias)
        below = places
    return replace(larger, weights=tuple(weights), biases=tuple(biases))


def _places(large: Tensor, small: Tensor) -> Tensor:
    """The place of every small node. Shape: batch large, batch small -> small."""
    distance = torch.cdist(small.T, large.T).nan_to_num(nan=FAR, posinf=FAR).clamp(max=FAR)
    return torch.from_numpy(linear_sum_assignment(distance.numpy())[1])
