"""Hidden layers that are nearly affine over the box merge with the next one: depth is pruned, with a proven bound.

On [a] the activation is replaced by its chord, phi(a) ~ alpha a + beta with |error| <= e, so that

    W' = W_{l+1} diag(alpha) W_l,    b' = b_{l+1} + W_{l+1} (alpha o b_l + beta)
    |y'(x) - y(x)| <= sum_j e_j max |[dy/dh_j]|    for every x in the box,

where [dy/dh_j] is enclosed for h in [h] + [-e, e], which holds both layers and the segment between them (mean value
theorem).
The rounding of W' and b' is added to the bound to first order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from pruning.adjoint import Enclosure, enclose
from pruning.interval import EPSILON, Interval, activation_range, affine, rounding
from pruning.significance import SUMMATION
from surrogate.activations import ACTIVATIONS, ActivationName
from surrogate.network import Network

# Pieces of [a] on which phi - alpha a is enclosed by its mean value form; the excess falls with their square.
PIECES = 64


@dataclass(frozen=True, kw_only=True)
class Chord:
    """phi(a) = alpha a + beta + error with |error| <= radius on an interval. Shape: all (width,)."""

    alpha: Tensor
    beta: Tensor
    radius: Tensor


def chord(name: ActivationName, a: Interval) -> Chord:
    """The line parallel to the chord of phi on [a] that halves the range of the error."""
    phi = ACTIVATIONS[name]
    rise = phi(a.upper)[0] - phi(a.lower)[0]
    alpha = torch.where(a.width > 0, rise / a.width, phi(a.middle)[1])
    cuts = torch.lerp(a.lower, a.upper, torch.linspace(0.0, 1.0, PIECES + 1, dtype=rise.dtype)[:, None])
    piece = Interval(cuts[:-1], cuts[1:])
    value = activation_range(name, 0, Interval(piece.middle, piece.middle))
    slope = activation_range(name, 1, piece)
    line = alpha * piece.middle
    reach = piece.radius * torch.maximum((slope.upper - alpha).abs(), (slope.lower - alpha).abs())
    reach = reach + 4 * EPSILON * (value.magnitude + line.abs() + reach)
    error = Interval((value.lower - line - reach).amin(dim=0), (value.upper - line + reach).amax(dim=0))
    return Chord(alpha=alpha, beta=error.middle, radius=error.radius)


def merge(network: Network, enclosure: Enclosure, layer: int) -> tuple[Network, float]:
    """The network with hidden layer ``layer`` (1..L) made affine and merged with the next; the bound on |y' - y|."""
    weight, bias, below = network.weights[layer - 1], network.biases[layer - 1], enclosure.nodes[layer - 1]
    line = chord(network.activation, affine(weight, below, bias))
    above = replace(network, weights=network.weights[layer:], biases=network.biases[layer:])
    rest = enclose(above, enclosure.nodes[layer].widen(line.radius))
    terms = line.alpha.abs() * (below.magnitude @ weight.abs().T + bias.abs()) + line.beta.abs()
    slack = rounding(above.weights[0], terms, above.biases[0])
    bound = (line.radius * rest.adjoints[0].magnitude.sum(dim=0)).sum()
    bound = bound + (slack * rest.preadjoints[0].magnitude.sum(dim=0)).sum()
    merged = replace(
        network,
        weights=(
            *network.weights[: layer - 1],
            above.weights[0] @ (line.alpha[:, None] * weight),
            *above.weights[1:],
        ),
        biases=(
            *network.biases[: layer - 1],
            above.biases[0] + above.weights[0] @ (line.alpha * bias + line.beta),
            *above.biases[1:],
        ),
    )
    return merged, float(bound) * (1.0 + SUMMATION)


def saved_by_merging(network: Network, layer: int) -> int:
    """Parameters that merging hidden layer ``layer`` removes; negative if the product matrix is the larger one."""
    below, width, above = network.widths[layer - 1 : layer + 2]
    return width * (below + above + 1) - below * above
