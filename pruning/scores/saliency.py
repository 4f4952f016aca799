"""Scores: pure functions of a network and evidence; the larger the score, the longer a weight or node stays.

References: magnitude, Han et al. 2015; neurons, He et al. 2018; salience, Mozer & Smolensky 1989, Molchanov
et al. 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.intervals.adjoint import Enclosure
from pruning.intervals.greeks import SIGNIFICANCE
from pruning.rows import ROWS, loss_rows
from pruning.stage import Evidence
from surrogate.functions.network import Network, forward
from surrogate.standardisation import to_normalised

Scores = tuple[Tensor, ...]


def magnitude(network: Network, evidence: Evidence) -> Scores:  # noqa: ARG001
    """|w|. Shape: -> out in, per layer."""
    return tuple(weight.abs() for weight in network.weights)


def magnitude_layerwise(network: Network, evidence: Evidence) -> Scores:
    """|w| by rank in its own layer, so that every layer loses the same share. Shape: -> out in, per layer."""
    return tuple(_share(score, network.weights[i] != 0) for i, score in enumerate(magnitude(network, evidence)))


def random(network: Network, evidence: Evidence) -> Scores:
    """Uniform numbers: the baseline that every method must beat. Shape: -> out in, per layer."""
    return tuple(torch.rand(w.shape, generator=evidence.generator, dtype=w.dtype) for w in network.weights)


def salience(network: Network, evidence: Evidence) -> Scores:
    """|w dL/dw|. At a trained optimum the mean gradient is near 0, and this near noise. Shape: -> out in, per layer."""
    rows = loss_rows(network, evidence.dataset, evidence.spec.rows, evidence.generator)
    gradient = rows.combine(torch.full_like(rows.residual, 1.0 / len(evidence.dataset)))
    return tuple((weight * slope).abs() for weight, slope in zip(network.weights, gradient, strict=True))


def salience_per_sample(network: Network, evidence: Evidence) -> Scores:
    """mean_n |w dL_n/dw|, which never cancels. Shape: -> out in, per layer."""
    rows = loss_rows(network, evidence.dataset, evidence.spec.rows, evidence.generator)
    gradient = rows.absolute(torch.full_like(rows.residual, 1.0 / len(evidence.dataset)))
    return tuple(weight.abs() * slope for weight, slope in zip(network.weights, gradient, strict=True))


def obd(network: Network, evidence: Evidence) -> Scores:
    """1/2 H_ii w_i^2, H = A^T A / n the curvature of the loss: what it rises by if all other weights stay as they are.

    Shape: -> out in, per layer.

    References: LeCun, Denker & Solla, "Optimal brain damage" (NIPS 1989).
    """
    rows = ROWS[evidence.spec.rows](network, evidence.dataset, evidence.generator)
    half = 0.5 / len(evidence.dataset)
    return tuple(half * weight.square() * bend for weight, bend in zip(network.weights, rows.squares(), strict=True))


def node_significance(network: Network, evidence: Evidence, enclosure: Enclosure) -> Scores:
    """S for every target of the specification, as shares of its total over all nodes. Shape: -> width, per layer 0..L.

    Delta and gamma are taken along the inputs, each in units of its spread over the samples, as in the Sobolev loss.
    """
    spread = torch.diag(evidence.standardisation.x_scale)
    by_target = [SIGNIFICANCE[target](network, enclosure, spread) for target in evidence.spec.targets]
    totals = [sum(float(layer.sum()) for layer in scores) or 1.0 for scores in by_target]
    return tuple(
        torch.stack([layer / total for layer, total in zip(same, totals, strict=True)]).sum(dim=0)
        for same in zip(*by_target, strict=True)
    )


def node_magnitude(network: Network, evidence: Evidence, enclosure: Enclosure) -> Scores:  # noqa: ARG001
    """||W_l[j, :]|| in normalised units, by rank in its own layer; ||W_1[:, j]|| for inputs. Shape: -> width.

    The norm is the 2-norm or, as ``importance`` says, the 1-norm; "thinet" has `alone` in its place.
    """
    given = to_normalised(network, evidence.standardisation)
    if evidence.spec.importance == "thinet":
        sizes = alone(given, evidence.dataset.x)
    else:
        order, weights = (1 if evidence.spec.importance == "l1" else 2), given.weights
        sizes = [weights[0].norm(order, dim=0), *(weight.norm(order, dim=1) for weight in weights[:-1])]
    return tuple(_share(size, size > 0) for size in sizes)


def alone(network: Network, x: Tensor) -> list[Tensor]:
    """1 / max_n ||z(x_n) - z_[j](x_n)||, z what reads a layer and z_[j] the same from its node j alone, biases apart.

    Shape: batch input -> width, per layer 0..L.

    References: Luo, Wu & Lin, "ThiNet: a filter level pruning method for deep neural network compression" (ICCV 2017),
    in the form of one score a node.
    """
    _, hidden = forward(network, x)
    scores = []
    for weight, nodes in zip(network.weights, (x, *(phi[0] for phi in hidden)), strict=True):
        sums = nodes @ weight.T
        rest = sums.square().sum(dim=1, keepdim=True) - 2.0 * nodes * (sums @ weight)
        farthest = (rest + nodes.square() * weight.square().sum(dim=0)).clamp(min=0.0).amax(dim=0).sqrt()
        # A node that nobody reads is nobody's loss.
        read = weight.any(dim=0)
        scores.append(torch.where(read, 1.0 / farthest.clamp(min=torch.finfo(x.dtype).tiny), 0.0))
    return scores


def node_random(network: Network, evidence: Evidence, enclosure: Enclosure) -> Scores:  # noqa: ARG001
    """Uniform numbers for whole nodes. Shape: -> width, per layer 0..L."""
    return tuple(torch.rand(width, generator=evidence.generator, dtype=network.dtype) for width in network.widths[:-1])


def _share(scores: Tensor, alive: Tensor) -> Tensor:
    """Minus the rank from the top over the number alive: 0 is the best, near -1 the last. Shape: any -> same."""
    flat = scores.where(alive, -torch.inf).flatten()
    order = torch.sort(flat, descending=True, stable=True).indices
    rank = torch.empty_like(flat)
    rank[order] = torch.arange(len(flat), dtype=flat.dtype)
    return (-rank / max(1, int(alive.sum()))).view_as(scores)
