"""Hidden layers that are nearly affine over the box merge with the next one: depth is pruned, with a proven bound.

On [a] the activation is replaced by its chord (`pruning.intervals.chord`), phi(a) ~ alpha a + beta with |error| <= e,
so that

    W' = W_{l+1} diag(alpha) W_l,    b' = b_{l+1} + W_{l+1} (alpha o b_l + beta)
    |y'(x) - y(x)| <= sum_j e_j max |[dy/dh_j]|    for every x in the box,

where [dy/dh_j] is enclosed for h in [h] + [-e, e], which holds both layers and the segment between them (mean value
theorem).
The rounding of W' and b' is added to the bound to first order.
"""

from __future__ import annotations

from dataclasses import replace

from pruning.intervals.adjoint import Enclosure, enclose
from pruning.intervals.chord import chord
from pruning.intervals.interval import rounding
from pruning.intervals.significance import SUMMATION
from surrogate.functions.network import Network


def merge(network: Network, enclosure: Enclosure, layer: int) -> tuple[Network, float]:
    """The network with hidden layer ``layer`` (1..L) made affine and merged with the next; the bound on |y' - y|."""
    weight, bias, below = network.weights[layer - 1], network.biases[layer - 1], enclosure.nodes[layer - 1].hull()
    straight = chord(network.activation_of(layer), enclosure.preactivations[layer - 1].hull())
    above = replace(
        network,
        weights=network.weights[layer:],
        biases=network.biases[layer:],
        linear=frozenset(other - layer for other in network.linear if other > layer),
    )
    rest = enclose(above, enclosure.nodes[layer].hull().widen(straight.radius), method=enclosure.method)
    terms = straight.alpha.abs() * (below.magnitude @ weight.abs().T + bias.abs()) + straight.beta.abs()
    slack = rounding(above.weights[0], terms, above.biases[0])
    bound = (straight.radius * rest.adjoints[0].magnitude.sum(dim=0)).sum()
    bound = bound + (slack * rest.preadjoints[0].magnitude.sum(dim=0)).sum()
    merged = replace(
        network,
        weights=(
            *network.weights[: layer - 1],
            above.weights[0] @ (straight.alpha[:, None] * weight),
            *above.weights[1:],
        ),
        biases=(
            *network.biases[: layer - 1],
            above.biases[0] + above.weights[0] @ (straight.alpha * bias + straight.beta),
            *above.biases[1:],
        ),
        linear=frozenset(other - (other > layer) for other in network.linear if other != layer),
    )
    return merged, float(bound) * (1.0 + SUMMATION)


def saved_by_merging(network: Network, layer: int) -> int:
    """Parameters that merging hidden layer ``layer`` removes; negative if the product matrix is the larger one."""
    below, width, above = network.widths[layer - 1 : layer + 2]
    return width * (below + above + 1) - below * above
