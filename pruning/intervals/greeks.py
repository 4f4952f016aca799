"""Significance of a node for delta and gamma: what freezing it can change in the derivatives of the outputs.

Along inputs u and v a node carries its value h, its tangents t^u and t^v and its second tangent s^uv. With q = dy/dh,
p^u = d2y/(dh du) and z^uv = d3y/(dh du dv), all enclosed by interval sweeps, forward and in reverse,

    S_j (delta) = sum over u     of  2 r_j |p^u| + 2 |t^u| |q|,                                  r_j = max |h_j - c_j|
    S_j (gamma) = sum over u, v  of  2 r_j |z^uv| + 2 |t^u| |p^v| + 2 |t^v| |p^u| + 2 |s^uv| |q|

where |.| is the largest absolute value over the box. Freezing a node sets (h, t, s) to (c, 0, 0).

Proof that the sum over u of |delta_u'(x) - delta_u(x)| is at most S_j / 2 for one node: delta_u is a function of the
values and tangents of a layer, D = sum_i q_i(h) t_i^u. First h_j becomes c_j with all tangents as they are: by the mean
value theorem |D' - D| <= r_j max |dD/dh_j|, and dD/dh_j = p_j^u. Then t_j^u becomes 0, in which D is linear with the
coefficient q_j. Gamma is likewise G = sum_i q_i s_i^uv + sum_im q_im t_i^u t_m^v: first h_j moves (dG/dh_j = z_j^uv),
then t_j^u becomes 0 (coefficient p_j^v), then t_j^v (coefficient p_j^u, in which t_j^u is 0 now), then s_j^uv (q_j).

Of several nodes those next to the inputs go first. Tangents that became 0 need not lie in the intervals of the
tangents. With ``constants`` (NaN for nodes that stay, the enclosure made with the same) those of the nodes to freeze
are stretched to 0, and half the sum of their S is a proven bound on the change of all deltas, or of all gammas. Without
them S is a score; over a single box, by interval arithmetic, that of one node is proven for delta (not for gamma, whose
third step sees a tangent of 0). ReLU, whose slope jumps, has scores only. The rounding of the folded bias is left out.

Directions carry units: with u = e_k times a spread of input k, all deltas are in units of the value and may be added.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from pruning.intervals.adjoint import Enclosure, boxes_at_once
from pruning.intervals.derivatives import first_order, second_order
from pruning.intervals.significance import reach, significance
from pruning.spec import GreekName
from surrogate.functions.network import Network


def value_significance(
    network: Network,  # noqa: ARG001
    enclosure: Enclosure,
    directions: Tensor,  # noqa: ARG001
) -> tuple[Tensor, ...]:
    """S of every node for the value. Shape: -> width, per layer 0..L."""
    return significance(enclosure)


def delta_significance(
    network: Network, enclosure: Enclosure, directions: Tensor, constants: Sequence[Tensor] | None = None
) -> tuple[Tensor, ...]:
    """S of every node for the deltas along directions. Shape: direction input -> width, per layer 0..L."""
    middles = _constants(enclosure, constants)

    def of(boxes: Enclosure) -> list[Tensor]:
        rates = first_order(network, boxes, directions, constants)
        scores = []
        for layer, node in enumerate(boxes.nodes):
            moved = reach(node, middles[layer]) * rates.adjoints[layer].magnitude.sum(dim=(-3, -2))
            cut = rates.nodes[layer].magnitude.sum(dim=-2) * boxes.adjoints[layer].magnitude.sum(dim=-2)
            scores.append(2.0 * (moved + cut))
        return scores

    return _worst(of, network, enclosure, len(directions))


def gamma_significance(
    network: Network, enclosure: Enclosure, directions: Tensor, constants: Sequence[Tensor] | None = None
) -> tuple[Tensor, ...]:
    """S of every node for all entries of the Hessian along directions. Shape: as `delta_significance`."""
    middles = _constants(enclosure, constants)
    first, second = torch.triu_indices(len(directions), len(directions)).unbind()
    # An entry off the diagonal stands for two.
    count = torch.where(first == second, 1.0, 2.0).to(network.dtype)[:, None]

    def of(boxes: Enclosure) -> list[Tensor]:
        rates = first_order(network, boxes, directions, constants)
        bends, thirds = second_order(network, boxes, rates, (first, second), constants)
        scores = []
        for layer, node in enumerate(boxes.nodes):
            moved = reach(node, middles[layer]).unsqueeze(-2) * thirds[layer].magnitude.sum(dim=-2)
            t, p = rates.nodes[layer].magnitude, rates.adjoints[layer].magnitude.sum(dim=-2)
            cut = t[..., first, :] * p[..., second, :] + t[..., second, :] * p[..., first, :]
            bent = bends[layer].magnitude * boxes.adjoints[layer].magnitude.sum(dim=-2).unsqueeze(-2)
            scores.append(2.0 * (count * (moved + cut + bent)).sum(dim=-2))
        return scores

    return _worst(of, network, enclosure, len(first))


# What `PruningSpec.targets` names.
SIGNIFICANCE: Mapping[GreekName, Callable[[Network, Enclosure, Tensor], tuple[Tensor, ...]]] = {
    "value": value_significance,
    "delta": delta_significance,
    "gamma": gamma_significance,
}


def _constants(enclosure: Enclosure, constants: Sequence[Tensor] | None) -> list[Tensor]:
    """What every node is replaced by: the middle of its interval if nothing is said. Shape: -> width, per layer."""
    middles = [node.hull().middle for node in enclosure.nodes]
    if constants is None:
        return middles
    return [constant.where(constant.isfinite(), middle) for constant, middle in zip(constants, middles, strict=True)]


def _worst(
    of: Callable[[Enclosure], list[Tensor]], network: Network, enclosure: Enclosure, rows: int
) -> tuple[Tensor, ...]:
    """The largest score over all boxes, in parts of as many boxes as fit. Shape: ... width -> width, per layer."""
    if enclosure.nodes[0].lower.ndim == 1:
        return tuple(of(enclosure))
    size, boxes = boxes_at_once(network, rows * network.widths[-1]), len(enclosure.nodes[0].lower)
    batches = [of(enclosure.over(slice(start, start + size))) for start in range(0, boxes, size)]
    return tuple(torch.cat(same).amax(dim=0) for same in zip(*batches, strict=True))
