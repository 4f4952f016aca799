"""A network's values and derivatives enclosed over a box of inputs: one forward and one reverse interval sweep.

    forward   [a_l] = W_l [h_{l-1}] + b_l,  [h_l] = phi([a_l])
    reverse   [q_L] = W,  [q_{l-1}] = ([q_l] o phi'([a_l])) W_l

References: Afghan & Naumann, "Interval adjoint significance analysis for neural networks" (ICCS 2020).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.interval import Interval, activation_range, affine, multiply, rounding
from surrogate.network import Network


@dataclass(frozen=True, kw_only=True)
class Enclosure:
    """Intervals for every input of the box.

    Shape: nodes[l] h_l (width,), l = 0 the inputs; adjoints[l] dy/dh_l (output, width); preadjoints[l] dy/da_{l+1}
    (output, width), the last of them the identity; slack[l] (width,) what rounding may add to a_{l+1}.
    """

    nodes: tuple[Interval, ...]
    adjoints: tuple[Interval, ...]
    preadjoints: tuple[Interval, ...]
    slack: tuple[Tensor, ...]


def enclose(network: Network, box: Interval) -> Enclosure:
    """Natural interval extension of the network and of its gradient (float64 networks only)."""
    nodes, slopes = [box], []
    for weight, bias in zip(network.weights[:-1], network.biases[:-1], strict=True):
        a = affine(weight, nodes[-1], bias)
        nodes.append(activation_range(network.activation, 0, a))
        slopes.append(activation_range(network.activation, 1, a))
    identity = torch.eye(network.widths[-1], dtype=network.dtype)
    preadjoints = [Interval(identity, identity)]
    adjoints = [Interval(network.weights[-1], network.weights[-1])]
    for weight, slope in zip(reversed(network.weights[:-1]), reversed(slopes), strict=True):
        preadjoints.append(multiply(adjoints[-1], slope))
        adjoints.append(affine(weight.T, preadjoints[-1]))
    return Enclosure(
        nodes=tuple(nodes),
        adjoints=tuple(adjoints[::-1]),
        preadjoints=tuple(preadjoints[::-1]),
        slack=tuple(
            rounding(weight, node.magnitude, bias)
            for weight, node, bias in zip(network.weights, nodes, network.biases, strict=True)
        ),
    )
