"""Scores: pure functions of a network and evidence; the larger the score, the longer a weight or node stays.

References: magnitude, Han et al. 2015; neurons, He et al. 2018; salience, Mozer & Smolensky 1989, Molchanov
et al. 2017.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pruning.adjoint import enclose
from pruning.rows import gauss_newton
from pruning.significance import significance
from pruning.stage import Evidence
from surrogate.network import Network
from surrogate.scaling import to_normalised

Scores = tuple[Tensor, ...]


def magnitude(network: Network, evidence: Evidence) -> Scores:  # noqa: ARG001
    """|w|. Shape: -> out in, per layer."""
    return tuple(weight.abs() for weight in network.weights)


def magnitude_layerwise(network: Network, evidence: Evidence) -> Scores:
    """|w| by rank in its own layer, so that every layer loses the same share."""
    return tuple(_share(score, network.weights[i] != 0) for i, score in enumerate(magnitude(network, evidence)))


def random(network: Network, evidence: Evidence) -> Scores:
    """Uniform numbers: the baseline that every method must beat."""
    return tuple(torch.rand(w.shape, generator=evidence.generator, dtype=w.dtype) for w in network.weights)


def salience(network: Network, evidence: Evidence) -> Scores:
    """|w dL/dw| with L = mean r^2 / 2. At a trained optimum the mean gradient is near 0, and this near noise."""
    rows = gauss_newton(network, evidence.dataset)
    gradient = rows.combine(rows.residual / len(evidence.dataset))
    return tuple((weight * part).abs() for weight, part in zip(network.weights, gradient, strict=True))


def salience_per_sample(network: Network, evidence: Evidence) -> Scores:
    """mean_n |w dL_n/dw|, which never cancels."""
    rows = gauss_newton(network, evidence.dataset)
    gradient = rows.absolute(rows.residual / len(evidence.dataset))
    return tuple(weight.abs() * part for weight, part in zip(network.weights, gradient, strict=True))


def node_significance(network: Network, evidence: Evidence) -> Scores:
    """S over the box. Shape: -> width, per layer 0..L."""
    return significance(enclose(network, evidence.box))


def node_magnitude(network: Network, evidence: Evidence) -> Scores:
    """||W_l[j, :]||_2 in normalised units, by rank in its own layer; ||W_1[:, j]||_2 for inputs. Shape: -> width."""
    weights = to_normalised(network, evidence.scaling).weights
    norms = [weights[0].norm(dim=0), *(weight.norm(dim=1) for weight in weights[:-1])]
    return tuple(_share(norm, norm > 0) for norm in norms)


def node_random(network: Network, evidence: Evidence) -> Scores:
    """Uniform numbers for whole nodes."""
    return tuple(torch.rand(width, generator=evidence.generator, dtype=network.dtype) for width in network.widths[:-1])


def _share(scores: Tensor, alive: Tensor) -> Tensor:
    """Minus the rank from the top over the number alive: 0 is the best, near -1 the last. Shape: any -> same."""
    flat = scores.where(alive, -torch.inf).flatten()
    order = torch.sort(flat, descending=True, stable=True).indices
    rank = torch.empty_like(flat)
    rank[order] = torch.arange(len(flat), dtype=flat.dtype)
    return (-rank / max(1, int(alive.sum()))).view_as(scores)
